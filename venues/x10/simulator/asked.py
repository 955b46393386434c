"""An order as asked for, held to the rules that need no look at the account (x10.md 5.3 and 6).

Whatever passes is on the grid, of a kind the venue trades, and signed by its account.
"""

from dataclasses import dataclass
from decimal import Decimal

from desk.units import Lots, Side, Ticks
from venues.x10.simulator.bodies import OrderBody, hexadecimal, number, whole
from venues.x10.simulator.codes import ApiRefused, Code
from venues.x10.simulator.customers import Customer
from venues.x10.simulator.settings import (
    Domain,
    SignatureCheck,
    SimMarket,
    SimulatorSettings,
)
from venues.x10.simulator.stark import Terms, amounts, order_hash, signed

_DAY_MS = 86_400_000
_SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A well-formed order; `message` is its hash, `fee` what the account pays at most."""

    external_id: str
    market: SimMarket
    market_order: bool
    side: Side
    lots: Lots
    price: Ticks
    reduce_only: bool
    post_only: bool
    immediate: bool
    expiry_ms: int
    protection: str
    previous: str | None
    message: int


def read_order(
    settings: SimulatorSettings,
    market: SimMarket,
    customer: Customer,
    body: OrderBody,
    now_ms: int,
) -> Asked:
    """Test everything that stands in the body itself; ApiRefused with the venue's code."""
    _check_kind(body)
    quantity, price = number(body.qty, "qty"), number(body.price or "0", "price")
    lots, ticks = _grid(market, quantity, price)
    market_order = body.type == "MARKET"
    _check_value(market, quantity * price, market_order=market_order)
    _check_expiry(settings, body.expiry_epoch_millis, now_ms)
    fee = _fee(settings, body)
    terms = Terms(
        buying=body.side == "BUY",
        quantity=quantity,
        price=price,
        fee=fee,
        nonce=whole(body.nonce, "nonce"),
        expiry_ms=body.expiry_epoch_millis,
    )
    return Asked(
        external_id=body.id,
        market=market,
        market_order=market_order,
        side=_SIDES[body.side],
        lots=lots,
        price=ticks,
        reduce_only=body.reduce_only,
        post_only=body.post_only,
        immediate=body.time_in_force == "IOC",
        expiry_ms=body.expiry_epoch_millis,
        protection=body.self_trade_protection_level,
        previous=body.cancel_id,
        message=_check_signature(settings, market, customer, body, terms),
    )


def _check_kind(body: OrderBody) -> None:
    _check_words(body)
    match body.type:
        case "LIMIT":
            if body.post_only and body.time_in_force == "IOC":
                raise ApiRefused(Code.INVALID_PARAMETERS, "postOnly")
        case "MARKET":
            _check_market_order(body)
        case "CONDITIONAL":
            _check_conditional(body)
        case "TPSL":
            _check_tpsl(body)
        case _:
            raise ApiRefused(Code.ORDER_TYPE)
    if body.price is None:
        raise ApiRefused(Code.MISSING_PRICE)


def _check_words(body: OrderBody) -> None:
    if body.type == "TWAP" and body.time_in_force != "GTT":
        raise ApiRefused(Code.TWAP_MUST_BE_GTT)
    for name, word, allowed in (
        ("side", body.side, set(_SIDES)),
        ("timeInForce", body.time_in_force, {"GTT", "IOC"}),
        (
            "selfTradeProtectionLevel",
            body.self_trade_protection_level,
            {"DISABLED", "ACCOUNT", "CLIENT"},
        ),
    ):
        if word not in allowed:
            raise ApiRefused(Code.INVALID_PARAMETERS, name)


def _check_market_order(body: OrderBody) -> None:
    if body.time_in_force != "IOC":
        raise ApiRefused(Code.MARKET_MUST_BE_IOC)
    if body.post_only:
        raise ApiRefused(Code.INVALID_PARAMETERS, "postOnly")


def _check_conditional(body: OrderBody) -> None:
    if body.trigger is None:
        raise ApiRefused(Code.MISSING_CONDITIONAL_TRIGGER)
    if body.post_only and body.trigger.get("executionPriceType") == "MARKET":
        raise ApiRefused(Code.POST_ONLY_CONDITIONAL_MARKET)
    raise ApiRefused(Code.ORDER_TYPE, "conditional orders are not simulated")


def _check_tpsl(body: OrderBody) -> None:
    if body.take_profit is None and body.stop_loss is None:
        raise ApiRefused(Code.MISSING_TPSL_TRIGGER)
    if body.tp_sl_type == "POSITION" and number(body.qty, "qty") != 0:
        raise ApiRefused(Code.TPSL_QTY)
    raise ApiRefused(Code.ORDER_TYPE, "TP/SL orders are not simulated")


def _grid(market: SimMarket, quantity: Decimal, price: Decimal) -> tuple[Lots, Ticks]:
    if quantity <= 0 or price <= 0:
        raise ApiRefused(Code.INVALID_PARAMETERS, "qty and price must be positive")
    step, tick = market.min_order_size_change, market.min_price_change
    if _finer(quantity, step):
        raise ApiRefused(Code.QTY_PRECISION)
    if quantity % step:
        raise ApiRefused(Code.QTY_INCREMENT)
    if quantity < market.min_order_size:
        raise ApiRefused(Code.QTY_TOO_SMALL)
    if _finer(price, tick):
        raise ApiRefused(Code.PRICE_PRECISION)
    if price % tick:
        raise ApiRefused(Code.PRICE_MOVEMENT)
    return int(quantity / step), int(price / tick)


def _finer(value: Decimal, step: Decimal) -> bool:
    """Whether a value has more decimals than its grid."""
    return _decimals(value) > max(0, _decimals(step))


def _decimals(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def _check_value(market: SimMarket, value: Decimal, *, market_order: bool) -> None:
    most = market.max_market_order_value if market_order else market.max_limit_order_value
    if value > most:
        raise ApiRefused(Code.VALUE_TOO_LARGE)


def _check_expiry(settings: SimulatorSettings, expiry_ms: int, now_ms: int) -> None:
    latest = now_ms + settings.orders.expiry_max_days * _DAY_MS
    if not now_ms < expiry_ms <= latest:
        raise ApiRefused(Code.INVALID_EXPIRATION)


def _fee(settings: SimulatorSettings, body: OrderBody) -> Decimal:
    """The highest rate the account signs for, all in; too little is refused."""
    fee = number(body.fee, "fee")
    needed = settings.money.maker_fee if body.post_only else settings.money.taker_fee
    if fee < max(needed, Decimal(0)):
        raise ApiRefused(Code.INVALID_FEE)
    return fee if body.builder_fee is None else fee + number(body.builder_fee, "builderFee")


def _check_signature(
    settings: SimulatorSettings,
    market: SimMarket,
    customer: Customer,
    body: OrderBody,
    terms: Terms,
) -> int:
    """The order's hash, once key, vault, amounts and signature are found right."""
    domain: Domain = settings.domain
    seed = customer.seed
    message = order_hash(terms, market, domain, vault=seed.vault, public_key=seed.stark_public_key)
    check = settings.orders.signatures
    if check is SignatureCheck.NONE:
        return message
    settlement = body.settlement
    if settlement is None:
        raise ApiRefused(Code.INVALID_SIGNATURE, "settlement")
    if hexadecimal(settlement.stark_key, Code.INVALID_PUBLIC_KEY) != seed.stark_public_key:
        raise ApiRefused(Code.INVALID_PUBLIC_KEY)
    if whole(settlement.collateral_position, "collateralPosition") != seed.vault:
        raise ApiRefused(Code.INVALID_VAULT)
    _check_stated(market, body, terms)
    if check is SignatureCheck.FULL:
        r = hexadecimal(settlement.signature.r, Code.INVALID_SIGNATURE)
        s = hexadecimal(settlement.signature.s, Code.INVALID_SIGNATURE)
        if not signed(seed.stark_public_key, message, r, s):
            raise ApiRefused(Code.INVALID_SIGNATURE)
    return message


def _check_stated(market: SimMarket, body: OrderBody, terms: Terms) -> None:
    stated = body.debugging_amounts
    if stated is None:
        return
    found = amounts(terms, market)
    told = (
        whole(stated.synthetic_amount, "syntheticAmount"),
        whole(stated.collateral_amount, "collateralAmount"),
        whole(stated.fee_amount, "feeAmount"),
    )
    if told != (found.base, found.quote, found.fee):
        raise ApiRefused(Code.INVALID_SIGNATURE, "debuggingAmounts")
