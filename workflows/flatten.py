"""A position on its way to zero, through every death and outage: owned by one workflow a market.

What comes next is decided in `desk/flattening.py`; no kill stops it, only a person by name.
Limits: a few events an order, at most one order a second; continues as new when told to.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    FailureError,
    is_cancelled_exception,
)

from activities.flatten import FlattenActivities
from activities.flatten_messages import FlattenEnd, FlattenSliceInput, FlattenWord
from activities.messages import TakeOverInput
from desk.flattening import FlattenProgress, next_move, pause_s
from workflows import names, policies
from workflows.flatten_messages import (
    FlattenOutcome,
    FlattenResult,
    FlattenStatus,
    StartFlatten,
    StopFlatten,
)
from workflows.flatten_page import flatten_page
from workflows.flatten_record import FlattenRecord
from workflows.messages import Request
from workflows.said import read_form

T = TypeVar("T")

_LEASE_S = 20
_NO_EPOCH = 0
_SLICE_TIMEOUT = timedelta(seconds=60)
_PATIENCE = timedelta(seconds=120)
_WORD_PATIENCE = timedelta(seconds=10)
_WAIT = workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED


@workflow.defn(name=names.FLATTEN_WORKFLOW)
class FlattenWorkflow:
    """Trades one market's position to zero and verifies it."""

    @workflow.init
    def __init__(self, start: StartFlatten) -> None:
        self._start = start
        self._record = FlattenRecord(start, workflow.info().run_id, _now_ms())

    @workflow.run
    async def run(self, start: StartFlatten) -> FlattenResult:  # noqa: ARG002 - taken in __init__
        """Until the venue states zero twice and nothing rests, or a person abandons it."""
        self._open()
        while self._record.state.stop is None:
            epoch, progress = self._record.state.epoch, self._record.state.progress
            if epoch is None or progress is None:
                await self._take_over()
            elif progress.remaining:
                await self._slice(epoch, progress)
            elif (end := await self._end(epoch)) is not None:
                return await self._ended(FlattenOutcome.FLAT, end)
            if workflow.info().is_continue_as_new_suggested():
                await self._continue()
        return await self._abandon(self._record.state.stop)

    # --- what it does ----------------------------------------------------------------------

    def _open(self) -> None:
        if self._record.state.opened:
            return
        wanted, given = names.flatten_workflow_id(self._start.market), workflow.info().workflow_id
        if given != wanted:
            raise ApplicationError(
                f"workflow id: '{given}' is not this flatten's; start it again as '{wanted}'",
                type="ConfigurationFault",
                non_retryable=True,
            )
        workflow.upsert_search_attributes(
            [
                names.VENUE.value_set(self._start.venue),
                names.MARKET.value_set(self._start.symbol),
                names.MARKET_STATE.value_set("flattening"),
                names.FLEET_ID.value_set(self._start.fleet),
                names.HALTED.value_set(True),
            ]
        )
        self._record.put(opened=True)
        self._show(self._start.reason)

    async def _take_over(self) -> None:
        """Stop whoever quotes there, and have every order gone."""
        record, first = self._record, not self._record.state.takes
        if workflow.info().parent is None or not first:
            await self._tell_owner()
        if record.state.stop is not None:
            return  # said meanwhile: an activity cancelled before it began would end all of this
        record.put(phase="taking over")
        taken = await self._heard(
            workflow.start_activity_method(
                FlattenActivities.flatten_take_over,
                TakeOverInput(
                    market=self._start.market,
                    owner=record.state.owner,
                    run_id=workflow.info().run_id,
                    lease_ttl_ms=_LEASE_S * 1_000,
                ),
                start_to_close_timeout=policies.WRITE_TIMEOUT,
                schedule_to_close_timeout=_PATIENCE,
                heartbeat_timeout=policies.WRITE_HEARTBEAT,
                retry_policy=policies.IDEMPOTENT_WRITE,
                cancellation_type=_WAIT,
                summary="cancel everything, list zero twice",
            )
        )
        if taken is None:
            return
        record.took_over(taken)
        self._show(f"{taken.position} lots to leave")
        if first:
            await self._tell("flatten started", evidence=f"{taken.position} lots to leave")

    async def _slice(self, epoch: int, progress: FlattenProgress) -> None:
        record = self._record
        move = next_move(self._start.plan, progress, record.seconds_left(_now_ms()))
        record.put(phase=move.phase.value)
        # Nobody may begin to quote in the pause after it.
        lease_s = _LEASE_S + pause_s(self._start.interval_s, progress.stuck + 1)
        wait = timedelta(seconds=move.wait_s)
        report = await self._heard(
            workflow.start_activity_method(
                FlattenActivities.flatten_slice,
                FlattenSliceInput(
                    owner=record.state.owner,
                    step=record.step(epoch, progress, move),
                    lease_ttl_ms=lease_s * 1_000,
                ),
                start_to_close_timeout=_SLICE_TIMEOUT + wait,
                schedule_to_close_timeout=_PATIENCE + wait,
                heartbeat_timeout=policies.EXIT_STEP_HEARTBEAT,
                retry_policy=policies.EXIT_STEP,
                cancellation_type=_WAIT,
                summary=f"flatten step {record.state.step}: {move.phase.value} {move.lots} lots",
            )
        )
        if report is None:
            return
        record.took(progress, move, report, _now_ms())
        self._show(f"{report.position_after} lots left: {report.outcome}")
        if report.position_after and record.state.progress is not None:
            await self._rest(pause_s(self._start.interval_s, record.state.progress.stuck))

    async def _end(self, epoch: int) -> FlattenEnd | None:
        """The last look; None when it has to go on."""
        self._record.put(phase="verifying")
        self._show("zero lots left; nothing may rest, and the books must agree")
        end = await self._heard(
            workflow.start_activity_method(
                FlattenActivities.flatten_end,
                self._record.last_look(epoch, abandoned=False),
                start_to_close_timeout=policies.WRITE_TIMEOUT,
                schedule_to_close_timeout=_PATIENCE,
                heartbeat_timeout=policies.WRITE_HEARTBEAT,
                retry_policy=policies.IDEMPOTENT_WRITE,
                cancellation_type=_WAIT,
                summary="verify: zero twice, nothing rests, books agree",
            )
        )
        if end is None or not end.position:
            return end
        self._record.goes_on(end)
        return None

    async def _abandon(self, stop: StopFlatten) -> FlattenResult:
        """Leave the rest as it is, but nothing of ours in the market."""
        record, tries = self._record, 0
        record.put(phase="abandoning")
        self._show(f"abandoned by {stop.by}: {stop.reason}")
        end: FlattenEnd | None = None
        # Also where the market was lost since: an order of ours may rest there all the same.
        while record.state.takes and end is None:
            try:
                end = await workflow.execute_activity_method(
                    FlattenActivities.flatten_end,
                    record.last_look(record.state.epoch or _NO_EPOCH, abandoned=True),
                    start_to_close_timeout=policies.WRITE_TIMEOUT,
                    heartbeat_timeout=policies.WRITE_HEARTBEAT,
                    retry_policy=policies.IDEMPOTENT_WRITE,
                    summary="verify: nothing rests",
                )
            except ActivityError as error:
                if is_cancelled_exception(error):
                    raise
                tries += 1
                await self._not_ended(tries, str(error.cause or error))
        return await self._ended(FlattenOutcome.ABANDONED, end)

    async def _not_ended(self, tries: int, why: str) -> None:
        """What a person abandoned may still rest: say so when it is due, and wait a while."""
        self._show(why)
        if self._record.alarm_due_ms() <= _now_ms():
            await self._alarm()
        await workflow.sleep(pause_s(self._start.interval_s, tries))
        if workflow.info().is_continue_as_new_suggested():
            await self._continue()

    async def _ended(self, outcome: FlattenOutcome, end: FlattenEnd | None) -> FlattenResult:
        result = self._record.result(outcome, end, _now_ms())
        abandoned = outcome is FlattenOutcome.ABANDONED
        await self._tell(
            f"flatten ended: {outcome.value}",
            evidence=f"{result.remaining} lots left, {result.attempts} attempts, "
            f"cost {result.cost:f} on {result.traded:f}",
            severity="warning" if abandoned else "",
            durable=abandoned,
        )
        self._record.put(phase=outcome.value)
        self._show(f"{result.remaining} lots left")
        return result

    # --- what it says ----------------------------------------------------------------------

    async def _tell_owner(self) -> None:
        """A workflow that quotes this market gives it up and waits for us; often there is none."""
        owner = workflow.get_external_workflow_handle(names.market_workflow_id(self._start.market))
        try:
            await owner.signal(
                "flatten_begun", Request(reason=self._start.reason, by=self._start.by)
            )
        except FailureError as error:
            if is_cancelled_exception(error):
                raise

    async def _tell(
        self,
        kind: str,
        *,
        reason: str = "",
        evidence: str = "",
        severity: str = "",
        durable: bool = False,
    ) -> None:
        """Record it. Only what is `durable` is waited for; this history has it in any case."""
        word = FlattenWord(
            market=self._start.market,
            epoch=self._record.state.epoch,
            kind=kind,
            reason=reason or self._record.reason,
            by=self._record.by,
            evidence=evidence,
            severity=severity,
        )
        try:
            await workflow.execute_activity_method(
                FlattenActivities.flatten_tell,
                word,
                start_to_close_timeout=policies.READ_TIMEOUT,
                schedule_to_close_timeout=None if durable else _WORD_PATIENCE,
                retry_policy=policies.IDEMPOTENT_WRITE,
                summary=f"tell: {kind}",
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise

    async def _alarm(self) -> None:
        record, now_ms = self._record, _now_ms()
        record.put(alarms=record.state.alarms + 1, alarmed_ms=now_ms)
        self._show(record.state.note)
        waited_s = (now_ms - record.state.moved_ms) // 1_000
        left = "" if record.remaining is None else f", {record.remaining} lots are left"
        await self._tell(
            "flatten does not get on",
            reason=f"nothing was taken away for {waited_s} s{left}: {record.state.note}",
            evidence=f"phase {record.state.phase}, {record.attempts} attempts",
            severity="critical",
        )

    def _show(self, news: str) -> None:
        self._record.put(note=news)
        workflow.set_current_details(flatten_page(self._record.status(_now_ms())))

    # --- waiting ---------------------------------------------------------------------------

    async def _heard(self, handle: workflow.ActivityHandle[T]) -> T | None:
        """What an activity answered; None, after a pause, when it failed or a person said stop."""
        await self._until(handle.done, None)
        if not handle.done():
            handle.cancel()
        try:
            return await handle
        except ActivityError as error:
            if self._record.state.stop is None:
                self._failed(error)
        await self._rest(pause_s(self._start.interval_s, self._record.state.failures))
        return None

    def _failed(self, error: ActivityError) -> None:
        """Note why. What can never work, asked for the first time, fails the workflow."""
        if is_cancelled_exception(error):
            raise error
        record, cause = self._record, error.cause
        kind = cause.type if isinstance(cause, ApplicationError) else None
        if kind == "ConfigurationFault" and not record.state.takes:
            raise ApplicationError(str(cause), type=kind, non_retryable=True) from error
        epoch = None if kind == "LeaseLost" else record.state.epoch
        # The step that failed may have been sent all the same.
        record.put(failures=record.state.failures + 1, epoch=epoch, repeated=epoch is not None)
        self._show(str(cause or error))

    async def _rest(self, seconds: int) -> None:
        """Wait, unless a person says stop."""
        await self._until(lambda: False, _now_ms() + seconds * 1_000)

    async def _until(self, holds: Callable[[], bool], until_ms: int | None) -> None:
        """Wait for it, for a person's stop, or for that time; alarms that fall due are given."""

        def over() -> bool:
            return self._record.state.stop is not None or holds()

        while not over() and (until_ms is None or _now_ms() < until_ms):
            due_ms = self._record.alarm_due_ms()
            wake_ms = due_ms if until_ms is None else min(due_ms, until_ms)
            if due_ms <= _now_ms():
                await self._alarm()
                continue
            try:
                timeout = timedelta(milliseconds=wake_ms - _now_ms())
                await workflow.wait_condition(over, timeout=timeout)
            except TimeoutError:
                continue

    async def _continue(self) -> None:
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(self._start.model_copy(update={"carried": self._record.state}))

    # --- what people say -------------------------------------------------------------------

    @workflow.signal(description='Abandon it, whatever is left: {"by": "ana", "reason": "why"}')
    def stop(self, *said: object) -> None:
        """Abandon this flatten by name; what cannot be read abandons nothing."""
        request, misread = read_form(StopFlatten, said)
        if request is None:
            self._show(f"not abandoned: {misread}")
        elif self._record.state.stop is None:
            self._record.put(stop=request)

    @workflow.query(description="What is left, phase, attempts, cost, deadline and last steps.")
    def status(self) -> FlattenStatus:
        """How far this flatten has come."""
        return self._record.status(_now_ms())


def _now_ms() -> int:
    return int(workflow.now().timestamp() * 1_000)
