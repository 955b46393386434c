"""How the venue's facts look on the wire: decimals as fixed-point text, times in milliseconds.

REST and streams use the same shapes (x10.md section 11).
"""

from decimal import Context, Decimal
from typing import Any

from desk.instrument import Instrument
from desk.orders import Liquidity
from desk.units import Side
from venues.simulation.views import AccountTrade, BalanceView, PositionView, PublicTrade
from venues.x10.simulator.numbers import trade_number
from venues.x10.simulator.register import OrderRecord

_WIDE = Context(prec=80)
_SIDES = {Side.BUY: "BUY", Side.SELL: "SELL"}


def plain(value: Decimal, places: int = 8) -> str:
    """A decimal without exponent, with at most so many decimals."""
    text = format(value.quantize(Decimal(1).scaleb(-places), context=_WIDE), "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def price(instrument: Instrument, ticks: int) -> str:
    """A price with the market's own decimals."""
    return format(instrument.tick_size * ticks, "f")


def size(instrument: Instrument, lots: int) -> str:
    """A size with the market's own decimals."""
    return format(instrument.lot_size * lots, "f")


def side(which: Side) -> str:
    """An order's side."""
    return _SIDES[which]


def order(instrument: Instrument, account: int, record: OrderRecord) -> dict[str, Any]:
    """An order; the expiry stands under both names it goes by."""
    shown: dict[str, Any] = {
        "id": record.number,
        "accountId": account,
        "externalId": record.external_id,
        "market": record.symbol,
        "type": record.kind,
        "side": side(record.side),
        "status": str(record.status),
        "statusReason": record.reason,
        "price": price(instrument, record.price),
        "qty": size(instrument, record.lots),
        "filledQty": size(instrument, record.filled),
        "cancelledQty": size(instrument, record.cancelled),
        "payedFee": plain(record.fee),
        "reduceOnly": record.reduce_only,
        "postOnly": record.post_only,
        "timeInForce": record.time_in_force,
        "createdTime": record.created_ms,
        "updatedTime": record.updated_ms,
        "expireTime": record.expiry_ms,
        "expiryTime": record.expiry_ms,
    }
    if record.filled:
        shown["averagePrice"] = plain(instrument.tick_size * record.cost / record.filled)
    return shown


def fill(
    instrument: Instrument, account: int, order_number: int, trade: AccountTrade
) -> dict[str, Any]:
    """An execution of the account."""
    return {
        "id": trade_number(trade.trade_id),
        "accountId": account,
        "market": trade.symbol,
        "orderId": order_number,
        "externalOrderId": trade.client_order_id or "",
        "side": side(trade.side),
        "price": price(instrument, trade.price),
        "qty": size(instrument, trade.lots),
        "value": plain(instrument.notional(trade.price, trade.lots)),
        "fee": plain(trade.fee),
        "tradeType": "LIQUIDATION" if trade.tag == "liquidation" else "TRADE",
        "createdTime": trade.at_ms,
        "isTaker": trade.liquidity is Liquidity.TAKER,
    }


def public_trade(instrument: Instrument, trade: PublicTrade) -> dict[str, Any]:
    """An execution as everybody sees it."""
    return {
        "i": trade_number(trade.trade_id),
        "m": trade.symbol,
        "S": side(trade.aggressor),
        "tT": "TRADE",
        "T": trade.at_ms,
        "p": price(instrument, trade.price),
        "q": size(instrument, trade.lots),
    }


def worth(instrument: Instrument, view: PositionView) -> Decimal:
    """Unsigned value of a position at the mark."""
    return instrument.quantity(abs(view.lots)) * _mark(view)


def _mark(view: PositionView) -> Decimal:
    return view.mark if view.mark is not None else view.entry_price or Decimal(0)


def position(
    instrument: Instrument, *, number: int, account: int, leverage: Decimal, view: PositionView
) -> dict[str, Any]:
    """A position; one that was closed has size 0. Times stand under both their names."""
    mark = _mark(view)
    quantity = instrument.quantity(abs(view.lots))
    return {
        "id": number,
        "accountId": account,
        "market": view.symbol,
        "status": "OPENED" if view.lots else "CLOSED",
        "side": "SHORT" if view.lots < 0 else "LONG",
        "leverage": plain(leverage),
        "size": format(quantity, "f"),
        "value": plain(worth(instrument, view)),
        "openPrice": plain(view.entry_price or Decimal(0)),
        "markPrice": plain(mark),
        "unrealisedPnl": plain(view.unrealized_pnl or Decimal(0)),
        "realisedPnl": plain(view.realized_pnl - view.fees + view.funding),
        "createdAt": view.updated_ms,
        "createdTime": view.updated_ms,
        "updatedAt": view.updated_ms,
        "updatedTime": view.updated_ms,
    }


def balance(view: BalanceView, exposure: Decimal, now_ms: int) -> dict[str, Any]:
    """The account's collateral (sections 11.3 and 18)."""
    ratio = view.maintenance_margin / view.equity if view.equity > 0 else Decimal(0)
    return {
        "collateralName": "USD",
        "balance": plain(view.collateral, 6),
        "status": "ACTIVE",
        "equity": plain(view.equity, 6),
        "availableForTrade": plain(view.available, 6),
        "availableForWithdrawal": plain(min(view.available, max(view.collateral, Decimal(0))), 6),
        "unrealisedPnl": plain(view.unrealized_pnl, 6),
        "initialMargin": plain(view.initial_margin, 6),
        "marginRatio": plain(ratio, 6),
        "exposure": plain(exposure, 6),
        "updatedTime": now_ms,
    }
