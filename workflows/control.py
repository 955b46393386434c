"""The fleet's control desk: takes kills from a person, tells every worker at once, and lifts them.

The one rule: a kill is never waited for and never lost: gates first, then its own workflow keeps
it. What cannot be understood is told, and kills nothing. Limits: tens of signals an hour.
"""

import asyncio
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RetryPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ActivityError, ApplicationError, WorkflowAlreadyStartedError

from activities.kill import KillActivities
from activities.kill_messages import AlarmInput, KillStanding, LiftInput
from desk.records import Kill
from workflows import names, policies
from workflows.kill import KillWorkflow
from workflows.kill_messages import (
    ControlCarried,
    ControlStatus,
    KillRequest,
    LiftAnswer,
    LiftKill,
    StartControl,
    StartKill,
    WorkerName,
)
from workflows.kill_page import control_page
from workflows.said import read_form

_UNTAKEN: Final = timedelta(seconds=3)
_CLOSED_WITHIN: Final = timedelta(seconds=5)
_ONCE: Final = RetryPolicy(maximum_attempts=1)
_ALARM_PATIENCE: Final = timedelta(seconds=20)
_FIRST_LOOK_S, _LAST_LOOK_S, _IDLE_LOOK_S = 1, 60, 600
_WORKERS, _MISREAD = 200, 5


@workflow.defn(name=names.CONTROL_WORKFLOW)
class ControlWorkflow:
    """Always running, one for each fleet; every worker sees to that."""

    @workflow.init
    def __init__(self, start: StartControl) -> None:
        carried = start.carried or ControlCarried()
        self._fleet = start.fleet
        self._workers = list(carried.workers)
        self._misread = list(carried.misread)
        self._last_ms = carried.last_ms
        self._kills: tuple[KillStanding, ...] = ()
        self._unread = ""
        self._news = False
        self._pause_s = _FIRST_LOOK_S

    @workflow.run
    async def run(self, start: StartControl) -> None:  # noqa: ARG002 - taken in __init__
        """Look at the record now and then, for the page; all else is done by the handlers."""
        workflow.upsert_search_attributes([names.FLEET_ID.value_set(self._fleet)])
        while True:
            await self._look()
            await self._rest()
            if workflow.info().is_continue_as_new_suggested():
                await workflow.wait_condition(workflow.all_handlers_finished)
                carried = ControlCarried(
                    workers=tuple(self._workers),
                    misread=tuple(self._misread),
                    last_ms=self._last_ms,
                )
                workflow.continue_as_new(StartControl(fleet=self._fleet, carried=carried))

    # --- what people and workers say -------------------------------------------------------

    @workflow.signal(
        description='Stop quoting: {"scope": "fleet", "reason": "why", "by": "you"}; scopes are '
        'fleet, venue:V, account:V/A, market:V/A/S; "flatten": true trades positions to zero.'
    )
    async def kill(self, *said: object) -> None:
        """Close every gate, and begin the workflow that keeps this kill."""
        request, misread = read_form(KillRequest, said)
        if request is None:
            await self._misunderstood(misread)
            return
        order = request.kill(self._moment())
        self._wake()
        await asyncio.gather(
            self._keep(order), *(self._close_gates(worker, order) for worker in self._workers)
        )

    @workflow.signal(description="A worker polls its own queue; workers send it, not people.")
    def worker_joined(self, *said: object) -> None:
        """Tell this worker directly from now on."""
        joined, _ = read_form(WorkerName, said)
        if joined is not None and joined.worker not in self._workers:
            self._workers.append(joined.worker)
            del self._workers[:-_WORKERS]
            self._show()

    @workflow.signal(description="A worker ended in good order; workers send it, not people.")
    def worker_left(self, *said: object) -> None:
        """It polls no more."""
        left, _ = read_form(WorkerName, said)
        if left is not None:
            self._drop(left.worker)

    @workflow.update(
        description='Lift a kill at the scope that set it: {"scope": "fleet", "by": "you", '
        '"reason": "why"}. Markets do not start by themselves.'
    )
    async def lift(self, request: LiftKill) -> LiftAnswer:
        """Lift what stands there, and say which wider kills go on."""
        report = await workflow.execute_activity_method(
            KillActivities.lift_kill,
            LiftInput(
                scope=request.scope,
                by=request.by,
                reason=request.reason,
                asked_ms=_now_ms(),
            ),
            start_to_close_timeout=policies.READ_TIMEOUT,
            schedule_to_close_timeout=policies.READ_TIMEOUT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary=f"lift {request.scope}",
        )
        self._wake()
        if report.again:
            raise ApplicationError(
                f"scope: another kill was set at {request.scope} meanwhile and stays in force; "
                "send the update again to lift it too"
            )
        if not report.lifted:
            raise ApplicationError(f"scope: no kill is in force at {request.scope}")
        wider = tuple(f"{one.scope} by {one.by}: {one.reason}" for one in report.wider)
        return LiftAnswer(scope=request.scope, lifted=True, still_stopped_by=wider)

    @lift.validator
    def _check_lift(self, request: LiftKill) -> None:
        if request.too_early:
            raise ValueError(
                f"scope: {request.scope} was set by a loss limit and ends by itself; add "
                '"early": true to lift it before that'
            )

    @workflow.query(description="Kills in force and how far they are; workers told directly.")
    def status(self) -> ControlStatus:
        """What is in force."""
        return ControlStatus(
            fleet=self._fleet,
            workers=tuple(self._workers),
            kills=self._kills,
            unread=self._unread,
            misread=tuple(self._misread),
        )

    # --- what follows ----------------------------------------------------------------------

    async def _close_gates(self, worker: str, kill: Kill) -> None:
        """Tell one process. It has the board as well; one that does not answer is dropped."""
        try:
            await workflow.execute_activity_method(
                KillActivities.close_gates,
                kill,
                task_queue=names.worker_queue(worker),
                schedule_to_start_timeout=_UNTAKEN,
                start_to_close_timeout=_CLOSED_WITHIN,
                retry_policy=_ONCE,
                summary=f"close the gates of {worker}",
            )
        except ActivityError:
            # It comes back by itself when it lives: its keeper looks whether it is listed.
            self._drop(worker)

    async def _keep(self, kill: Kill) -> None:
        try:
            await workflow.start_child_workflow(
                KillWorkflow.run,
                StartKill.of(kill, self._fleet),
                id=names.kill_workflow_id(self._fleet, kill.scope, kill.at_ms),
                task_queue=names.CONTROL_QUEUE,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                static_summary=f"kill {kill.scope} by {kill.by}",
            )
        except WorkflowAlreadyStartedError:
            return  # told twice: it is kept already

    def _moment(self) -> int:
        """Now, and later than any kill before: one scope and one time are one kill."""
        self._last_ms = max(_now_ms(), self._last_ms + 1)
        return self._last_ms

    async def _misunderstood(self, why: str) -> None:
        text = f"a kill that cannot be read: {why}"
        self._misread = [*self._misread, text][-_MISREAD:]
        self._show()
        try:
            await workflow.execute_activity_method(
                KillActivities.alarm_kill,
                AlarmInput(kill=None, severity="critical", text=f"nothing was killed: {text}"),
                start_to_close_timeout=policies.READ_TIMEOUT,
                schedule_to_close_timeout=_ALARM_PATIENCE,
                retry_policy=policies.IDEMPOTENT_WRITE,
                summary="tell a person",
            )
        except ActivityError:
            return  # it stands on the page

    async def _look(self) -> None:
        """Read the kills in force, for the page; nothing depends on it."""
        try:
            self._kills = await workflow.execute_activity_method(
                KillActivities.kills_standing,
                start_to_close_timeout=policies.READ_TIMEOUT,
                retry_policy=_ONCE,
                summary="kills in force",
            )
            self._unread = ""
        except ActivityError as error:
            self._unread = str(error.cause)
        self._show()

    async def _rest(self) -> None:
        """Look again ever later while kills are in force, and soon after something was said."""
        pause_s = self._pause_s if self._kills or self._unread or self._news else _IDLE_LOOK_S
        self._pause_s = min(_LAST_LOOK_S, self._pause_s * 2)
        try:
            await workflow.wait_condition(lambda: self._news, timeout=timedelta(seconds=pause_s))
        except TimeoutError:
            return
        self._news = False
        self._pause_s = _FIRST_LOOK_S
        await workflow.sleep(_FIRST_LOOK_S)

    def _wake(self) -> None:
        self._news = True

    def _drop(self, worker: str) -> None:
        if worker in self._workers:
            self._workers.remove(worker)
            self._show()

    def _show(self) -> None:
        workflow.set_current_details(control_page(self.status()))


def _now_ms() -> int:
    return int(workflow.now().timestamp() * 1_000)
