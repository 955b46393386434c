"""One comparison of one account with our books; a schedule repeats it for ever.

It never fails: a comparison that cannot be made is recorded with its trouble. Limits: at most two
activities a run and a start for each open break without a workflow, no signals, no loops.
"""

from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, FailureError, WorkflowAlreadyStartedError

from activities.reconciliation import ReconciliationActivities
from activities.reconciliation_messages import (
    BlindInput,
    ReconcileInput,
    ReconcileKind,
    ReconcileReport,
)
from desk.identity import MarketId
from desk.reconciliation import Tolerance
from workflows import names, policies
from workflows.reconciliation_messages import (
    AfterSources,
    ReconcileAccount,
    ReconciliationReport,
)
from workflows.reconciliation_page import reconciliation_page

LONGEST_RUN: Final = {
    ReconcileKind.ORDERS: timedelta(seconds=90),
    ReconcileKind.ACCOUNT: timedelta(seconds=180),
}
"""After so long the server ends a run, so that the next one is not kept out."""

_PATIENCE: Final = {
    ReconcileKind.ORDERS: timedelta(seconds=40),
    ReconcileKind.ACCOUNT: timedelta(seconds=120),
}
_RECORD_PATIENCE = timedelta(seconds=20)
_BLIND_MS = 60_000
_STATE_DIFFER = "books_differ"
_STATE_BLIND = "not_compared"
_SOME = MarketId("venue", "account", "symbol")

# Also what is final for one worker may go well at another, which has the keys.
_COMPARE = RetryPolicy(
    initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=10)
)


@workflow.defn(name=names.RECONCILIATION_WORKFLOW)
class ReconciliationWorkflow:
    """Compares once, sees to it that every open break is cared for, and reports."""

    @workflow.init
    def __init__(self, start: ReconcileAccount) -> None:
        self._start = start

    @workflow.run
    async def run(self, start: ReconcileAccount) -> ReconciliationReport:  # noqa: ARG002 - see init
        """One comparison."""
        asked = self._input()
        try:
            seen = await workflow.execute_activity_method(
                ReconciliationActivities.reconcile,
                asked,
                start_to_close_timeout=_PATIENCE[self._start.kind],
                schedule_to_close_timeout=_PATIENCE[self._start.kind],
                heartbeat_timeout=policies.WRITE_HEARTBEAT,
                retry_policy=_COMPARE,
                summary=f"{self._start.kind.value} of {self._place}",
            )
        except ActivityError as error:
            report = await self._blind(asked, error)
        else:
            report = self._report(seen, await self._care(seen.standing))
        self._show(report)
        return report

    @property
    def _place(self) -> str:
        return f"{self._start.venue}/{self._start.account}"

    def _input(self) -> ReconcileInput:
        start = self._start
        owners = [names.market_workflow_id(_SOME), names.flatten_workflow_id(_SOME)]
        return ReconcileInput(
            venue=start.venue,
            account=start.account,
            kind=start.kind,
            run_id=workflow.info().run_id,
            began_ms=self._now_ms(),
            every_s=start.every_s,
            owners=tuple(one.removesuffix(_SOME.path) for one in owners),
            drill=names.drill_workflow_id(start.venue, start.account),
            tolerance=Tolerance(
                amount=start.tolerance, bps=start.tolerance_bps, untold_bps=start.untold_bps
            ),
            auto_resume=start.sources is AfterSources.AUTO,
        )

    def _report(self, seen: ReconcileReport, begun: tuple[int, ...]) -> ReconciliationReport:
        return ReconciliationReport(
            account=self._place,
            kind=self._start.kind,
            run_id=seen.run_id,
            at_ms=seen.at_ms,
            ours=seen.ours,
            theirs=seen.theirs,
            requests=seen.requests,
            found=seen.found,
            differences=seen.differences,
            breaks=seen.standing,
            begun=begun,
            equity=seen.equity,
            expected=seen.expected,
            gap_s=seen.gap_s,
            trouble=seen.trouble,
        )

    async def _care(self, standing: tuple[int, ...]) -> tuple[int, ...]:
        """Start the workflow of every open break that has none."""
        begun = []
        for number in standing:
            try:
                await workflow.start_child_workflow(
                    names.BREAK_WORKFLOW,
                    {"number": number, "fleet": self._start.fleet},
                    id=names.break_workflow_id(self._start.fleet, number),
                    task_queue=names.CONTROL_QUEUE,
                    parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                    static_summary=f"break {number} at {self._place}",
                )
            except WorkflowAlreadyStartedError:
                continue
            begun.append(number)
        return tuple(begun)

    async def _blind(self, asked: ReconcileInput, error: ActivityError) -> ReconciliationReport:
        """Keep a run that could not compare; a person hears once of trouble that lasts."""
        cause = error.cause
        trouble = cause.message if isinstance(cause, FailureError) else str(error)
        last: ReconciliationReport | None = workflow.get_last_completion_result(
            ReconciliationReport
        )
        since_ms = (last.blind_since_ms if last else 0) or asked.began_ms
        told = last is not None and last.blind_since_ms > 0 and last.told
        tell = not told and self._now_ms() - since_ms >= _BLIND_MS
        try:
            await workflow.execute_activity_method(
                ReconciliationActivities.record_blind,
                BlindInput(asked=asked, trouble=trouble, tell=tell),
                start_to_close_timeout=_RECORD_PATIENCE,
                schedule_to_close_timeout=_RECORD_PATIENCE,
                retry_policy=policies.IDEMPOTENT_WRITE,
                summary="record that nothing could be compared",
            )
        except ActivityError:
            tell = False
        return ReconciliationReport(
            account=self._place,
            kind=self._start.kind,
            run_id=asked.run_id,
            trouble=trouble,
            breaks=last.breaks if last else (),
            blind_since_ms=since_ms,
            told=told or tell,
        )

    def _show(self, report: ReconciliationReport) -> None:
        if not report.at_ms or report.breaks:
            state = _STATE_DIFFER if report.at_ms else _STATE_BLIND
            workflow.upsert_search_attributes([names.MARKET_STATE.value_set(state)])
        workflow.set_current_details(reconciliation_page(report))

    def _now_ms(self) -> int:
        return int(workflow.now().timestamp() * 1_000)
