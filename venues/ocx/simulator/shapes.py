"""How the engine's facts look on the wire: numbers as strings, times as ISO text.

One fill has one shape, so the stream and the REST reads agree to the letter.
"""

from decimal import Context, Decimal
from typing import Any

from desk.instrument import Instrument
from desk.units import Level
from venues.simulation.clock import iso_ms
from venues.simulation.orders import Order, OrderReport, OrderStatus
from venues.simulation.settlement import SETTLEMENT_TAG
from venues.simulation.views import AccountTrade, BalanceView, PositionView, PublicTrade

_CENT = Decimal("0.00000001")
_WIDE = Context(prec=80)


def money(value: Decimal) -> str:
    """Quote currency with at most eight decimals, no exponent."""
    text = format(value.quantize(_CENT, context=_WIDE), "f").rstrip("0").rstrip(".")
    return "0" if text in {"", "-0"} else text


def money_or_none(value: Decimal | None) -> str | None:
    """The same; None stays None."""
    return None if value is None else money(value)


def price_text(instrument: Instrument, ticks: int) -> str:
    """A price with the market's own decimals."""
    return format(instrument.tick_size * ticks, "f")


def size_text(instrument: Instrument, lots: int) -> str:
    """A size with the market's own decimals; nothing is "0"."""
    return format(instrument.lot_size * lots, "f") if lots else "0"


def levels(instrument: Instrument, side: list[Level]) -> list[dict[str, str]]:
    """Stream levels; `total` is the cumulative size from the best."""
    shown, total = [], 0
    for ticks, lots in side:
        total += lots
        shown.append(level(instrument, ticks, lots, total))
    return shown


def level(instrument: Instrument, ticks: int, lots: int, total: int) -> dict[str, str]:
    """One stream level."""
    return {
        "price": price_text(instrument, ticks),
        "size": size_text(instrument, lots),
        "total": size_text(instrument, total),
    }


def order(instrument: Instrument, entry: Order) -> dict[str, Any]:
    """An open order."""
    status = OrderStatus.PARTIALLY_FILLED if entry.filled else OrderStatus.OPEN
    return {
        "orderId": entry.order_id,
        "clientOrderId": entry.client_order_id,
        "quoteId": entry.tag,
        "marketId": entry.symbol,
        "side": entry.side.value,
        "type": "limit",
        "timeInForce": entry.time_in_force.value,
        "price": price_text(instrument, entry.price),
        "quantity": size_text(instrument, entry.lots),
        "filledQuantity": size_text(instrument, entry.filled),
        "remainingQuantity": size_text(instrument, entry.remaining),
        "status": status.value,
        "postOnly": entry.post_only,
        "reduceOnly": entry.reduce_only,
        "marginMode": entry.margin_mode,
        "createdAt": iso_ms(entry.created_ns // 1_000_000),
    }


def report(instrument: Instrument, entry: OrderReport) -> dict[str, Any]:
    """Answer to one accepted order."""
    return {
        "orderId": entry.order_id,
        "clientOrderId": entry.client_order_id,
        "marketId": entry.symbol,
        "status": entry.status.value,
        "filledQuantity": size_text(instrument, entry.filled),
        "remainingQuantity": size_text(instrument, entry.remaining),
        "averagePrice": money_or_none(entry.average_price),
    }


def stream_trade(instrument: Instrument, trade: AccountTrade, *, ids: bool) -> dict[str, Any]:
    """A fill on a stream: the documented minimum, with ids and fee only when asked for."""
    shown: dict[str, Any] = {
        "marketId": trade.symbol,
        "side": trade.side.value,
        "price": price_text(instrument, trade.price),
        "quantity": size_text(instrument, trade.lots),
        "liquidity": trade.liquidity.value,
        "createdAt": iso_ms(trade.at_ms),
    }
    if trade.tag == SETTLEMENT_TAG:
        # Nothing is charged for it, which no fee tier says.
        shown["fee"] = money(trade.fee)
    if ids:
        shown |= _trade_ids(trade)
    return shown


def own_trade(instrument: Instrument, trade: AccountTrade) -> dict[str, Any]:
    """A fill of an authenticated REST read."""
    return stream_trade(instrument, trade, ids=True)


def _trade_ids(trade: AccountTrade) -> dict[str, Any]:
    return {
        "tradeId": trade.trade_id,
        "orderId": trade.order_id,
        "clientOrderId": trade.client_order_id,
        "quoteId": trade.tag,
        "fee": money(trade.fee),
        "feeRole": trade.liquidity.value,
    }


def public_trade(instrument: Instrument, trade: PublicTrade) -> dict[str, Any]:
    """An execution as everybody sees it; `side` is the taker's."""
    return {
        "marketId": trade.symbol,
        "side": trade.aggressor.value,
        "price": price_text(instrument, trade.price),
        "quantity": size_text(instrument, trade.lots),
        "createdAt": iso_ms(trade.at_ms),
    }


def position(instrument: Instrument, view: PositionView) -> dict[str, Any]:
    """A position on streams and in `/perps/positions`."""
    return {
        "id": view.position_id,
        "marketId": view.symbol,
        "side": "short" if view.lots < 0 else "long",
        "quantity": size_text(instrument, abs(view.lots)),
        "entryPrice": money_or_none(view.entry_price),
        "realizedPnl": money(view.realized_pnl),
        "status": "open" if view.lots else "closed",
    }


def portfolio_position(instrument: Instrument, view: PositionView) -> dict[str, Any]:
    """A position in `/portfolio/me`."""
    return {
        "marketId": view.symbol,
        "side": "short" if view.lots < 0 else "long",
        "quantity": size_text(instrument, abs(view.lots)),
        "avgPrice": money_or_none(view.entry_price),
        "markPrice": money_or_none(view.mark),
        "unrealizedPnl": money_or_none(view.unrealized_pnl),
        "realizedPnl": money(view.realized_pnl),
        "fundingPayment": money(view.funding),
        "marginMode": "cross",
    }


def perps_balance(view: BalanceView) -> dict[str, str]:
    """`/perps/balances`; `walletBalance` is the cash of the perps bucket."""
    return {
        "equity": money(view.equity),
        "available": money(view.available),
        "initialMargin": money(view.initial_margin),
        "maintenanceMargin": money(view.maintenance_margin),
        "walletBalance": money(view.collateral),
        "unrealizedPnl": money(view.unrealized_pnl),
    }


def wallet_balance(view: BalanceView) -> dict[str, str]:
    """`/wallet/balance`: the four buckets."""
    return {
        "onchainDepositTotal": money(view.wallet + view.collateral + view.options + view.spot),
        "walletBalance": money(view.wallet),
        "perpsBalance": money(view.collateral),
        "optionsBalance": money(view.options),
        "spotBalance": money(view.spot),
        "pendingWithdrawalTotal": "0",
        "tradableBalance": money(view.available),
    }
