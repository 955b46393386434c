"""What keeping the books needs from the world: payments, breaks, reconciliation runs.

Adapters implement these; only the wiring knows both. Everything here raises `Unavailable`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from desk.breaks import Break, BreakDecision, FoundBreak
from desk.payments import Payment, PaymentKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """What a decision to take the venue's word books: never a fill, always with a name.

    `quantity` is signed base units of `symbol` at `price` (its worth then, so that no PnL arises);
    `amount` is quote currency. An account's money has no symbol and no quantity.
    """

    number: int
    venue: str
    account: str
    symbol: str | None
    quantity: Decimal
    price: Decimal | None
    amount: Decimal
    by: str
    reason: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedOrder:
    """An order that by our books rests: sent and not refused, and no end of it recorded."""

    symbol: str
    client_order_id: str
    sent_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountBooks:
    """Our side of one account at one moment.

    `positions` are signed base units by symbol, zero ones included; `last_trade_ms` the newest
    booked fill by symbol; `pnl` is the sum over its markets at their last mids, funding included,
    without those in `unpriced`, of which nobody can say what they made; `adjusted_ms` when a
    quantity was last adjusted, by symbol; `transfers` the sum of what was paid in and out;
    `adjusted` the sum of booked amounts.
    """

    positions: Mapping[str, Decimal]
    orders: Sequence[BookedOrder]
    last_trade_ms: Mapping[str, int] = field(default_factory=dict)
    pnl: Decimal = Decimal(0)
    transfers: Decimal = Decimal(0)
    adjusted: Decimal = Decimal(0)
    unpriced: Sequence[str] = ()
    adjusted_ms: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationRun:
    """One comparison of an account: both sides as they were read, and what differed.

    `kind` is what was compared (`orders`, `account`); `ours`, `theirs` and `differences` are JSON
    text. `requests` is how many venue requests it cost. `trouble` says why it could not compare.
    """

    run_id: str
    venue: str
    account: str
    kind: str
    began_ms: int
    ended_ms: int
    requests: int
    ours: str
    theirs: str
    differences: str
    found: int
    trouble: str = ""


class PaymentBook(Protocol):
    """Funding and transfers, each booked once."""

    async def book(self, payments: Sequence[Payment]) -> int:
        """Book payments not yet booked; how many were new."""

    async def last_ms(self, venue: str, account: str, kind: PaymentKind) -> int | None:
        """When the newest booked payment of a kind was made, unix milliseconds."""


class BreakBook(Protocol):
    """Breaks on record; at most one is open for each venue, account, symbol and kind."""

    async def open(self, found: FoundBreak) -> Break:
        """Record a break, or note that the one already open was seen again; the one on record."""

    async def standing(
        self, venue: str | None = None, account: str | None = None
    ) -> Sequence[Break]:
        """Open breaks, oldest first."""

    async def get(self, number: int) -> Break | None:
        """One break; None for an unknown number."""

    async def settle(
        self,
        number: int,
        decision: BreakDecision,
        by: str,
        reason: str,
        adjustment: Adjustment | None = None,
    ) -> bool:
        """Settle it and book what was decided, in one transaction; False when it was not open."""

    async def recent(self, limit: int) -> Sequence[Break]:
        """Breaks, newest first, settled ones too."""


class ReconciliationBook(Protocol):
    """Our side, and every comparison ever made."""

    async def books(self, venue: str, account: str) -> AccountBooks:
        """Our side of an account now."""

    async def record(self, run: ReconciliationRun) -> None:
        """Keep one run; recording it again changes nothing."""

    async def last(self, venue: str, account: str, kind: str) -> ReconciliationRun | None:
        """The newest run of a kind."""

    async def history(
        self, venue: str | None, account: str | None, since_ms: int, until_ms: int, limit: int
    ) -> Sequence[ReconciliationRun]:
        """Runs within a time, newest first."""
