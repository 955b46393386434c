"""One market's life: start → quote cycles → drawdown flatten → stand down.

The state machine is `desk/lifecycle.py`; this file asks activities to do what each state means.
Limits: tens of signals an hour, one run per session window; no market data comes this way.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError

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
from quoting.progress import SessionProgress
from workflows import names, policies
from workflows.messages import (
    MarketResult,
    MarketStatus,
    ParameterChange,
    Request,
    StartMarket,
    StopMarket,
)
from workflows.page import details_page, session_sentence
from workflows.record import MarketRecord

_SLOWEST_SLICE_S = 60
_ALERTS = frozenset({MarketState.FLATTENING, MarketState.HOLDING})
_LIVE = frozenset({MarketState.STARTING, MarketState.QUOTING})


@workflow.defn(name=names.MARKET_WORKFLOW)
class MarketWorkflow:
    """Owns one market from start to stand-down."""

    @workflow.init
    def __init__(self, start: StartMarket) -> None:
        self._start = start
        self._record = MarketRecord(start)
        self._wake = False
        self._abandon_exit = False

    @workflow.run
    async def run(self, start: StartMarket) -> MarketResult:  # noqa: ARG002 - taken in __init__
        """Live until stopped; continue as new after each session window."""
        if self._record.life_epoch == 0:
            self._check_id()
            await self._open()
        while self._record.state is not MarketState.STOPPED:
            match self._record.state:
                case MarketState.QUOTING:
                    await self._quote()
                case MarketState.PAUSED | MarketState.HOLDING:
                    await self._wait()
                case MarketState.FLATTENING:
                    await self._flatten()
                case _:
                    await self._stand_down()
        return self._record.result()

    # --- what each state means -------------------------------------------------------------

    def _check_id(self) -> None:
        """The workflow id is what makes a second owner impossible, so it must be the market's."""
        wanted, given = names.market_workflow_id(self._record.market), workflow.info().workflow_id
        if given != wanted:
            raise ApplicationError(
                f"workflow id: '{given}' is not this market's; start it again as '{wanted}'",
                type="ConfigurationFault",
                non_retryable=True,
            )

    async def _open(self) -> None:
        self._note(MarketState.STARTING, "start requested")
        report = await workflow.execute_activity_method(
            MarketActivities.preflight,
            PreflightInput(
                market=self._record.market,
                parameters=self._record.parameters,
                limits=self._start.limits,
                run_id=workflow.info().run_id,
            ),
            start_to_close_timeout=policies.READ_TIMEOUT,
            schedule_to_close_timeout=policies.PREFLIGHT_PATIENCE,
            retry_policy=policies.READ,
            summary="check market, keys, clock, kills",
        )
        self._record.life_epoch = report.life_epoch
        await self._move(self._wanted() or MarketState.QUOTING, "preflight passed")

    async def _quote(self) -> None:
        if (wanted := self._wanted()) is not None:
            await self._move(wanted, self._record.reason)
            return
        self._wake = False  # what was said so far is in the record already
        handle = workflow.start_activity_method(
            MarketActivities.quote_session,
            SessionInput(
                market=self._record.market,
                life_epoch=self._record.life_epoch,
                parameters=self._record.parameters,
                limits=self._start.limits,
                run_id=workflow.info().run_id,
                window_s=self._start.window_s,
                prior_sigma_bps=self._record.sigma_bps,
            ),
            start_to_close_timeout=timedelta(seconds=self._start.window_s)
            + policies.SESSION_MARGIN,
            heartbeat_timeout=policies.SESSION_HEARTBEAT,
            retry_policy=policies.SESSION,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"quote session, parameters v{self._record.parameters.version}",
        )
        await workflow.wait_condition(lambda: handle.done() or self._wake)
        asked = not handle.done()
        if asked:
            handle.cancel()
        try:
            result = await handle
        except ActivityError as error:
            # A session that was asked to end is not tried again, however its worker failed.
            if not (asked or isinstance(error.cause, CancelledError)):
                raise
            result = await self._clear_without_session()
        await self._after_session(result)

    async def _clear_without_session(self) -> SessionResult:
        """Asked to end a session whose worker is gone: nobody else would cancel its orders."""
        epoch = await self._take_over(self._owner("clear"))
        return SessionResult(
            reason=SessionReason.CANCELLED,
            message="no worker held the session; its orders were cleared",
            epoch=epoch,
            cleared=True,
            progress=SessionProgress(epoch=epoch, phase="cleared"),
        )

    async def _after_session(self, result: SessionResult) -> None:
        record = self._record
        record.took_session(result)
        follows = after_session(result.reason, record.command)
        if follows is not MarketState.QUOTING:
            asked = record.command is not Command.NONE and result.reason is SessionReason.CANCELLED
            await self._move(follows, record.reason if asked else session_sentence(result))
            return
        record.holds = 0
        self._show(f"session {result.epoch} ended: {session_sentence(result)}")
        if result.reason is SessionReason.WINDOW:
            await self._continue()

    async def _wait(self) -> None:
        record, holding = self._record, self._record.state is MarketState.HOLDING
        seconds = hold_seconds(record.holds) if holding else None
        if not await self._woken_within(seconds):
            record.holds += 1
        wanted = self._wanted()
        if wanted is None:
            await self._move(MarketState.QUOTING, "trying again" if holding else record.reason)
        elif wanted is not record.state:
            await self._move(wanted, record.reason)

    async def _flatten(self) -> None:
        owner = self._owner("flatten")
        epoch = await self._take_over(owner)
        pause_s, taken = self._start.flatten_interval_s, 0
        while not self._abandon_exit:
            report = await workflow.execute_activity_method(
                MarketActivities.flatten_slice,
                FlattenSliceInput(
                    market=self._record.market,
                    epoch=epoch,
                    owner=owner,
                    step=self._record.exit_steps,
                    slices_left=max(1, self._start.flatten_slices - taken),
                    max_slippage_bps=self._start.flatten_slippage_bps,
                    limits=self._start.limits,
                ),
                start_to_close_timeout=policies.EXIT_STEP_TIMEOUT,
                heartbeat_timeout=policies.EXIT_STEP_HEARTBEAT,
                retry_policy=policies.EXIT_STEP,
                summary=f"flatten slice {self._record.exit_steps}",
            )
            taken += 1
            self._record.took_slice(report)
            self._show(f"flattening: {report.position_after} lots left")
            if report.position_after == 0:
                break
            # A venue that does not let us out is asked ever more slowly, but for ever.
            stuck = report.position_after == report.position_before
            pause_s = (
                min(_SLOWEST_SLICE_S, pause_s * 2) if stuck else self._start.flatten_interval_s
            )
            await self._woken_within(pause_s)
            if workflow.info().is_continue_as_new_suggested():
                await self._continue()
        await self._move(MarketState.STANDING_DOWN, self._record.reason)

    async def _stand_down(self) -> None:
        owner = self._owner("stand-down")
        epoch = await self._take_over(owner)
        self._record.took_last_look(
            await workflow.execute_activity_method(
                MarketActivities.stand_down,
                StandDownInput(
                    market=self._record.market,
                    epoch=epoch,
                    owner=owner,
                    life_epoch=self._record.life_epoch,
                    reason=self._record.reason,
                ),
                start_to_close_timeout=policies.WRITE_TIMEOUT,
                heartbeat_timeout=policies.WRITE_HEARTBEAT,
                retry_policy=policies.IDEMPOTENT_WRITE,
                summary="verify: nothing rests, books agree",
            )
        )
        await self._move(MarketState.STOPPED, self._record.reason)

    async def _take_over(self, owner: str) -> int:
        report = await workflow.execute_activity_method(
            MarketActivities.take_over,
            TakeOverInput(market=self._record.market, owner=owner, run_id=workflow.info().run_id),
            start_to_close_timeout=policies.WRITE_TIMEOUT,
            heartbeat_timeout=policies.WRITE_HEARTBEAT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary="cancel everything, list zero twice",
        )
        self._record.epoch = report.epoch
        return report.epoch

    # --- moving ----------------------------------------------------------------------------

    def _wanted(self) -> MarketState | None:
        command = self._record.command
        return None if command is Command.NONE else after_command(command)

    async def _move(self, then: MarketState, reason: str) -> None:
        before = self._record.state
        if then is before:
            return
        if not may(before, then):
            raise ApplicationError(
                f"state: {before.value} does not lead to {then.value}", non_retryable=True
            )
        self._wake = False
        self._note(then, reason)
        await workflow.execute_activity_method(
            MarketActivities.record_decision,
            DecisionInput(
                market=self._record.market,
                epoch=self._record.epoch,
                kind=f"{before.value}->{then.value}",
                reason=reason,
                by=self._record.by or "flotilla",
                alert=then in _ALERTS,
            ),
            start_to_close_timeout=policies.READ_TIMEOUT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary=f"record: {then.value}",
        )

    def _note(self, state: MarketState, reason: str) -> None:
        record = self._record
        record.note(state, reason, workflow.now().isoformat())
        workflow.upsert_search_attributes(
            [
                names.VENUE.value_set(record.market.venue),
                names.MARKET.value_set(record.market.symbol),
                names.MARKET_STATE.value_set(state.value),
                names.FLEET_ID.value_set(self._start.fleet),
                names.HALTED.value_set(state not in _LIVE),
                names.PNL_QUOTE.value_set(float(record.progress.pnl) if record.progress else 0.0),
            ]
        )
        self._show(reason)

    async def _woken_within(self, seconds: int | None) -> bool:
        """Whether somebody said something before the time was up."""
        timeout = None if seconds is None else timedelta(seconds=seconds)
        try:
            await workflow.wait_condition(lambda: self._wake, timeout=timeout)
        except TimeoutError:
            return False
        self._wake = False
        return True

    def _owner(self, what: str) -> str:
        return f"{what}/{workflow.info().run_id}"

    async def _continue(self) -> None:
        await workflow.wait_condition(workflow.all_handlers_finished)
        carried = self._record.carried()
        workflow.continue_as_new(self._start.model_copy(update={"carried": carried}))

    def _show(self, news: str) -> None:
        workflow.set_current_details(details_page(self._record.status(), news))

    def _ask(self, command: Command, request: Request) -> None:
        self._record.asked(command, request)
        self._wake = True

    # --- what people say -------------------------------------------------------------------

    @workflow.signal(description='Stand down: cancel, verify, finish. {} or {"flatten": true}')
    def stop(self, request: StopMarket) -> None:
        """Stop this market."""
        flatten = self._start.flatten_on_stop if request.flatten is None else request.flatten
        self._abandon_exit = self._record.state is MarketState.FLATTENING and not flatten
        self._ask(Command.FLATTEN if flatten else Command.STOP, request)

    @workflow.signal(description="Trade the position to zero, reduce-only, then stand down. {}")
    def flatten(self, request: Request) -> None:
        """Flatten and stand down."""
        self._ask(Command.FLATTEN, request)

    @workflow.signal(description="Cancel all orders and wait for resume. {}")
    def pause(self, request: Request) -> None:
        """Pause quoting."""
        if self._record.command in (Command.NONE, Command.PAUSE):
            self._ask(Command.PAUSE, request)

    @workflow.signal(description="Quote again after a pause or a hold. {}")
    def resume(self, request: Request) -> None:
        """Resume quoting."""
        if self._record.command in (Command.NONE, Command.PAUSE):
            self._ask(Command.NONE, request)

    @workflow.signal(description="Sent by the running session; not for people.")
    def report(self, progress: SessionProgress) -> None:
        """Keep the session's latest picture for the page and the status query."""
        self._record.progress = progress
        self._show(progress.reason or "quoting")

    @workflow.update(description='Change parameters: {"level_notional": "250"}; applied at once.')
    def set_parameters(self, change: ParameterChange) -> QuoteParameters:
        """Apply new parameters at the next cycle boundary: the session is begun anew."""
        self._record.parameters = change.applied_to(self._record.parameters)
        self._record.by = change.by
        self._wake = True
        return self._record.parameters

    @set_parameters.validator
    def _check_parameters(self, change: ParameterChange) -> None:
        change.applied_to(self._record.parameters)

    @workflow.query(description="State, parameters, counters and history.")
    def status(self) -> MarketStatus:
        """What this market is doing."""
        return self._record.status()
