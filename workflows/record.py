"""What a market's workflow remembers: one value that survives continue-as-new whole."""

from activities.messages import SessionResult
from desk.lifecycle import Command, MarketState
from quoting.agreement import StandDownReport
from quoting.exit import FlattenSliceReport
from quoting.progress import SessionProgress
from workflows.messages import (
    CarriedState,
    FinalFacts,
    FlattenStep,
    MarketResult,
    MarketStatus,
    Request,
    StartMarket,
    StateChange,
)

_KEPT = 100


class MarketRecord:
    """State, counters and history of one market's life; no decisions, no Temporal."""

    def __init__(self, start: StartMarket) -> None:
        carried = start.carried or CarriedState(
            state=MarketState.STARTING, life_epoch=0, parameters=start.parameters
        )
        self.market = start.market
        self.state = carried.state
        self.life_epoch = carried.life_epoch
        self.parameters = carried.parameters
        self.sessions, self.holds = carried.sessions, carried.holds
        self.command, self.reason, self.by = carried.command, carried.reason, carried.by
        self.cycles, self.requotes, self.fills = carried.cycles, carried.requotes, carried.fills
        self.exit_steps = carried.exit_steps
        self.sigma_bps = carried.sigma_bps
        self.history = list(carried.history)
        self.slices = list(carried.flatten_steps)
        self.epoch: int | None = None
        self._counted: int | None = None
        self.progress: SessionProgress | None = None
        self.final: FinalFacts | None = None

    def note(self, state: MarketState, reason: str, at: str) -> None:
        """A new state begins."""
        self.state, self.reason = state, reason
        self.history.append(StateChange(state=state, at=at, reason=reason))
        del self.history[:-_KEPT]

    def asked(self, command: Command, request: Request) -> None:
        """A person asked for something."""
        self.command, self.reason, self.by = command, request.reason, request.by

    def took_session(self, result: SessionResult) -> None:
        """A session ended: its counters join ours."""
        self.epoch, self.progress = result.epoch, result.progress
        self._counted = result.progress.epoch
        self.sessions += 1
        self.cycles += result.progress.cycles
        self.requotes += result.progress.requotes
        self.fills += result.progress.fills
        self.sigma_bps = result.progress.sigma_bps or self.sigma_bps

    def took_slice(self, report: FlattenSliceReport) -> None:
        """A slice of a flatten was sent."""
        self.exit_steps += 1
        self.slices.append(
            FlattenStep(
                step=report.step,
                before=report.position_before,
                after=report.position_after,
                outcome=report.outcome,
            )
        )
        del self.slices[:-_KEPT]

    def took_last_look(self, report: StandDownReport) -> None:
        """The stand-down's evidence."""
        self.final = FinalFacts(
            venue_open_orders=report.venue_open_orders,
            venue_position=report.venue_position,
            ledger_position=report.ledger_position,
            venue_fills=report.venue_fills,
            ledger_fills=report.ledger_fills,
            ledger_equals_venue=report.ledger_equals_venue,
            difference=report.difference,
            pnl=report.pnl,
        )

    def carried(self) -> CarriedState:
        """What the next run starts from."""
        return CarriedState(
            state=self.state,
            life_epoch=self.life_epoch,
            parameters=self.parameters,
            sessions=self.sessions,
            holds=self.holds,
            command=self.command,
            reason=self.reason,
            by=self.by,
            cycles=self.cycles,
            requotes=self.requotes,
            fills=self.fills,
            exit_steps=self.exit_steps,
            sigma_bps=self.sigma_bps,
            history=tuple(self.history),
            flatten_steps=tuple(self.slices),
        )

    def status(self) -> MarketStatus:
        """Answer to the status query; a running session's counters are in it."""
        live = self.progress
        if live is not None and live.epoch == self._counted:
            live = None  # that session has ended and was counted
        return MarketStatus(
            market=self.market.path,
            state=self.state,
            reason=self.reason,
            epoch=live.epoch if live else self.epoch,
            sessions=self.sessions,
            parameters=self.parameters,
            cycles=self.cycles + (live.cycles if live else 0),
            requotes=self.requotes + (live.requotes if live else 0),
            fills=self.fills + (live.fills if live else 0),
            progress=self.progress,
            history=tuple(self.history),
            flatten_steps=tuple(self.slices),
        )

    def result(self) -> MarketResult:
        """The workflow's result; ValueError before the last look."""
        if self.final is None:
            raise ValueError("a market that has not stood down has no result")
        return MarketResult(
            market=self.market.path,
            reason=self.reason,
            states=tuple(self.history),
            flatten_steps=tuple(self.slices),
            sessions=self.sessions,
            cycles=self.cycles,
            requotes=self.requotes,
            fills=self.fills,
            final=self.final,
            progress=self.progress,
        )
