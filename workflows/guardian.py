"""One look of the guardian at one account; a schedule repeats it for ever.

Each run begins with the findings of the last one that ended well, so that an alarm has one
beginning and one end. Limits: one or two activities a run, no signals, no loops.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, WorkflowAlreadyStartedError

from activities.guardian import GuardianActivities
from activities.guardian_messages import LookInput, LookReport, TellInput
from desk.identity import MarketId
from desk.ownership import Finding, FindingKind, Followed, follow
from workflows import names, policies
from workflows.guardian_messages import ExposurePolicy, GuardAccount, GuardianReport, market_of
from workflows.guardian_page import guardian_page

_LOOK_TIMEOUT = timedelta(seconds=45)
_LOOK_PATIENCE = timedelta(seconds=60)
_TELL_PATIENCE = timedelta(seconds=15)
_STATE_ALARM = "guardian_alarm"

# Also what is final for one worker may go well at another, which has the keys.
_LOOK = RetryPolicy(
    initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=10)
)


@workflow.defn(name=names.GUARDIAN_WORKFLOW)
class GuardianWorkflow:
    """Looks once, takes away what nobody owns, tells a person, and reports."""

    @workflow.init
    def __init__(self, start: GuardAccount) -> None:
        self._start = start

    @workflow.run
    async def run(self, start: GuardAccount) -> GuardianReport:  # noqa: ARG002 - taken in __init__
        """One look. A look that fails is a finding of its own; it never fails the workflow."""
        before = self._before()
        try:
            look = await self._look(before)
        except ActivityError as error:
            look = self._blind(error)
        followed = follow(
            before,
            look.findings,
            self._now_ms(),
            judged=look.judged,
            laggard_after_ms=self._start.laggard_after_s * 1_000,
        )
        flattens = await self._flatten(followed)
        heard = await self._tell(followed)
        report = GuardianReport(
            account=f"{self._start.venue}/{self._start.account}",
            at_ms=look.at_ms,
            ours=look.ours,
            foreign=look.foreign,
            owned=look.owned,
            cleared=look.cleared,
            findings=followed.after_telling(heard=heard),
            flattens=flattens,
            begun=len(followed.begun),
            over=len(followed.over),
            trouble=look.trouble,
        )
        self._show(report)
        return report

    def _before(self) -> tuple[Finding, ...]:
        last: GuardianReport | None = workflow.get_last_completion_result(GuardianReport)
        return last.findings if last else ()

    async def _look(self, before: tuple[Finding, ...]) -> LookReport:
        long_ago_ms = self._now_ms() - self._start.laggard_after_s * 1_000
        return await workflow.execute_activity_method(
            GuardianActivities.look_for_unowned,
            LookInput(
                venue=self._start.venue,
                account=self._start.account,
                owners=_owner_beginnings(),
                hedge=_beginning(names.hedge_workflow_id(_SOME)),
                drill=names.drill_workflow_id(self._start.venue, self._start.account),
                overdue=tuple(
                    market_of(finding)
                    for finding in before
                    if finding.kind is FindingKind.LAGGARD and finding.since_ms <= long_ago_ms
                ),
            ),
            start_to_close_timeout=_LOOK_TIMEOUT,
            schedule_to_close_timeout=_LOOK_PATIENCE,
            heartbeat_timeout=policies.WRITE_HEARTBEAT,
            retry_policy=_LOOK,
            summary=f"who owns what at {self._start.venue}/{self._start.account}",
        )

    def _blind(self, error: ActivityError) -> LookReport:
        why = str(error.cause) if error.cause else str(error)
        finding = Finding(
            kind=FindingKind.BLIND,
            market=None,
            text=f"it could not look: {why}",
            since_ms=self._now_ms(),
        )
        return LookReport(
            at_ms=0,
            ours=0,
            foreign=0,
            owned=0,
            cleared=0,
            findings=(finding,),
            judged=(FindingKind.BLIND,),
            trouble=finding.text,
        )

    async def _flatten(self, followed: Followed) -> tuple[str, ...]:
        """Start the flatten of each exposure that is new, where the policy says so."""
        if self._start.exposure is not ExposurePolicy.FLATTEN:
            return ()
        started = []
        for finding in followed.to_flatten:
            market = market_of(finding)
            flatten_id = names.flatten_workflow_id(market)
            try:
                await workflow.start_child_workflow(
                    names.FLATTEN_WORKFLOW,
                    {
                        "venue": market.venue,
                        "account": market.account,
                        "symbol": market.symbol,
                        "fleet": self._start.fleet,
                        "reason": finding.text,
                        "by": "guardian",
                    },
                    id=flatten_id,
                    task_queue=names.CONTROL_QUEUE,
                    parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                )
            except WorkflowAlreadyStartedError:
                continue
            started.append(flatten_id)
        return tuple(started)

    async def _tell(self, followed: Followed) -> bool:
        """Whether a person was told what there was to tell; trouble is for the next look."""
        if not (followed.begun or followed.over):
            return True
        try:
            await workflow.execute_activity_method(
                GuardianActivities.tell_findings,
                TellInput(
                    venue=self._start.venue,
                    account=self._start.account,
                    begun=followed.begun,
                    over=followed.over,
                ),
                start_to_close_timeout=_TELL_PATIENCE,
                schedule_to_close_timeout=_TELL_PATIENCE,
                retry_policy=policies.IDEMPOTENT_WRITE,
                summary="tell a person",
            )
        except ActivityError:
            return False
        return True

    def _show(self, report: GuardianReport) -> None:
        if any(finding.told for finding in report.findings):
            workflow.upsert_search_attributes([names.MARKET_STATE.value_set(_STATE_ALARM)])
        workflow.set_current_details(guardian_page(report))

    def _now_ms(self) -> int:
        return int(workflow.now().timestamp() * 1_000)


_SOME = MarketId("venue", "account", "symbol")


def _owner_beginnings() -> tuple[str, ...]:
    """What comes before a market's path in the ids of workflows that may own it."""
    ids = [names.market_workflow_id(_SOME), names.flatten_workflow_id(_SOME)]
    return tuple(_beginning(one) for one in ids)


def _beginning(workflow_id: str) -> str:
    return workflow_id.removesuffix(_SOME.path)
