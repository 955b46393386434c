"""Watches what accounts and the fleet lose in a day, and latches what passed its limit.

The rule: nothing is remembered here that a restart could forget; every look starts from the record.
One activity per window looks about every second; no market data comes this way.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.loss_messages import LossEvent, WatchLossesInput, WatchLossesReport
from activities.losses import LossActivities
from desk.records import KillEffect
from workflows import names, policies
from workflows.daily_loss_messages import (
    CarriedLosses,
    DailyLossStatus,
    LossNote,
    WatchDailyLoss,
)
from workflows.daily_loss_page import losses_page

_WINDOW_S: Final = 60
_MARGIN: Final = timedelta(seconds=60)
_KEPT: Final = 100


@workflow.defn(name=names.DAILY_LOSS_WORKFLOW)
class DailyLossWorkflow:
    """Runs as long as the fleet does."""

    @workflow.init
    def __init__(self, watch: WatchDailyLoss) -> None:
        carried = watch.carried or CarriedLosses()
        self._fleet = watch.fleet
        self._picture = carried.picture
        self._history = list(carried.history)

    @workflow.run
    async def run(self, watch: WatchDailyLoss) -> None:
        """Watch for ever; continue as new when the history grew long."""
        self._check_id()
        window_s = 0  # what there is to see first is shown at once
        while not workflow.info().is_continue_as_new_suggested():
            report = await self._watch(window_s)
            self._picture = report.picture
            window_s = 0 if report.events else _WINDOW_S
            for event in report.events:
                await self._latch(event)
            self._show()
        carried = CarriedLosses(picture=self._picture, history=tuple(self._history))
        workflow.continue_as_new(watch.model_copy(update={"carried": carried}))

    @workflow.query(description="The last look, and what was latched.")
    def status(self) -> DailyLossStatus:
        """What was lost today."""
        return DailyLossStatus(picture=self._picture, history=tuple(self._history))

    def _check_id(self) -> None:
        wanted, given = names.daily_loss_workflow_id(self._fleet), workflow.info().workflow_id
        if given != wanted:
            raise ApplicationError(
                f"workflow id: '{given}' is not this fleet's; start it again as '{wanted}'",
                type="ConfigurationFault",
                non_retryable=True,
            )

    async def _watch(self, window_s: int) -> WatchLossesReport:
        return await workflow.execute_activity_method(
            LossActivities.watch_losses,
            WatchLossesInput(window_s=window_s),
            start_to_close_timeout=timedelta(seconds=window_s) + _MARGIN,
            heartbeat_timeout=policies.WRITE_HEARTBEAT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary="watch daily losses",
        )

    async def _latch(self, event: LossEvent) -> None:
        latched = await workflow.execute_activity_method(
            LossActivities.latch_scope,
            event,
            start_to_close_timeout=policies.READ_TIMEOUT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary=f"latch {event.scope}: {event.finding.verdict.value}",
        )
        until_ms = event.ends_ms if latched.until_ms is None else latched.until_ms
        self._history.append(
            LossNote(
                at=workflow.now().isoformat(),
                scope=event.scope,
                verdict=event.finding.verdict,
                sentence=event.finding.sentence,
                until=datetime.fromtimestamp(until_ms / 1_000, UTC).isoformat(),
            )
        )
        del self._history[:-_KEPT]

    def _show(self) -> None:
        rows = self._picture.scopes if self._picture else ()
        fleet = next((row for row in rows if row.scope == "fleet"), None)
        workflow.upsert_search_attributes(
            [
                names.FLEET_ID.value_set(self._fleet),
                names.HALTED.value_set(any(row.latch is KillEffect.FLATTEN for row in rows)),
                names.PNL_QUOTE.value_set(float(fleet.now - fleet.start) if fleet else 0.0),
            ]
        )
        workflow.set_current_details(losses_page(self.status()))
