"""What activities are given when a worker starts; they hold nothing else."""

from collections.abc import Callable
from dataclasses import dataclass, field

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
from desk.trading_day import DayRule
from quoting.dispatch import SessionMeter
from quoting.funds import Funds
from quoting.gates import Gates


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityPorts:
    """Adapters, made by the wiring. `worker` names this process in leases and records."""

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
    answers: KillAnswers
    ownership: OwnershipBook
    losses: LossBook
    days: DayRule
    drills: DrillGround
    alerts: AlertPort
    clock: Clock
    meter: Callable[[MarketId], SessionMeter]
    gates: Gates = field(default_factory=Gates)
    funds: Funds = field(default_factory=Funds)
    fleet: str = "main"
