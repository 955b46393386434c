"""One market's life: start → quote cycles → drawdown flatten → stand down.

The state machine is `desk/lifecycle.py`; this file asks activities to do what each state means.
Limits: tens of signals an hour, one run per session window; no market data comes this way.
"""

from contextlib import suppress
from datetime import timedelta

import pydantic
from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
)

from activities.messages import SessionResult
from desk.flattening import pause_s
from desk.lifecycle import (
    Command,
    MarketState,
    SessionReason,
    cool_down_seconds,
    may,
)
from desk.quoting.parameters import QuoteParameters
from quoting.progress import SessionProgress
from workflows import names, policies
from workflows.aftermath import aftermath
from workflows.flatten import FlattenWorkflow
from workflows.flatten_messages import FlattenResult
from workflows.lost import why_lost
from workflows.market_asks import MarketAsks
from workflows.messages import (
    MarketResult,
    MarketStatus,
    ParameterChange,
    Request,
    StartMarket,
    StopMarket,
)
from workflows.page import details_page
from workflows.record import MarketRecord
from workflows.said import read_form, read_order

_PROGRESS = pydantic.TypeAdapter(tuple[SessionProgress])
_ALERTS = frozenset({MarketState.FLATTENING, MarketState.HOLDING})
_LIVE = frozenset({MarketState.STARTING, MarketState.QUOTING})
_MAY_CONTINUE = frozenset({MarketState.QUOTING, MarketState.HOLDING, MarketState.PAUSED})
_TRIED_OUT = frozenset({SessionReason.WORKER_LOST, SessionReason.FAILED})
_CLEARED = "its orders were cleared"
_UNCLEARED = "its orders could not be cleared and may still rest at the venue"


@workflow.defn(name=names.MARKET_WORKFLOW)
class MarketWorkflow:
    """Owns one market from start to stand-down."""

    @workflow.init
    def __init__(self, start: StartMarket) -> None:
        self._start = start
        self._record = MarketRecord(start)
        self._asks = MarketAsks(start, self._record)
        self._wake = False
        self._resumed = False
        self._break_news, self._break_looks = False, 0

    @workflow.run
    async def run(self, start: StartMarket) -> MarketResult:  # noqa: ARG002 - taken in __init__
        """Live until stopped; continue as new after each session window."""
        if self._record.life_epoch == 0:
            self._asks.check_id()
            await self._open()
        while self._record.state is not MarketState.STOPPED:
            await self._continue_if_long()
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

    async def _open(self) -> None:
        self._note(MarketState.STARTING, self._record.reason or "start requested")
        report = await self._asks.preflight()
        self._record.life_epoch = report.life_epoch
        wanted, said = self._record.wanted(), self._record.reason
        await self._move(wanted or MarketState.QUOTING, said if wanted else "preflight passed")

    async def _quote(self) -> None:
        if (wanted := self._record.wanted()) is not None:
            await self._move(wanted, self._record.reason)
            return
        self._wake = self._resumed = False  # what was said so far is in the record already
        self._break_news, self._break_looks = False, 0
        handle = self._asks.session()
        await workflow.wait_condition(lambda: handle.done() or self._wake)
        asked = not handle.done()
        if asked:
            handle.cancel()
        try:
            result = await handle
        except ActivityError as error:
            result = await self._clear_without_session(*why_lost(error, asked=asked))
        await self._after_session(result)

    async def _clear_without_session(self, reason: SessionReason, said: str) -> SessionResult:
        """A session ended without a word of its own: nobody else would cancel its orders."""
        self._show(f"{said}; another worker clears what it left")
        cleared = await self._clear_once()
        epoch = self._record.epoch or self._record.life_epoch
        phase = "cleared" if cleared else "uncleared"
        return SessionResult(
            reason=reason,
            message=f"{said}; {_CLEARED if cleared else _UNCLEARED}",
            epoch=epoch,
            cleared=cleared,
            progress=self._record.last_picture(epoch, phase),
            attempts=self._asks.session_attempts if reason in _TRIED_OUT else 1,
        )

    async def _after_session(self, result: SessionResult) -> None:
        record = self._record
        record.took_session(result)
        if result.reason is SessionReason.DAILY_LOSS:
            # Before anything else, so that nobody starts this market again today.
            await self._asks.latch(result)
        now_ms = int(workflow.now().timestamp() * 1_000)
        follows, said = aftermath(record, self._start, result, now_ms)
        if follows is not MarketState.QUOTING:
            await self._move(follows, said)
            return
        record.holds = 0
        self._show(f"session {result.epoch} ended: {said}")
        if result.reason is SessionReason.WINDOW:
            await self._continue()

    async def _wait(self) -> None:
        record, holding = self._record, self._record.state is MarketState.HOLDING
        in_time = await self._let_go_within(self._rest_seconds())
        if self._told() or (record.waits_for_break and not in_time):
            await self._look_at_break()
        if not in_time:
            record.holds += holding
            if record.uncleared and not holding:
                record.uncleared = not await self._clear_once()
                return
        self._resumed = False
        wanted = self._record.wanted()
        if wanted is None:
            await self._move(MarketState.QUOTING, "trying again" if holding else record.reason)
        elif wanted is not record.state:
            await self._move(wanted, record.reason)

    def _rest_seconds(self) -> float | None:
        """How long to stay as we are unless somebody says otherwise, None for ever."""
        record = self._record
        if record.state is MarketState.HOLDING:
            return cool_down_seconds(record.held_for, record.holds, self._start.fill_freeze_ms)
        if record.uncleared:
            # Paused is said on evidence too: what may rest is looked for until it is gone.
            return policies.CLEAR_AGAIN.total_seconds()
        return policies.break_look_s(self._break_looks) if record.waits_for_break else None

    def _told(self) -> bool:
        return self._break_news and self._record.waits_for_break

    async def _look_at_break(self) -> None:
        """Go on when no break holds this market any more; who was to tell it may have died."""
        self._break_news, self._break_looks = False, self._break_looks + 1
        held = await self._asks.break_holding()
        if held == "":
            self._record.break_over()
        elif held:
            self._show(f"held until it is settled: {held}")

    def _abandoned(self) -> bool:
        return self._record.exit_abandoned

    async def _flatten(self) -> None:
        """By a workflow of its own, which goes on whatever becomes of this one."""
        tries = 0
        if self._abandoned():
            await self._asks.stop_exit()  # said while the run before this one ended
        while not self._abandoned():
            try:
                handle = await workflow.start_child_workflow(
                    FlattenWorkflow.run,
                    self._record.exit_plan(self._start),
                    id=names.flatten_workflow_id(self._record.market),
                    task_queue=names.CONTROL_QUEUE,
                    parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                    static_summary=f"flatten {self._record.market.path}",
                )
                self._show(f"flattening in {handle.id}")
                if await self._ended(handle):
                    break
            except WorkflowAlreadyStartedError:
                self._show("waiting for the flatten that somebody else began")
                await self._woken_within(pause_s(1, tries))
                if self._abandoned():
                    await self._asks.stop_exit()
            except ChildWorkflowError as error:
                self._show(f"the flatten ended, it is begun again: {error.cause or error}")
                await self._woken_within(pause_s(1, tries))
            tries += 1
            if workflow.info().is_continue_as_new_suggested():
                await self._continue()
        await self._move(MarketState.STANDING_DOWN, self._record.reason)

    async def _ended(
        self, handle: workflow.ChildWorkflowHandle[FlattenWorkflow, FlattenResult]
    ) -> bool:
        """Whether the flatten's end is the last word; it is stopped when the position is kept."""
        await workflow.wait_condition(lambda: handle.done() or self._abandoned())
        stopped = not handle.done()
        if stopped:
            await self._asks.stop_exit()
        self._record.took_flatten(await handle)
        # Somebody may have asked for it anew after all.
        return not stopped or self._abandoned()

    async def _stand_down(self) -> None:
        owner, tries = self._owner("stand-down"), 0
        epoch = await self._take_over(owner)
        while self._record.final is None:
            try:
                self._record.took_last_look(await self._asks.last_look(owner, epoch))
            except ActivityError as error:
                tries += 1
                await self._go_on(tries, "not verified", f"the last look failed: {error.cause}")
        await self._move(MarketState.STOPPED, self._record.reason)

    async def _take_over(self, owner: str) -> int:
        """The market is ours to exit, and nothing rests. Never given up, whatever is wrong."""
        tries = 0
        while (epoch := await self._asks.clear(owner)) is None:
            tries += 1
            await self._go_on(tries, "not cleared", _UNCLEARED)
        self._record.epoch = epoch
        return epoch

    async def _go_on(self, tries: int, kind: str, trouble: str) -> None:
        """Wait before it is tried again; told at the first, second, fourth … time."""
        if tries & (tries - 1) == 0:
            text = f"{trouble}, tried {tries} times; still trying"
            self._show(text)
            await self._asks.tell(kind, text, alert=True)
        await workflow.sleep(policies.CLEAR_AGAIN)

    async def _clear_once(self) -> bool:
        """Have another worker cancel everything and list zero twice; False when it could not."""
        owner, patience = self._owner("clear"), policies.CLEAR_PATIENCE
        epoch = await self._asks.clear(owner, patience, give_back=True)
        self._record.epoch = epoch or self._record.epoch
        return epoch is not None

    # --- moving ----------------------------------------------------------------------------

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
        latched = then is MarketState.PAUSED and bool(self._record.latched)
        kind = f"{before.value}->{then.value}"
        await self._asks.tell(kind, reason, alert=then in _ALERTS or latched)

    def _note(self, state: MarketState, reason: str) -> None:
        record = self._record
        record.note(state, reason, workflow.now().isoformat())
        self._asks.mark(live=state in _LIVE)
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

    async def _let_go_within(self, seconds: float | None) -> bool:
        """Whether a person's word leads elsewhere before the time was up; other news does not."""
        resting = MarketState.PAUSED if self._record.state is MarketState.PAUSED else None
        timeout = None if seconds is None else timedelta(seconds=seconds)
        try:
            await workflow.wait_condition(
                lambda: self._resumed or self._told() or self._record.wanted() is not resting,
                timeout=timeout,
            )
        except TimeoutError:
            return False
        return True

    def _owner(self, what: str) -> str:
        return f"{what}/{workflow.info().run_id}"

    async def _continue_if_long(self) -> None:
        """A market that only waits, or cannot begin a session, has a history that grows too."""
        if self._record.state in _MAY_CONTINUE and workflow.info().is_continue_as_new_suggested():
            await self._continue()

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
    def stop(self, *said: object) -> None:
        """Stop this market; only an explicit `"flatten": false` gives a flatten up."""
        request, misread = read_order(StopMarket, said)
        flatten = self._start.flatten_on_stop if request.flatten is None else request.flatten
        if self._record.exits() and (misread or request.flatten is None or request.keep_exit):
            flatten = True
        self._ask(Command.FLATTEN if flatten else Command.STOP, request)

    @workflow.signal(description="Trade the position to zero, reduce-only, then stand down. {}")
    def flatten(self, *said: object) -> None:
        """Flatten and stand down."""
        self._ask(Command.FLATTEN, read_order(Request, said)[0])

    @workflow.signal(description="Sent by a flatten that runs; not for people.")
    def flatten_begun(self, *said: object) -> None:
        """Give the market up to it, unless a person has just had it stopped."""
        if not self._record.exit_abandoned:
            self._ask(Command.FLATTEN, read_order(Request, said)[0])

    @workflow.signal(description="Cancel all orders and wait for resume. {}")
    def pause(self, *said: object) -> None:
        """Pause quoting."""
        if self._record.command in (Command.NONE, Command.PAUSE):
            self._ask(Command.PAUSE, read_order(Request, said)[0])

    @workflow.signal(description='Quote again after a pause or a hold. {} or {"by": "ana"}')
    def resume(self, *said: object) -> None:
        """Resume quoting. After too many restarts it takes a name: {"by": "ana"}."""
        if self._record.command not in (Command.NONE, Command.PAUSE):
            return
        request, misread = read_form(Request, said)
        if request is None:
            self._show(f"not resumed: {misread}")
        elif self._record.resumed(request):
            self._resumed = self._wake = True
        else:
            self._show('not resumed: say who resumes it, {"by": "ana"}')

    @workflow.signal(description="Sent when a break was settled; not for people.")
    def break_settled(self, *said: object) -> None:
        """See whether this market, if it waits for a break, may go on."""
        del said
        self._break_news = True

    @workflow.signal(description="Sent by the running session; not for people.")
    def report(self, *said: object) -> None:
        """Keep the session's latest picture for the page and the status query."""
        with suppress(pydantic.ValidationError):  # no session said this
            (self._record.progress,) = _PROGRESS.validate_python(said)
            self._show(self._record.progress.reason or "quoting")

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
