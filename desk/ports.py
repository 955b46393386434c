"""What decisions need from the world. Adapters implement these; only the wiring knows both.

Every method says which errors come out: `Refused` (the venue said no), `NotSent` (safe to repeat),
`Unresolved` (unknown, never repeat blindly), `Unavailable` (one of our own services).
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from desk.identity import MarketId
from desk.instrument import Instrument
from desk.market import FeedEvent
from desk.orders import (
    AccountEvent,
    Balance,
    Batch,
    BatchOutcome,
    CancelOutcome,
    Fill,
    VenueOrder,
    VenuePosition,
)
from desk.payments import Payment, PaymentKind
from desk.rate_ports import RequestPurse
from desk.records import ControlDecision, HedgeObligation, Kill, LedgerFacts, LedgerRecord
from desk.risk.approval import Approved
from desk.sources import Source, SourceView


class Clock(Protocol):
    """Time as a parameter."""

    def monotonic_ns(self) -> int:
        """Nanoseconds that never go back; for ages and deadlines."""

    def wall_ns(self) -> int:
        """Unix nanoseconds; for records and for the venue's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a venue can do; planning and the conformance suite read it, never the venue's name."""

    atomic_ladder: bool
    replaces_orders: bool
    pushes_order_updates: bool
    """An accepted order is only acknowledged: an `OrderUpdate` says when it rests, and ends it."""
    pushes_trade_ids: bool
    fills_name_orders: bool
    """A fill carries the id of its order whenever the venue acknowledged that order."""
    venue_dead_man: bool
    finds_by_client_id: bool
    max_batch_orders: int
    client_order_id_length: int
    settling_ms: int
    """How long after a cancel confirmation a fill or a resting order may still appear."""
    batches_overlap: bool = False
    """A market's next batch may leave before the last was answered (`ExecutionPort.send`)."""
    ids_refused_for_good: bool = False
    """A client order id is refused once it was used, also after its order has ended."""
    closes_positions: bool = False
    """The venue closes a position by itself, at any price (`ExecutionPort.close`)."""
    tells_payments: frozenset[PaymentKind] = frozenset()
    """Payments the venue lists (`AccountPort.payments`); of others only equity tells."""


class FeedPort(Protocol):
    """Public book of one market."""

    async def run(self, instrument: Instrument, sink: Callable[[FeedEvent], None]) -> None:
        """Deliver events until cancelled. Reconnects by itself; every loss is told first."""

    def resnapshot(self, symbol: str, reason: str) -> None:
        """Drop the connection of this market's feed and start over from a snapshot."""


class AccountPort(Protocol):
    """Our account at the venue. Reads raise Refused, NotSent or Unresolved."""

    async def run(self, instrument: Instrument, sink: Callable[[AccountEvent], None]) -> None:
        """Deliver this market's account events until cancelled; one stream serves all markets.

        A new subscriber first gets an AccountSnapshot (or AccountLost, and the snapshot later).
        """

    async def open_orders(self, instrument: Instrument | None) -> Sequence[VenueOrder]:
        """Everything resting, of one market or of all (symbols we do not know are kept)."""

    async def position(self, instrument: Instrument) -> VenuePosition:
        """Signed position; zero lots when the venue lists none."""

    async def held(self) -> Sequence[str]:
        """Symbols in which the account holds a position, also such that we cannot trade."""

    async def fills(self, instrument: Instrument, since_ms: int) -> Sequence[Fill]:
        """Own fills since a venue wall-clock time, oldest first, all pages.

        Raises OutOfReach as well, where the venue keeps no history that long.
        """

    async def balance(self) -> Balance:
        """Collateral that backs quoting."""

    async def payments(self, since_ms: int, kind: PaymentKind | None = None) -> Sequence[Payment]:
        """Funding and transfers since a venue wall-clock time, oldest first, all pages.

        Of one kind, or of both. Raises OutOfReach as `fills` does.
        """

    @property
    def sources(self) -> Sequence[Source]:
        """Ways in which this venue tells of our account, the most authoritative first."""

    async def views(self) -> Sequence[SourceView]:
        """What each source says now, in the order of `sources`; one that cannot say is left out.

        Positions in markets that `Venue.instruments` never listed to this process are in units of
        1e-8 base units.
        """


class ExecutionPort(Protocol):
    """Orders out."""

    def send(self, batch: Approved[Batch], instrument: Instrument) -> Awaitable[BatchOutcome]:
        """Send a batch. With an idle connection the bytes are on the socket when this returns.

        The awaitable never raises for what a venue does: it answers with a BatchOutcome, also
        when unresolved. Cancelling it leaves the outcome unknown. Orders that cannot leave within
        half a second are answered as NOT_SENT (`send_by_ns`), exits excepted.
        """

    async def cancel_all(self, instrument: Instrument | None) -> CancelOutcome:
        """Cancel everything of one market, or of the account. Own connection, reserved budget.

        Raises Refused, NotSent or Unresolved; repeating is always safe.
        """

    async def cancel(self, instrument: Instrument, client_order_id: str) -> CancelOutcome:
        """Cancel one order; an order the venue does not know counts as confirmed."""

    async def find(self, instrument: Instrument, client_order_id: str) -> VenueOrder | None:
        """The resting order with this id, None when the venue knows of none resting."""

    async def close(self, batch: Approved[Batch], instrument: Instrument) -> BatchOutcome:
        """Have the venue close as much of the position as the batch's one order says, at any price.

        The order is reduce-only; its price is not sent. Answers as `send` does. Where
        `Capabilities.closes_positions` is False the order is rejected and nothing is sent.
        ValueError for any other batch.
        """


class DeadManPort(Protocol):
    """The venue's own timer: when it runs out, the venue cancels every order of the account.

    One for all markets of an account in this process; holders are market paths.
    """

    async def keep(self, holder: str) -> int:
        """Arm or renew; monotonic nanoseconds until when the venue certainly waits.

        Asks the venue only when a third of the timer has gone by since the last renewal. Raises
        Refused, NotSent or Unresolved when it had to ask; the timer may then be running out.
        """

    async def release(self, holder: str) -> bool:
        """Nothing of this holder rests any more. The last holder disarms; True when disarmed.

        A holder that has not kept it for as long as the timer runs is none any more. Stays armed
        (False) while others hold it or the venue lists any order of the account. Raises as `keep`
        does; the timer then runs out by itself, which is safe.
        """


class Venue(Protocol):
    """One account at one venue, connected."""

    @property
    def capabilities(self) -> Capabilities:
        """What this venue can do."""

    @property
    def feed(self) -> FeedPort:
        """Public data."""

    @property
    def account(self) -> AccountPort:
        """Private data."""

    @property
    def execution(self) -> ExecutionPort:
        """Orders."""

    @property
    def dead_man(self) -> DeadManPort | None:
        """The venue's timer; None where `Capabilities.venue_dead_man` is False."""

    @property
    def requests(self) -> int:
        """Read requests sent so far in this process, repeats and sign-ins counted.

        What goes out through `execution` is left out, except its reads (`find`), and so are
        streams. The difference over a call is what it cost, at most: others may read meanwhile.
        """

    @property
    def purse(self) -> RequestPurse | None:
        """Its part of the rate budget that the fleet shares; None where it has one of its own."""

    async def run(self) -> None:
        """Hold shared streams, sessions and budgets until cancelled; never ends by an error."""

    async def instruments(self) -> Sequence[Instrument]:
        """Markets we can read, with this account's fees; only `active` ones may be quoted.

        One that the venue lists no more stays in the list, not active: its orders and position may
        still have to be taken away.
        """

    async def clock_offset_ms(self) -> int:
        """Venue clock minus ours, from a cheap read; raises as reads do."""

    async def diagnose(self) -> Sequence[str]:
        """What of our keys and settings the venue does not agree with; empty when it agrees.

        Each is a sentence with the remedy. Changes nothing at the venue; raises as reads do.
        """

    async def close(self) -> None:
        """Close connections."""


class VenueDirectory(Protocol):
    """Venues by name and account, opened once and shared by all markets of a process."""

    async def venue(self, name: str, account: str) -> Venue:
        """Connected venue; ConfigurationFault for unknown names or bad settings."""


class LeasePort(Protocol):
    """Right to quote a market, with a fencing epoch. All raise Unavailable."""

    async def acquire(self, market: MarketId, epoch: int, owner: str, ttl_ms: int) -> bool:
        """Take the lease unless somebody else's is unexpired or a higher epoch was seen."""

    async def renew(self, market: MarketId, epoch: int, owner: str, ttl_ms: int) -> bool:
        """Extend our own lease; False when it is no longer ours."""

    async def release(self, market: MarketId, epoch: int, owner: str) -> bool:
        """Give it up in good order; False when it was not ours."""

    async def fence(self, market: MarketId) -> int:
        """The highest epoch that ever held it; 0 when none is remembered."""

    async def shared(self, market: MarketId) -> bool:
        """Whether another market of the same venue and account is held, or was lost unreleased."""


class KillBoard(Protocol):
    """Fast copy of the kills in force. Absence of knowledge means no."""

    async def kills(self, market: MarketId) -> tuple[Kill, ...]:
        """Kills whose scope covers this market. Unavailable when unreachable or never armed."""

    async def watch(self, sink: Callable[[], None]) -> None:
        """Call `sink` whenever the board changed, until cancelled. Raises Unavailable."""

    async def set(self, kill: Kill) -> None:
        """Put a kill on the board and tell everybody."""

    async def named(self, scope: str) -> frozenset[int]:
        """`at_ms` of every kill that stands at exactly this scope, also while never armed."""

    async def lift(self, scope: str, at_ms: Collection[int]) -> bool:
        """Take exactly these kills off the board; False when none of them stood at that scope.

        Any other kill there, set before or after, keeps the scope stopped.
        """

    async def armed(self) -> bool:
        """Whether it was armed since Redis was last emptied. Unavailable when unreachable."""

    async def rearm(self, kills: Sequence[Kill]) -> None:
        """Put every kill of the durable record on the board, and mark it armed.

        It only adds: a kill that the record does not know yet stays until somebody lifts it, and
        one that was lifted after the record was read is not put back.
        """


class KillFile(Protocol):
    """`state/KILL` on this machine."""

    def present(self) -> bool:
        """Whether the file exists (or cannot be checked, which counts as present)."""


class LedgerWriter(Protocol):
    """Bounded background writer of one process; `record` never blocks and never raises."""

    def record(self, record: LedgerRecord) -> None:
        """Queue one record; oldest first, nothing dropped while the process lives."""

    def behind_s(self) -> float:
        """Age in seconds of the oldest record not yet written; 0 when all is written."""

    def unrecorded(self, market: MarketId) -> int:
        """Orders of this market recorded as sent and not in Postgres yet."""

    async def flush(self, timeout_s: float) -> bool:
        """Wait until everything queued so far is in Postgres; False on time-out."""


class LedgerReader(Protocol):
    """Reads and rare writes that wait for Postgres. All raise Unavailable."""

    async def open_epoch(
        self, market: MarketId, owner: str, run_id: str, *, beyond: int = 0
    ) -> int:
        """Next epoch of a market, above `beyond` as well, recorded with who opened it."""

    async def remember_instrument(self, instrument: Instrument) -> None:
        """Keep tick, lot and multiplier, so that ticks and lots can be read as money later."""

    async def facts(self, market: MarketId, life_epoch: int) -> LedgerFacts:
        """Folds over this market's fills: count, position, cash, fees, last trade time.

        `peak_pnl` is the highest equity mark since `life_epoch`, None when there is none.
        """

    async def fills(self, market: MarketId, since_ms: int = 0) -> Sequence[Fill]:
        """Booked fills of a market since a venue wall-clock time, oldest first."""

    async def book_fills(self, market: MarketId, fills: Sequence[Fill]) -> int:
        """Book fills not yet booked (unique by venue, account, trade id); how many were new."""

    async def recorded_orders(
        self, market: MarketId, client_order_ids: Collection[str]
    ) -> frozenset[str]:
        """Which of these orders are on record, be it as sent, answered or ended."""

    async def end_orders(self, market: MarketId, epoch: int, how: str, at_ms: int) -> int:
        """Record that nothing of this epoch and older ones rests; how many orders had no end."""

    async def record_decision(self, decision: ControlDecision) -> None:
        """Record one control decision durably."""

    async def active_kills(self) -> Sequence[Kill]:
        """The kills in force, from the durable record."""

    async def set_kill(self, kill: Kill) -> None:
        """Record a kill durably, in place of another in force at its scope.

        One that was recorded before, by scope and time, changes nothing.
        """

    async def lift_kill(self, scope: str, at_ms: int, by: str, reason: str) -> bool:
        """Record that the kill set at this scope and time was lifted; False when not in force.

        One the record does not know yet is kept as lifted, so that it cannot come late.
        """


class HedgeBook(Protocol):
    """Hedges owed, durably; at most one is open for a hedge market. All raise Unavailable."""

    async def quantity(self, market: MarketId) -> Decimal:
        """Signed base units that a market's booked fills add up to; zero when it never traded."""

    async def open_for(self, hedge: MarketId) -> HedgeObligation | None:
        """The open obligation at a hedge market."""

    async def owe(
        self, source: MarketId, hedge: MarketId, epoch: int, owed: int, position: int
    ) -> HedgeObligation:
        """Open an obligation of signed lots at this position, or give the one already open."""

    async def progress(self, number: int, owed: int, position: int) -> bool:
        """Note what is owed now, and the ledger's position; False when it is not open."""

    async def discharge(self, number: int, source: Decimal, hedge: Decimal, reason: str) -> bool:
        """Close it as done by fills, if the ledger holds exactly these base units; else False."""

    async def release(self, number: int, by: str, reason: str) -> bool:
        """Close it by a named decision; False when it is not open."""

    async def recent(self, source: MarketId, limit: int) -> Sequence[HedgeObligation]:
        """Obligations of a source market, newest first."""


class AlertPort(Protocol):
    """Tells a person. Raises Unavailable."""

    async def alert(self, market: MarketId | None, severity: str, text: str) -> None:
        """Raise one alert: it is recorded, logged, and shown."""
