"""All executions the venue shows, newest first, and how it shows one (zo.md section 2.3)."""

from collections import deque
from typing import Any

from desk.units import NS_PER_MS
from venues.simulation.clock import iso_ms
from venues.simulation.events import Trade
from venues.zo.simulator import numbers
from venues.zo.simulator.accountfeed import side_word
from venues.zo.simulator.listing import Listing
from venues.zo.simulator.users import Directory

_KEPT = 50_000


class Ledger:
    """Executions of everybody, bounded; customers' are kept apart, so none is crowded out."""

    def __init__(self, listing: Listing, users: Directory, keep: int) -> None:
        self._listing = listing
        self._users = users
        self._all: deque[tuple[Trade, int]] = deque(maxlen=_KEPT)
        self._by_account: dict[str, deque[Trade]] = {}
        self._keep = keep
        self._actions: dict[str, int] = {}

    def take(self, trade: Trade, action_id: int) -> None:
        """Keep an execution."""
        self._all.append((trade, action_id))
        for name in {trade.maker, trade.taker}:
            if self._users.named(name) is not None:
                self._by_account.setdefault(name, deque(maxlen=self._keep)).append(trade)
                self._actions[trade.trade_id] = action_id

    def latest(self) -> list[Trade]:
        """Everybody's executions, newest first."""
        return [trade for trade, _ in reversed(self._all)]

    def of(self, account: str) -> list[Trade]:
        """A customer's executions, newest first."""
        return list(reversed(self._by_account.get(account, ())))

    def shown(self, trade: Trade) -> dict[str, Any]:
        """JSON-ready."""
        instrument = self._listing.instrument(trade.symbol)
        return {
            "time": iso_ms(trade.at_ns // NS_PER_MS),
            "actionId": str(self._actions.get(trade.trade_id, 0)),
            "tradeId": str(int(trade.trade_id[1:])),
            "takerId": self._users.number(trade.taker),
            "takerSide": side_word(trade.aggressor),
            "makerId": self._users.number(trade.maker),
            "marketId": self._listing.market_id(trade.symbol),
            "orderId": str(self._listing.wire_id(trade.maker_order_id)),
            "price": numbers.price(instrument, trade.price),
            "baseSize": numbers.size(instrument, trade.lots),
        }
