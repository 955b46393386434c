"""What a run over a set needs from the world: its legs, connected and leased, and the ports."""

from dataclasses import dataclass, field

from desk.arbitrage_ports import ArbitrageBook, ClaimPort, WaiverBook
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.permit import Permit
from desk.ports import (
    Clock,
    KillBoard,
    KillFile,
    LeasePort,
    LedgerReader,
    LedgerWriter,
    Venue,
)
from quoting.gates import Gates


@dataclass(frozen=True, slots=True, kw_only=True)
class LegMarket:
    """One market of a set, leased under `epoch`, a fresh one for each run.

    `permit` begins empty; the run keeps it. `instrument` is as the venue lists it now.
    """

    market: MarketId
    venue: Venue
    instrument: Instrument
    epoch: int
    permit: Permit


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPorts:
    """Shared by all sets of a process."""

    lease: LeasePort
    board: KillBoard
    kill_file: KillFile
    writer: LedgerWriter
    ledger: LedgerReader
    claims: ClaimPort
    trades: ArbitrageBook
    waivers: WaiverBook
    clock: Clock
    gates: Gates = field(default_factory=Gates)


@dataclass(frozen=True, slots=True, kw_only=True)
class LegPorts:
    """What keeps one leg's permit fresh (`quoting.watch.WatchedPorts`)."""

    venue: Venue
    lease: LeasePort
    board: KillBoard
    ledger: LedgerWriter
    clock: Clock
    gates: Gates

    @classmethod
    def of(cls, leg: LegMarket, ports: SetPorts) -> "LegPorts":
        """Of one leg of a set."""
        return cls(
            venue=leg.venue,
            lease=ports.lease,
            board=ports.board,
            ledger=ports.writer,
            clock=ports.clock,
            gates=ports.gates,
        )
