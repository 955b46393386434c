"""One market's life: start → quote cycles → drawdown flatten → stand down.

The state machine is `desk/lifecycle.py`; this file asks activities to do what each state means.
Limits: tens of signals an hour, one run per session window; no market data comes this way.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.market import MarketActivities
from activities.messages import (
    DecisionInput,
    FlattenSliceInput,
    PreflightInput,
    SessionInput,
    SessionResult,
    StandDownInput,
    TakeOverInput,
)
from desk.lifecycle import (
    Command,
    MarketState,
    SessionReason,
    after_command,
    after_session,
    hold_seconds,
    may,
)
from desk.quoting.parameters import QuoteParameters
from quoting.exit import FlattenSliceReport
from quoting.progress import SessionProgress
from workflows import names, policies
from workflows.messages import (
    CarriedState,
    FinalFacts,
    FlattenStep,
    MarketResult,
    MarketStatus,
    ParameterChange,
    Request,
    StartMarket,
    StateChange,
    StopMarket,
)
from workflows.page import details_page, final_facts, session_sentence

_HISTORY_KEPT = 100
_SLOWEST_SLICE_S = 60
_ALERTS = frozenset({MarketState.FLATTENING, MarketState.HOLDING})
_LIVE = frozenset({MarketState.STARTING, MarketState.QUOTING})


@workflow.defn(name=names.MARKET_WORKFLOW)
class MarketWorkflow:
    """Owns one market from start to stand-down."""

    @workflow.init
    def __init__(self, start: StartMarket) -> None:
        self._start = start
        self._carried = start.carried or CarriedState(
            state=MarketState.STARTING, life_epoch=0, parameters=start.parameters
        )
        self._parameters = self._carried.parameters
        self._state = self._carried.state
        self._history = list(self._carried.history)
        self._steps = list(self._carried.flatten_steps)
        self._reason, self._by = self._carried.reason, self._carried.by
        self._command = self._carried.command
        self._exit_steps = self._carried.exit_steps
        self._sigma_bps = self._carried.sigma_bps
        self._abandon_exit = False
        self._progress: SessionProgress | None = None
        self._life_epoch = self._carried.life_epoch
        self._epoch: int | None = None
        self._sessions, self._holds = self._carried.sessions, self._carried.holds
        self._cycles, self._requotes = self._carried.cycles, self._carried.requotes
        self._fills = self._carried.fills
        self._last: SessionResult | None = None
        self._wake = False
        self._final: FinalFacts | None = None

    @workflow.run
    async def run(self, start: StartMarket) -> MarketResult:  # noqa: ARG002 - taken in __init__
        """Live until stopped; continue as new after each session window."""
        if self._carried.life_epoch == 0:
            await self._open()
        while self._state is not MarketState.STOPPED:
            match self._state:
                case MarketState.QUOTING:
                    await self._quote()
                case MarketState.PAUSED | MarketState.HOLDING:
                    await self._wait()
                case MarketState.FLATTENING:
                    await self._flatten()
                case _:
                    await self._stand_down()
        assert self._final is not None  # noqa: S101 - STOPPED is reached through _stand_down
        return MarketResult(
            market=self._start.market.path,
            reason=self._reason,
            states=tuple(self._history),
            flatten_steps=tuple(self._steps),
            sessions=self._sessions,
            cycles=self._cycles,
            requotes=self._requotes,
            fills=self._fills,
            final=self._final,
        )

    # --- what each state means -------------------------------------------------------------

    async def _open(self) -> None:
        self._note(MarketState.STARTING, "start requested")
        report = await workflow.execute_activity_method(
            MarketActivities.preflight,
            PreflightInput(
                market=self._start.market,
                parameters=self._parameters,
                limits=self._start.limits,
                run_id=workflow.info().run_id,
            ),
            start_to_close_timeout=policies.READ_TIMEOUT,
            retry_policy=policies.READ,
            summary="check market, keys, clock, kills",
        )
        self._life_epoch = report.life_epoch
        await self._move(self._wanted() or MarketState.QUOTING, "preflight passed")

    async def _quote(self) -> None:
        self._wake = False
        handle = workflow.start_activity_method(
            MarketActivities.quote_session,
            SessionInput(
                market=self._start.market,
                life_epoch=self._life_epoch,
                parameters=self._parameters,
                limits=self._start.limits,
                run_id=workflow.info().run_id,
                window_s=self._start.window_s,
                prior_sigma_bps=self._sigma_bps,
            ),
            start_to_close_timeout=timedelta(seconds=self._start.window_s)
            + policies.SESSION_MARGIN,
            heartbeat_timeout=policies.SESSION_HEARTBEAT,
            retry_policy=policies.SESSION,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"quote session, parameters v{self._parameters.version}",
        )
        await workflow.wait_condition(lambda: handle.done() or self._wake)
        if not handle.done():
            handle.cancel()
        await self._after_session(await handle)

    async def _after_session(self, result: SessionResult) -> None:
        self._last, self._epoch = result, result.epoch
        self._sessions += 1
        self._progress = result.progress
        self._sigma_bps = result.progress.sigma_bps or self._sigma_bps
        self._cycles += result.progress.cycles
        self._requotes += result.progress.requotes
        self._fills += result.progress.fills
        follows = after_session(result.reason, self._command)
        if follows is not MarketState.HOLDING:
            self._holds = 0
        if follows is not MarketState.QUOTING:
            asked = self._command is not Command.NONE and result.reason is SessionReason.CANCELLED
            await self._move(follows, self._reason if asked else session_sentence(result))
            return
        self._show(f"session {result.epoch} ended: {result.reason.value}")
        if result.reason is SessionReason.WINDOW:
            await self._continue()

    async def _wait(self) -> None:
        holding = self._state is MarketState.HOLDING
        self._wake = False
        try:
            await workflow.wait_condition(
                lambda: self._wake,
                timeout=timedelta(seconds=hold_seconds(self._holds)) if holding else None,
            )
        except TimeoutError:
            self._holds += 1
        wanted = self._wanted()
        if wanted is not None and wanted is not self._state:
            await self._move(wanted, self._reason)
        elif wanted is None:
            await self._move(MarketState.QUOTING, "trying again" if holding else self._reason)

    async def _flatten(self) -> None:
        owner = self._owner("flatten")
        epoch = await self._take_over(owner)
        pause_s, taken = self._pause_s(), 0
        while not self._abandon_exit:
            report = await workflow.execute_activity_method(
                MarketActivities.flatten_slice,
                FlattenSliceInput(
                    market=self._start.market,
                    epoch=epoch,
                    owner=owner,
                    step=self._exit_steps,
                    slices_left=max(1, self._start.flatten_slices - taken),
                    max_slippage_bps=self._start.flatten_slippage_bps,
                    limits=self._start.limits,
                ),
                start_to_close_timeout=policies.EXIT_STEP_TIMEOUT,
                retry_policy=policies.EXIT_STEP,
                summary=f"flatten slice {self._exit_steps}",
            )
            self._exit_steps, taken = self._exit_steps + 1, taken + 1
            self._took_slice(report)
            if report.position_after == 0:
                break
            # A venue that does not let us out is asked ever more slowly, but for ever.
            stuck = report.position_after == report.position_before
            pause_s = min(_SLOWEST_SLICE_S, pause_s * 2) if stuck else self._pause_s()
            await self._sleep(pause_s)
            if workflow.info().is_continue_as_new_suggested():
                await self._continue()
        await self._move(MarketState.STANDING_DOWN, self._reason)

    async def _stand_down(self) -> None:
        owner = self._owner("stand-down")
        epoch = await self._take_over(owner)
        report = await workflow.execute_activity_method(
            MarketActivities.stand_down,
            StandDownInput(
                market=self._start.market,
                epoch=epoch,
                owner=owner,
                life_epoch=self._life_epoch,
                reason=self._reason,
            ),
            start_to_close_timeout=policies.WRITE_TIMEOUT,
            heartbeat_timeout=policies.WRITE_HEARTBEAT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary="verify: nothing rests, books agree",
        )
        self._final = final_facts(report)
        await self._move(MarketState.STOPPED, self._reason)

    async def _take_over(self, owner: str) -> int:
        report = await workflow.execute_activity_method(
            MarketActivities.take_over,
            TakeOverInput(market=self._start.market, owner=owner, run_id=workflow.info().run_id),
            start_to_close_timeout=policies.WRITE_TIMEOUT,
            heartbeat_timeout=policies.WRITE_HEARTBEAT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary="cancel everything, list zero twice",
        )
        self._epoch = report.epoch
        return report.epoch

    # --- moving ----------------------------------------------------------------------------

    def _wanted(self) -> MarketState | None:
        return None if self._command is Command.NONE else after_command(self._command)

    async def _move(self, then: MarketState, reason: str) -> None:
        if then is self._state:
            return
        if not may(self._state, then):
            raise ApplicationError(
                f"state: {self._state.value} does not lead to {then.value}", non_retryable=True
            )
        before = self._state
        self._reason = reason
        self._note(then, reason)
        if then is MarketState.QUOTING and before is MarketState.STARTING:
            return
        await workflow.execute_activity_method(
            MarketActivities.record_decision,
            DecisionInput(
                market=self._start.market,
                epoch=self._epoch,
                kind=f"{before.value}->{then.value}",
                reason=reason,
                by=self._by or "flotilla",
                alert=then in _ALERTS,
            ),
            start_to_close_timeout=policies.READ_TIMEOUT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary=f"record: {then.value}",
        )

    def _note(self, state: MarketState, reason: str) -> None:
        self._state = state
        self._history.append(StateChange(state=state, at=workflow.now().isoformat(), reason=reason))
        del self._history[:-_HISTORY_KEPT]
        market = self._start.market
        workflow.upsert_search_attributes(
            [
                names.VENUE.value_set(market.venue),
                names.MARKET.value_set(market.symbol),
                names.MARKET_STATE.value_set(state.value),
                names.FLEET_ID.value_set(self._start.fleet),
                names.HALTED.value_set(state not in _LIVE),
                names.PNL_QUOTE.value_set(float(self._progress.pnl) if self._progress else 0.0),
            ]
        )
        self._show(reason)

    def _took_slice(self, report: FlattenSliceReport) -> None:
        self._steps.append(
            FlattenStep(
                step=report.step,
                before=report.position_before,
                after=report.position_after,
                outcome=report.outcome,
            )
        )
        del self._steps[:-_HISTORY_KEPT]
        self._show(f"flattening: {report.position_after} lots left")

    async def _sleep(self, seconds: int) -> None:
        try:
            await workflow.wait_condition(
                lambda: self._abandon_exit, timeout=timedelta(seconds=seconds)
            )
        except TimeoutError:
            return

    def _pause_s(self) -> int:
        return self._start.flatten_interval_s

    def _owner(self, what: str) -> str:
        return f"{what}/{workflow.info().run_id}"

    async def _continue(self) -> None:
        await workflow.wait_condition(workflow.all_handlers_finished)
        carried = CarriedState(
            state=self._state,
            life_epoch=self._life_epoch,
            parameters=self._parameters,
            sessions=self._sessions,
            holds=self._holds,
            command=self._command,
            reason=self._reason,
            by=self._by,
            cycles=self._cycles,
            requotes=self._requotes,
            fills=self._fills,
            exit_steps=self._exit_steps,
            sigma_bps=self._sigma_bps,
            history=tuple(self._history),
            flatten_steps=tuple(self._steps),
        )
        workflow.continue_as_new(self._start.model_copy(update={"carried": carried}))

    def _show(self, news: str) -> None:
        workflow.set_current_details(details_page(self.status(), self._progress, news))

    def _ask(self, command: Command, request: Request) -> None:
        self._command, self._reason, self._by = command, request.reason, request.by
        self._wake = True

    # --- what people say -------------------------------------------------------------------

    @workflow.signal(description='Stand down: cancel, verify, finish. {} or {"flatten": true}')
    def stop(self, request: StopMarket) -> None:
        """Stop this market."""
        flatten = self._start.flatten_on_stop if request.flatten is None else request.flatten
        self._abandon_exit = self._state is MarketState.FLATTENING and not flatten
        self._ask(Command.FLATTEN if flatten else Command.STOP, request)

    @workflow.signal(description="Trade the position to zero, reduce-only, then stand down. {}")
    def flatten(self, request: Request) -> None:
        """Flatten and stand down."""
        self._ask(Command.FLATTEN, request)

    @workflow.signal(description="Cancel all orders and wait for resume. {}")
    def pause(self, request: Request) -> None:
        """Pause quoting."""
        if self._command in (Command.NONE, Command.PAUSE):
            self._ask(Command.PAUSE, request)

    @workflow.signal(description="Quote again after a pause or a hold. {}")
    def resume(self, request: Request) -> None:
        """Resume quoting."""
        if self._command in (Command.NONE, Command.PAUSE):
            self._ask(Command.NONE, request)

    @workflow.signal(description="Sent by the running session; not for people.")
    def report(self, progress: SessionProgress) -> None:
        """Keep the session's latest picture for the page and the status query."""
        self._progress = progress
        self._show("quoting")

    @workflow.update(description='Change parameters: {"level_notional": "250"}; applied at once.')
    def set_parameters(self, change: ParameterChange) -> QuoteParameters:
        """Apply new parameters at the next cycle boundary: the session is begun anew."""
        self._parameters = change.applied_to(self._parameters)
        self._by = change.by
        self._wake = True
        return self._parameters

    @set_parameters.validator
    def _check_parameters(self, change: ParameterChange) -> None:
        change.applied_to(self._parameters)

    @workflow.query(description="State, parameters, counters and history.")
    def status(self) -> MarketStatus:
        """What this market is doing."""
        return MarketStatus(
            market=self._start.market.path,
            state=self._state,
            reason=self._reason,
            epoch=self._epoch,
            sessions=self._sessions,
            parameters=self._parameters,
            cycles=self._cycles,
            requotes=self._requotes,
            fills=self._fills,
            history=tuple(self._history),
            flatten_steps=tuple(self._steps),
        )
