"""What a set's workflow asks of the world, with time-outs, and by what the world knows it.

Decides nothing; an answer goes back to the caller, who keeps it in the record.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.arbitrage import ArbitrageActivities
from activities.arbitrage_messages import (
    LeaveSetInput,
    OpenSetInput,
    OpenSetReport,
    ReleaseSetInput,
    RunSetInput,
    RunSetResult,
    SetPlan,
    TellSetInput,
)
from desk.identity import MarketId
from workflows import names, policies
from workflows.arbitrage_messages import ArbitrageState, DecideArbitrage, StartArbitrage
from workflows.arbitrage_record import ArbitrageRecord


class ArbitrageAsks:
    """Activities of one set, asked for with what its record says now."""

    def __init__(self, start: StartArbitrage, record: ArbitrageRecord) -> None:
        self._start = start
        self._record = record

    def check_id(self) -> None:
        """The workflow id is what makes a second owner impossible, so it must be the set's."""
        wanted, given = names.arbitrage_workflow_id(self._start.name), workflow.info().workflow_id
        if given != wanted:
            raise ApplicationError(
                f"workflow id: '{given}' is not this set's; start it again as '{wanted}'",
                type="ConfigurationFault",
                non_retryable=True,
            )

    def mark(self) -> None:
        """Write what the UI filters by, as the record has it."""
        start, state = self._start, self._record.state
        workflow.upsert_search_attributes(
            [
                names.VENUE.value_set(start.markets[0].venue),
                names.MARKET.value_set(start.name),
                names.MARKET_STATE.value_set(f"arbitrage_{state.value}"),
                names.FLEET_ID.value_set(start.fleet),
                names.HALTED.value_set(state is ArbitrageState.HANDED_OVER),
            ]
        )

    async def open(self) -> OpenSetReport:
        """Whether this set may begin; fails with the sentence why not."""
        return await workflow.execute_activity_method(
            ArbitrageActivities.open_set,
            OpenSetInput(
                plan=self._plan(),
                run_id=workflow.info().run_id,
                rivals=_beginnings(self._start.markets[0]),
            ),
            start_to_close_timeout=policies.WRITE_TIMEOUT,
            schedule_to_close_timeout=policies.PREFLIGHT_PATIENCE,
            heartbeat_timeout=policies.WRITE_HEARTBEAT,
            retry_policy=policies.READ,
            summary="check that the legs are a set, and nobody's",
        )

    def run(self, *, watch: bool) -> workflow.ActivityHandle[RunSetResult]:
        """Begin one run, which discharges what is owed and then, with `watch`, watches."""
        phase = self._record.phase
        window_s = self._start.window_s if watch else policies.DISCHARGE_S
        within = timedelta(seconds=window_s) + policies.RUN_MARGIN
        return workflow.start_activity_method(
            ArbitrageActivities.run_set,
            RunSetInput(
                plan=self._plan(),
                run_id=workflow.info().run_id,
                window_s=window_s,
                phase=phase,
                watch=watch,
                waived=self._record.waived,
            ),
            start_to_close_timeout=within,
            schedule_to_close_timeout=within + policies.RUN_MARGIN,
            heartbeat_timeout=policies.SESSION_HEARTBEAT,
            retry_policy=policies.RUN_ONCE,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary="discharge, watch, trade" if watch else f"discharge: {phase.value}",
        )

    async def release(self, decided: DecideArbitrage) -> None:
        """Put on record that a person takes over what is owed now."""
        await workflow.execute_activity_method(
            ArbitrageActivities.release_set,
            ReleaseSetInput(
                plan=self._plan(),
                epoch=self._record.epoch,
                owed=self._record.owed_sentence,
                by=decided.by,
                reason=decided.reason,
                waived=self._record.waived_by_release,
                trade=self._record.owing_trade,
            ),
            start_to_close_timeout=policies.READ_TIMEOUT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary=f"released by {decided.by}",
        )

    async def tell(self, kind: str, reason: str, *, by: str, severity: str = "") -> None:
        """Record a decision; with a severity a person hears of it."""
        await workflow.execute_activity_method(
            ArbitrageActivities.tell_set,
            TellSetInput(
                plan=self._plan(),
                epoch=self._record.epoch,
                kind=kind,
                reason=reason,
                by=by,
                severity=severity,
            ),
            start_to_close_timeout=policies.READ_TIMEOUT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary=f"record: {kind}",
        )

    async def leave(self, reason: str, by: str) -> None:
        """Put on record that the legs were left in good order."""
        await workflow.execute_activity_method(
            ArbitrageActivities.leave_set,
            LeaveSetInput(plan=self._plan(), epoch=self._record.epoch, reason=reason, by=by),
            start_to_close_timeout=policies.WRITE_TIMEOUT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary="the legs are left in good order",
        )

    def _plan(self) -> SetPlan:
        # One name in the leases for the whole life: later runs are the same owner.
        first = workflow.info().first_execution_run_id
        return self._record.plan(f"{names.arbitrage_workflow_id(self._start.name)}/{first}")


def _beginnings(market: MarketId) -> tuple[str, ...]:
    """How the ids of workflows begin that own one market."""
    owners = (names.market_workflow_id(market), names.flatten_workflow_id(market))
    return tuple(owner.removesuffix(market.path) for owner in owners)
