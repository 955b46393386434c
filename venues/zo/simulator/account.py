"""Reads of users and accounts. None needs authentication: an account is read by its number."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from desk.units import NS_PER_MS
from venues.simulation.clock import iso_ms
from venues.simulation.endpoint import told_balance, told_positions
from venues.simulation.events import Trade
from venues.simulation.faults import FaultKind
from venues.simulation.orders import Order
from venues.simulation.views import BalanceView, PositionView
from venues.zo.simulator import numbers
from venues.zo.simulator.accountfeed import side_word
from venues.zo.simulator.calls import Call, Route, missing
from venues.zo.simulator.history import PnlChange
from venues.zo.simulator.paging import page
from venues.zo.simulator.register import Entry
from venues.zo.simulator.summary import encoded_key, summary
from venues.zo.simulator.users import Account
from venues.zo.simulator.world import World


def user(world: World, call: Call) -> dict[str, Any]:
    """`GET /user/{pubkey}`: accounts and live sessions."""
    found = world.users.user_of_text(call.parts["pubkey"])
    if found is None:
        raise missing()
    return {
        "accountIds": [one.account_id for one in found.accounts],
        "sessions": {
            str(one.session_id): {
                "pubkey": encoded_key(one.pubkey),
                "expiry": iso_ms(one.expiry_s * 1000),
            }
            for one in world.sessions.of(found.wallet)
        },
    }


def account(world: World, call: Call) -> dict[str, Any]:
    """`GET /account/{id}`: open orders, positions, balances and margins at one moment."""
    found = account_of(world, call)
    resting = world.engine.open_orders(found.name)
    if world.faults.take(call.site, FaultKind.EMPTY_SNAPSHOT) is not None:
        resting = []
    held = told_positions(world, found.name, call.site)
    money = told_balance(world, found.name, call.site)
    return account_body(world, found, resting, {one.symbol: one for one in held}, money)


def account_body(
    world: World,
    found: Account,
    resting: list[Order],
    held: Mapping[str, PositionView],
    money: BalanceView,
) -> dict[str, Any]:
    """An account's state with these open orders, positions and this money."""
    margins = world.margins(found.name)
    apart = money.equity - world.engine.balance(found.name).equity
    margins = replace(margins, omf=margins.omf + apart, mf=margins.mf + apart)
    names = ("omf", "mf", "imf", "cmf", "mmf", "pon", "pn")
    return {
        "updateId": world.feeds.account(found).update_id,
        "orders": [_order(world, one) for one in resting],
        "positions": _positions(world, resting, held),
        "balances": [{"tokenId": 0, "token": "USDC", "amount": numbers.money(money.collateral)}],
        "margins": {name: numbers.money(getattr(margins, name)) for name in names}
        | {"bankruptcy": margins.bankrupt},
    }


def pubkey(world: World, call: Call) -> str:
    """`GET /account/{id}/pubkey`: the owner's key in base58."""
    return encoded_key(account_of(world, call).wallet)


def orders(world: World, call: Call) -> dict[str, Any]:
    """`GET /account/{id}/orders`: open and finished, newest first."""
    found = world.register.of(account_of(world, call).name)
    return page(
        world,
        call,
        found,
        cursor=lambda one: world.listing.wire_id(one.order_id),
        shown=lambda one: summary(world, one),
        at_ms=lambda one: one.added_ns // NS_PER_MS,
    )


def order(world: World, call: Call) -> dict[str, Any]:
    """`GET /order/{id}`: open or finished."""
    return summary(world, _entry(world, call))


def order_trades(world: World, call: Call) -> dict[str, Any]:
    """`GET /order/{id}/trades`."""
    entry = _entry(world, call)
    mine = [
        one
        for one in world.ledger.of(entry.account)
        if entry.order_id in {one.maker_order_id, one.taker_order_id}
    ]
    return _trade_page(world, call, mine)


def pnl(world: World, call: Call) -> dict[str, Any]:
    """`GET /account/{id}/pnl`: changes of the realized result."""
    found = account_of(world, call)

    def shown(one: PnlChange) -> dict[str, Any]:
        return {
            "time": numbers.moment(one.at_ns),
            "actionId": str(one.action_id),
            "accountId": found.account_id,
            "pricePnlDelta": numbers.money(one.price),
            "fundingPnlDelta": numbers.money(one.funding),
            "pnl": numbers.money(one.total),
        }

    return page(
        world,
        call,
        world.history.pnl(found.name),
        cursor=lambda one: one.number,
        shown=shown,
        at_ms=lambda one: one.at_ns // NS_PER_MS,
    )


def liquidations(world: World, call: Call) -> dict[str, Any]:
    """`GET /account/{id}/history/liquidation`."""
    found = account_of(world, call)
    mine = [one for one in reversed(world.history.liquidations) if one.account == found.name]
    return page(
        world,
        call,
        mine,
        cursor=lambda one: one.sequence,
        shown=lambda one: {
            "time": numbers.moment(one.at_ns),
            "accountId": found.account_id,
            "fee": Decimal(0),
        },
        at_ms=lambda one: one.at_ns // NS_PER_MS,
    )


def nothing(world: World, call: Call) -> dict[str, Any]:
    """Histories of what is not simulated: no triggers."""
    account_of(world, call)
    return {"items": []}


def triggers(world: World, call: Call) -> list[Any]:
    """`GET /account/{id}/triggers`: not simulated."""
    account_of(world, call)
    return []


def volume(world: World, call: Call) -> list[dict[str, Any]]:
    """`GET /account/volume`: traded volume by market."""
    number = call.whole("accountId")
    found = None if number is None else world.users.account(number)
    if found is None:
        raise missing()
    wanted = call.whole("marketId")
    shown = []
    for market_id, market in enumerate(world.listing.markets()):
        if wanted not in {None, market_id}:
            continue
        instrument = world.listing.instrument(market.symbol)
        mine = world.engine.trades(found.name, market.symbol)
        quote = sum((instrument.notional(one.price, one.lots) for one in mine), Decimal(0))
        base = numbers.size(instrument, sum(one.lots for one in mine))
        shown.append(
            {"marketId": market_id, "volumeBase": base, "volumeQuote": numbers.money(quote)}
        )
    return shown


def tier(world: World, call: Call) -> int:
    """`GET /account/{id}/fee/tier`: there is one tier."""
    account_of(world, call)
    return 0


def withdrawal_fee(world: World, call: Call) -> Decimal:
    """`GET /account/{id}/fees/withdrawal`: USDC."""
    account_of(world, call)
    return Decimal(1)


def account_of(world: World, call: Call) -> Account:
    """The account the path names; 404 otherwise."""
    found = world.users.account(call.number("account"))
    if found is None:
        raise missing()
    return found


def _entry(world: World, call: Call) -> Entry:
    entry = world.register.order(world.listing.engine_id(call.number("order")))
    if entry is None:
        raise missing()
    return entry


def _trade_page(world: World, call: Call, found: list[Trade]) -> dict[str, Any]:
    return page(
        world,
        call,
        found,
        cursor=lambda one: int(one.trade_id[1:]),
        shown=world.ledger.shown,
        at_ms=lambda one: one.at_ns // NS_PER_MS,
    )


def _order(world: World, order: Order) -> dict[str, Any]:
    instrument = world.listing.instrument(order.symbol)
    return {
        "orderId": str(world.listing.wire_id(order.order_id)),
        "marketId": world.listing.market_id(order.symbol),
        "side": side_word(order.side),
        "size": numbers.size(instrument, order.remaining),
        "price": numbers.price(instrument, order.price),
        "originalOrderSize": numbers.size(instrument, order.lots),
        "clientOrderId": None if order.client_order_id is None else int(order.client_order_id),
    }


def _positions(
    world: World, resting: list[Order], held: Mapping[str, PositionView]
) -> list[dict[str, Any]]:
    """Markets with a position or open orders; without a position there is no `perp`."""
    shown = []
    for market_id, market in enumerate(world.listing.markets()):
        view = held.get(market.symbol)
        count = sum(1 for one in resting if one.symbol == market.symbol)
        if not count and view is None:
            continue
        entry: dict[str, Any] = {
            "marketId": market_id,
            "openOrders": count,
            "actionId": str(world.journal.last_id),
        }
        if view is not None:
            entry["perp"] = _perp(world, view)
        shown.append(entry)
    return shown


def _perp(world: World, view: PositionView) -> dict[str, Any]:
    instrument = world.listing.instrument(view.symbol)
    signed = world.settings.reads.signed_base_size
    lots = view.lots if signed else abs(view.lots)
    return {
        "baseSize": numbers.size(instrument, lots),
        "price": numbers.money(view.entry_price or Decimal(0)),
        "updatedFundingRateIndex": Decimal(0),
        "fundingPaymentPnl": numbers.money(view.funding),
        "sizePricePnl": numbers.money(view.unrealized_pnl or Decimal(0)),
        "isLong": view.lots > 0,
    }


ROUTES = (
    Route(path="/user/{pubkey}", handler=user),
    Route(path="/account/volume", handler=volume),
    Route(path="/account/{account}", handler=account),
    Route(path="/account/{account}/pubkey", handler=pubkey),
    Route(path="/account/{account}/orders", handler=orders),
    Route(path="/account/{account}/pnl", handler=pnl),
    Route(path="/account/{account}/history/liquidation", handler=liquidations),
    Route(path="/account/{account}/triggers", handler=triggers),
    Route(path="/account/{account}/triggers/history", handler=nothing),
    Route(path="/account/{account}/fee/tier", handler=tier),
    Route(path="/account/{account}/fees/withdrawal", handler=withdrawal_fee),
    Route(path="/order/{order}", handler=order),
    Route(path="/order/{order}/trades", handler=order_trades),
)
