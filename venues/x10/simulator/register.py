"""Orders as the venue knows them, by its number, the client's id and the engine's name.

Closed orders are kept in bounded number; ids and hashes are remembered longer than the orders.
"""

from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from desk.units import Lots, Side, Ticks

_REMEMBERED = 200_000


class Status(StrEnum):
    """An order's state on the wire (x10.md section 7)."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"


_OPEN = frozenset({Status.NEW, Status.PARTIALLY_FILLED})


@dataclass(slots=True, kw_only=True, eq=False)
class OrderRecord:
    """One order. `lots` is its whole size, `cost` ticks times lots filled, times are unix ms."""

    number: int
    external_id: str
    account: str
    symbol: str
    kind: str
    side: Side
    lots: Lots
    price: Ticks
    reduce_only: bool
    post_only: bool
    time_in_force: str
    expiry_ms: int
    created_ms: int
    updated_ms: int
    status: str = Status.NEW
    reason: str = "NONE"
    filled: Lots = 0
    cancelled: Lots = 0
    cost: int = 0
    fee: Decimal = Decimal(0)
    engine_id: str | None = None

    @property
    def open(self) -> bool:
        """Whether it may still fill."""
        return self.status in _OPEN


class Book:
    """One account's orders."""

    def __init__(self, history: int) -> None:
        self.by_number: dict[int, OrderRecord] = {}
        self.by_external: dict[str, OrderRecord] = {}
        self.open: dict[int, OrderRecord] = {}
        self.closed: deque[OrderRecord] = deque()
        self._history = history
        self._used: dict[str | int, None] = {}

    def used(self, external_id: str, message: int) -> bool:
        """Whether an accepted order had this id or this hash."""
        return external_id in self._used or message in self._used

    def use(self, external_id: str, message: int) -> None:
        """Remember both."""
        self._used[external_id] = self._used[message] = None
        while len(self._used) > _REMEMBERED:
            del self._used[next(iter(self._used))]

    def add(self, record: OrderRecord) -> None:
        """Take in a new order."""
        self.by_number[record.number] = record
        self.by_external[record.external_id] = record
        self.open[record.number] = record

    def drop(self, record: OrderRecord) -> None:
        """Forget an order that was never taken."""
        del self.by_number[record.number], self.by_external[record.external_id]
        del self.open[record.number]

    def retire(self, record: OrderRecord, *, keep: bool) -> None:
        """Move an ended order to history, or out of sight."""
        if self.open.pop(record.number, None) is None:
            return
        if keep:
            self.closed.append(record)
        else:
            self._forget(record)
        while len(self.closed) > self._history:
            self._forget(self.closed.popleft())

    def _forget(self, record: OrderRecord) -> None:
        self.by_number.pop(record.number, None)
        self.by_external.pop(record.external_id, None)


class Register:
    """All accounts' orders. In maker history, orders that end without a fill are not kept."""

    def __init__(self, *, history: int, maker_history: bool) -> None:
        self._history = history
        self._maker_history = maker_history
        self._books: dict[str, Book] = {}
        self._by_engine: dict[str, OrderRecord] = {}

    def of(self, account: str) -> Book:
        """One account's orders."""
        return self._books.setdefault(account, Book(self._history))

    def bind(self, record: OrderRecord, engine_id: str) -> None:
        """The engine gave the order a name."""
        record.engine_id = engine_id
        self._by_engine[engine_id] = record

    def of_engine(self, engine_id: str) -> OrderRecord | None:
        """By the engine's name; None for the crowd's orders and for ended ones."""
        return self._by_engine.get(engine_id)

    def open_orders(self) -> list[OrderRecord]:
        """Everybody's open orders."""
        return [record for book in self._books.values() for record in book.open.values()]

    def close(self, record: OrderRecord) -> None:
        """An order ended: it leaves the open ones."""
        if record.engine_id is not None:
            self._by_engine.pop(record.engine_id, None)
        keep = record.filled > 0 or not self._maker_history
        self.of(record.account).retire(record, keep=keep)
