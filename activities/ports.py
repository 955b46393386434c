"""What activities are given when a worker starts; they hold nothing else."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from desk.arbitrage_caps import CapRule
from desk.arbitrage_ports import ArbitrageBook, ClaimPort, WaiverBook
from desk.book_ports import BreakBook, PaymentBook, ReconciliationBook
from desk.break_rules import BreakRule
from desk.control_ports import KillAnswers, LeaseHolders, LossBook, LostLeases, OwnershipBook
from desk.drill_ports import DrillGround
from desk.identity import MarketId
from desk.ports import (
    AlertPort,
    Clock,
    HedgeBook,
    KillBoard,
    KillFile,
    LeasePort,
    LedgerReader,
    LedgerWriter,
    VenueDirectory,
)
from desk.state_ports import SavedFiles
from desk.trading_day import DayRule
from quoting.dispatch import SessionMeter
from quoting.file_thread import FileThread
from quoting.funds import Funds
from quoting.gates import Gates
from quoting.trace import Traces


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityPorts:
    """Adapters, made by the wiring. `worker` names this process in leases and records.

    `upkeep` makes one round over the tables that grow, and says in a sentence what it did. Only
    `disk` waits for `saved`.
    """

    worker: str
    venues: VenueDirectory
    lease: LeasePort
    lost: LostLeases
    holders: LeaseHolders
    board: KillBoard
    kill_file: KillFile
    writer: LedgerWriter
    ledger: LedgerReader
    hedges: HedgeBook
    claims: ClaimPort
    trades: ArbitrageBook
    waivers: WaiverBook
    answers: KillAnswers
    ownership: OwnershipBook
    losses: LossBook
    payments: PaymentBook
    breaks: BreakBook
    reconciliations: ReconciliationBook
    upkeep: Callable[[], Awaitable[str]]
    days: DayRule
    drills: DrillGround
    alerts: AlertPort
    clock: Clock
    meter: Callable[[MarketId], SessionMeter]
    break_rules: tuple[BreakRule, ...] = ()
    cap_rules: tuple[CapRule, ...] = ()
    gates: Gates = field(default_factory=Gates)
    funds: Funds = field(default_factory=Funds)
    traces: Traces = field(default_factory=Traces)
    saved: SavedFiles | None = None
    disk: FileThread = field(default_factory=lambda: FileThread("saved states"))
    holds_on_trace: bool = True
    max_unrecorded_intents: int = 200
    log: Callable[[str], object] = lambda _: None
    fleet: str = "main"
