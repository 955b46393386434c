"""Messages of the public streams: book deltas and trades, in every shape seen (zo.md section 3)."""

from collections.abc import Sequence
from typing import Any

from desk.units import NS_PER_MS, Level
from venues.simulation.clock import iso_ms
from venues.simulation.events import Trade
from venues.zo.simulator import numbers
from venues.zo.simulator.accountfeed import side_word
from venues.zo.simulator.bookfeed import BookDelta
from venues.zo.simulator.listing import Listing
from venues.zo.simulator.settings import LevelShape, TradesShape


class MarketFrames:
    """Writes public messages as the settings ask for."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._rules = listing.settings.streams
        self._update_ids: dict[str, int] = {}

    def delta(self, symbol: str, delta: BookDelta) -> dict[str, Any]:
        """One book delta."""
        body: dict[str, Any] = {
            "last_update_id": delta.last_update_id,
            "update_id": delta.update_id,
            "market_symbol": symbol,
            "bids": self._levels(symbol, delta.bids),
            "asks": self._levels(symbol, delta.asks),
        }
        if self._rules.timestamps:
            body["timestamp"] = self._listing.clock.told_ms()
        return {"delta": body}

    def trades(self, symbol: str, trades: Sequence[Trade]) -> list[dict[str, Any]]:
        """The messages that tell of one action's trades."""
        last = self._update_ids.get(symbol, 0)
        self._update_ids[symbol] = last + 1
        named: dict[str, Any] = {"market_symbol": symbol}
        match self._rules.trades:
            case TradesShape.FLAT:
                return [{"trades": named | self._flat(trade)} for trade in trades]
            case TradesShape.SDK:
                ids = {"last_update_id": last, "update_id": last + 1}
                shown = [self._shown(one) | self._maker(one) for one in trades]
                return [{"trades": ids | named | {"trades": shown}}]
            case TradesShape.LIVE:
                shown = [self._shown(one) | _stamp(one) for one in trades]
                return [{"trades": named | {"trades": shown}}]

    def _levels(self, symbol: str, levels: list[Level]) -> list[Any]:
        instrument = self._listing.instrument(symbol)
        pairs = [
            [numbers.price(instrument, ticks), numbers.size(instrument, lots)]
            for ticks, lots in levels
        ]
        if self._rules.levels is LevelShape.PAIR:
            return pairs
        return [{"price": price, "size": size} for price, size in pairs]

    def _shown(self, trade: Trade) -> dict[str, Any]:
        instrument = self._listing.instrument(trade.symbol)
        return {
            "side": side_word(trade.aggressor),
            "price": numbers.price(instrument, trade.price),
            "size": numbers.size(instrument, trade.lots),
        }

    def _maker(self, trade: Trade) -> dict[str, Any]:
        return {"order_id": str(self._listing.wire_id(trade.maker_order_id))}

    def _flat(self, trade: Trade) -> dict[str, Any]:
        shown = self._shown(trade)
        return {
            "trade_id": int(trade.trade_id[1:]),
            "price": shown["price"],
            "base_size": shown["size"],
            "taker_side": shown["side"],
            "time": iso_ms(trade.at_ns // NS_PER_MS),
        }


def _stamp(trade: Trade) -> dict[str, Any]:
    return {
        "trade_id": int(trade.trade_id[1:]),
        "physical_time": iso_ms(trade.at_ns // NS_PER_MS),
    }
