"""What became of every order of the customers, open and finished, as order summaries need it.

Fed by the engine's events; the oldest finished orders are forgotten first.
"""

from dataclasses import dataclass
from typing import TypeAlias

from desk.orders import TimeInForce
from desk.units import Lots, Side, Ticks
from venues.simulation.clockwork import LIQUIDATION_TAG
from venues.simulation.events import CancelReason, OrderAccepted, OrderCancelled, Trade

OrderEvent: TypeAlias = OrderAccepted | OrderCancelled | Trade


@dataclass(slots=True, kw_only=True)
class Entry:
    """One order. Times are wall nanoseconds; `finished` is the venue's word, None while open."""

    order_id: str
    client_order_id: str | None
    account: str
    symbol: str
    side: Side
    price: Ticks | None
    asked: Lots
    left: Lots
    time_in_force: TimeInForce
    post_only: bool
    reduce_only: bool
    origin: str
    added_ns: int
    updated_ns: int
    action_id: int
    filled: Lots = 0
    took: bool = False
    trade: int = 0
    finished: str | None = None

    @property
    def rests(self) -> bool:
        """Whether it is on the book."""
        return self.finished is None and self.left > 0

    @property
    def fill_mode(self) -> str:
        """As order summaries spell it."""
        if self.post_only:
            return "PostOnly"
        return {
            TimeInForce.GTC: "Limit",
            TimeInForce.IOC: "ImmediateOrCancel",
            TimeInForce.FOK: "FillOrKill",
        }[self.time_in_force]


class Register:
    """Orders by engine id, and by account in the order they came."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._entries: dict[str, Entry] = {}
        self._by_account: dict[str, dict[str, Entry]] = {}

    def order(self, order_id: str) -> Entry | None:
        """An order, open or finished."""
        return self._entries.get(order_id)

    def of(self, account: str) -> list[Entry]:
        """An account's orders, newest first."""
        return list(reversed(self._by_account.get(account, {}).values()))

    def take(self, event: OrderEvent, action_id: int) -> None:
        """Learn from an event."""
        match event:
            case OrderAccepted():
                self._add(event, action_id)
            case OrderCancelled():
                self._cancelled(event, action_id)
            case Trade():
                self._traded(event, action_id)

    def _add(self, event: OrderAccepted, action_id: int) -> None:
        entry = Entry(
            order_id=event.order_id,
            client_order_id=event.client_order_id,
            account=event.account,
            symbol=event.symbol,
            side=event.side,
            price=event.price,
            asked=event.lots,
            left=event.lots,
            time_in_force=event.time_in_force,
            post_only=event.post_only,
            reduce_only=event.reduce_only,
            origin="Liquidation" if event.tag == LIQUIDATION_TAG else "User",
            added_ns=event.at_ns,
            updated_ns=event.at_ns,
            action_id=action_id,
        )
        self._entries[entry.order_id] = entry
        self._by_account.setdefault(entry.account, {})[entry.order_id] = entry
        if len(self._entries) > self._keep:
            self._forget()

    def _cancelled(self, event: OrderCancelled, action_id: int) -> None:
        entry = self._touched(event.order_id, event.at_ns, action_id)
        if entry is None:
            return
        entry.left = event.remaining
        if event.remaining == 0:
            dropped = event.reason is CancelReason.NOT_FILLED and entry.filled > 0
            entry.finished = "Taken" if dropped else "Canceled"

    def _traded(self, event: Trade, action_id: int) -> None:
        sides = (
            (event.maker_order_id, event.maker_remaining, False),
            (event.taker_order_id, event.taker_remaining, True),
        )
        for order_id, remaining, took in sides:
            entry = self._touched(order_id, event.at_ns, action_id)
            if entry is None:
                continue
            entry.filled += event.lots
            entry.left = remaining
            entry.took = entry.took or took
            entry.trade = int(event.trade_id[1:])
            if remaining == 0:
                entry.finished = "Taken" if took else "Filled"

    def _touched(self, order_id: str, at_ns: int, action_id: int) -> Entry | None:
        entry = self._entries.get(order_id)
        if entry is not None:
            entry.updated_ns = at_ns
            entry.action_id = action_id
        return entry

    def _forget(self) -> None:
        oldest = next((one for one in self._entries.values() if one.finished is not None), None)
        if oldest is not None:
            del self._entries[oldest.order_id]
            del self._by_account[oldest.account][oldest.order_id]
