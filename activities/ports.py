"""What activities are given when a worker starts; they hold nothing else."""

from collections.abc import Callable
from dataclasses import dataclass

from desk.control_ports import KillAnswers, LostLeases
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
from quoting.dispatch import SessionMeter


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityPorts:
    """Adapters, made by the wiring. `worker` names this process in leases and records."""

    worker: str
    venues: VenueDirectory
    lease: LeasePort
    lost: LostLeases
    board: KillBoard
    kill_file: KillFile
    writer: LedgerWriter
    ledger: LedgerReader
    hedges: HedgeBook
    answers: KillAnswers
    alerts: AlertPort
    clock: Clock
    meter: Callable[[MarketId], SessionMeter]
