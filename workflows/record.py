"""What a market's workflow remembers: one value that survives continue-as-new whole."""

from dataclasses import replace

from activities.messages import SessionResult
from desk.lifecycle import Command, MarketState, SessionReason, after_command, recent
from quoting.agreement import StandDownReport
from quoting.progress import SessionProgress
from workflows.flatten_messages import (
    LONGEST_NAME,
    LONGEST_REASON,
    FlattenResult,
    StartFlatten,
    StopFlatten,
    final_facts,
)
from workflows.messages import (
    CarriedState,
    FinalFacts,
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
        self.usual_latency_ms = carried.usual_latency_ms
        self.held_for = carried.held_for
        self.troubles_ms = carried.troubles_ms
        self.latched, self.by_name = carried.latched, carried.by_name
        self.uncleared = carried.uncleared
        self.exit_abandoned = carried.exit_abandoned
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
        self.exit_abandoned = self.state is MarketState.FLATTENING and command is Command.STOP

    def exits(self) -> bool:
        """Whether a flatten was begun or asked for, and nobody gave it up."""
        begun = self.state is MarketState.FLATTENING and not self.exit_abandoned
        return begun or self.command is Command.FLATTEN

    def wanted(self) -> MarketState | None:
        """Where a person's command, or the wait for a person, leads; None to quote."""
        if self.command is not Command.NONE:
            return after_command(self.command)
        return MarketState.PAUSED if self.latched else None

    @property
    def waits_for_break(self) -> bool:
        """Whether all it waits for is that a break is settled."""
        paused = self.state is MarketState.PAUSED and self.command is Command.NONE
        latched = bool(self.latched) and not self.by_name
        return paused and latched and self.held_for is SessionReason.BREAK

    def break_over(self) -> None:
        """No break holds it any more; what it waited for otherwise stays."""
        if self.waits_for_break:
            self.latched, self.reason, self.by = "", "the break is settled", ""

    def latch(self, reason: str, *, by_name: bool) -> None:
        """Wait for a person, who must give a name if `by_name`."""
        self.latched, self.by_name = reason, by_name

    def resumed(self, request: Request) -> bool:
        """A person lets the market go on; False when it takes a name, and there is none."""
        if self.by_name and request.by == Request().by:
            return False
        self.latched, self.by_name = "", False
        self.troubles_ms, self.holds = (), 0
        # What is usual is learned anew: a person has looked.
        self.usual_latency_ms = None
        self.asked(Command.NONE, request)
        return True

    def troubled(self, ends: int, now_ms: int, window_s: int) -> int:
        """So many ends by trouble came now; how many there were within the window."""
        self.troubles_ms = recent((*self.troubles_ms, *[now_ms] * ends), now_ms, window_s)
        return len(self.troubles_ms)

    def last_picture(self, epoch: int, phase: str) -> SessionProgress:
        """What was known last of a session that said nothing at its end, without its quotes."""
        if self.progress is None:
            return SessionProgress(epoch=epoch, phase=phase)
        picture = replace(self.progress, epoch=epoch, phase=phase, bids=(), asks=())
        if self.progress.epoch == self._counted:
            picture = replace(picture, cycles=0, requotes=0, fills=0)
        return picture

    def took_session(self, result: SessionResult) -> None:
        """A session ended: its counters join ours."""
        self.epoch, self.progress = result.epoch, result.progress
        self._counted = result.progress.epoch
        self.sessions += 1
        self.cycles += result.progress.cycles
        self.requotes += result.progress.requotes
        self.fills += result.progress.fills
        self.sigma_bps = result.progress.sigma_bps or self.sigma_bps
        self.usual_latency_ms = result.progress.usual_round_trip_ms or self.usual_latency_ms
        self.uncleared = not result.cleared

    def exit_plan(self, start: StartMarket) -> StartFlatten:
        """How this market's position is left, as it was started."""
        return StartFlatten(
            venue=start.venue,
            symbol=start.symbol,
            account=start.account,
            fleet=start.fleet,
            reason=self.reason[:LONGEST_REASON] or "asked by the market",
            by=self.by[:LONGEST_NAME] or "flotilla",
            slices=start.flatten_slices,
            interval_s=start.flatten_interval_s,
            maker_s=start.flatten_maker_s,
            slippage_bps=start.flatten_slippage_bps,
            fast_slippage_bps=start.flatten_fast_slippage_bps,
            deadline_s=start.flatten_deadline_s,
            max_order_notional=start.max_order_notional,
            max_order_quantity=start.max_order_quantity,
            collar_bps=start.collar_bps,
        )

    def exit_stop(self) -> StopFlatten:
        """Who wants the position kept after all, and why."""
        reason = self.reason[:LONGEST_REASON] or "the position is kept"
        return StopFlatten(by=self.by[:LONGEST_NAME] or "flotilla", reason=reason)

    def took_flatten(self, result: FlattenResult) -> None:
        """A flatten ended."""
        self.exit_steps += result.attempts
        self.slices.extend(result.steps)
        del self.slices[:-_KEPT]

    def took_last_look(self, report: StandDownReport) -> None:
        """The stand-down's evidence."""
        self.final = final_facts(report)

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
            usual_latency_ms=self.usual_latency_ms,
            held_for=self.held_for,
            troubles_ms=self.troubles_ms,
            latched=self.latched,
            by_name=self.by_name,
            uncleared=self.uncleared,
            exit_abandoned=self.exit_abandoned,
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
            troubles=len(self.troubles_ms),
            waits_for_a_person=self.latched,
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
