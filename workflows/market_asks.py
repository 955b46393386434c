"""What a market's workflow asks of the world, with time-outs, and by what the world knows it.

Decides nothing; an answer goes back to the caller, who keeps it in the record.
"""

from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

from activities.breaks import BreakActivities
from activities.loss_messages import LatchMarketInput
from activities.losses import LossActivities
from activities.market import MarketActivities
from activities.messages import (
    DecisionInput,
    PreflightInput,
    PreflightReport,
    SessionInput,
    SessionResult,
    StandDownInput,
    TakeOverInput,
)
from desk.lifecycle import OnWorkerDeath
from quoting.agreement import StandDownReport
from workflows import names, policies
from workflows.flatten import FlattenWorkflow
from workflows.messages import StartMarket
from workflows.record import MarketRecord


class MarketAsks:
    """Activities of one market, asked for with what its record says now."""

    def __init__(self, start: StartMarket, record: MarketRecord) -> None:
        self._start = start
        self._record = record

    @property
    def session_attempts(self) -> int:
        """How often the server begins one session before it is the workflow's turn again."""
        once = self._start.on_worker_death is OnWorkerDeath.FLATTEN
        return 1 if once else policies.SESSION_ATTEMPTS

    def check_id(self) -> None:
        """The workflow id is what makes a second owner impossible, so it must be the market's."""
        wanted, given = names.market_workflow_id(self._record.market), workflow.info().workflow_id
        if given != wanted:
            raise ApplicationError(
                f"workflow id: '{given}' is not this market's; start it again as '{wanted}'",
                type="ConfigurationFault",
                non_retryable=True,
            )

    def mark(self, *, live: bool) -> None:
        """Write what the UI filters by, as the record has it."""
        record = self._record
        workflow.upsert_search_attributes(
            [
                names.VENUE.value_set(record.market.venue),
                names.MARKET.value_set(record.market.symbol),
                names.MARKET_STATE.value_set(record.state.value),
                names.FLEET_ID.value_set(self._start.fleet),
                names.HALTED.value_set(not live),
                names.PNL_QUOTE.value_set(float(record.progress.pnl) if record.progress else 0.0),
            ]
        )

    async def preflight(self) -> PreflightReport:
        """Whether this market may be quoted at all; fails with the sentence why not."""
        return await workflow.execute_activity_method(
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

    def session(self) -> workflow.ActivityHandle[SessionResult]:
        """Begin a session; cancelling the handle asks it to end in good order."""
        record, start = self._record, self._start
        return workflow.start_activity_method(
            MarketActivities.quote_session,
            SessionInput(
                market=record.market,
                life_epoch=record.life_epoch,
                parameters=record.parameters,
                limits=start.limits,
                run_id=workflow.info().run_id,
                window_s=start.window_s,
                prior_sigma_bps=record.sigma_bps,
                usual_latency_ms=record.usual_latency_ms,
            ),
            start_to_close_timeout=timedelta(seconds=start.window_s) + policies.SESSION_MARGIN,
            heartbeat_timeout=policies.SESSION_HEARTBEAT,
            retry_policy=policies.session(self.session_attempts),
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"quote session, parameters v{record.parameters.version}",
        )

    async def clear(
        self, owner: str, patience: timedelta | None = None, *, give_back: bool = False
    ) -> int | None:
        """Take the market over, cancel everything, list zero twice: the epoch it was done under.

        None when it cannot be done as things are. `give_back`: only the orders were meant.
        """
        try:
            report = await workflow.execute_activity_method(
                MarketActivities.take_over,
                TakeOverInput(
                    market=self._record.market,
                    owner=owner,
                    run_id=workflow.info().run_id,
                    give_back=give_back,
                ),
                schedule_to_close_timeout=patience,
                start_to_close_timeout=policies.WRITE_TIMEOUT,
                heartbeat_timeout=policies.WRITE_HEARTBEAT,
                retry_policy=policies.IDEMPOTENT_WRITE,
                summary="cancel everything, list zero twice",
            )
        except ActivityError:
            return None
        return report.epoch

    async def last_look(self, owner: str, epoch: int) -> StandDownReport:
        """Verify that nothing rests and the books agree; gives the lease back."""
        return await workflow.execute_activity_method(
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

    async def stop_exit(self) -> None:
        """Have the flatten that runs end: the position is kept after all."""
        running = workflow.get_external_workflow_handle(
            names.flatten_workflow_id(self._record.market)
        )
        with suppress(FailureError):  # it has ended
            await running.signal(FlattenWorkflow.stop, self._record.exit_stop())

    async def latch(self, result: SessionResult) -> None:
        """Latch the daily loss, so that nobody starts this market again today."""
        await workflow.execute_activity_method(
            LossActivities.latch_market,
            LatchMarketInput(
                market=self._record.market,
                epoch=result.epoch,
                reason=result.message,
                until_ms=result.day_ends_ms,
            ),
            start_to_close_timeout=policies.READ_TIMEOUT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary="latch the daily loss until the next trading day",
        )

    async def break_holding(self) -> str | None:
        """Which break holds this market, empty when none does; None while nobody can tell."""
        try:
            return await workflow.execute_activity_method(
                BreakActivities.break_holding,
                self._record.market,
                start_to_close_timeout=policies.READ_TIMEOUT,
                schedule_to_close_timeout=policies.CLEAR_PATIENCE,
                retry_policy=policies.IDEMPOTENT_WRITE,
                summary="is a break still open here",
            )
        except ActivityError:
            return None

    async def tell(self, kind: str, reason: str, *, alert: bool) -> None:
        """Record a control decision, and tell a person of it when `alert`."""
        await workflow.execute_activity_method(
            MarketActivities.record_decision,
            DecisionInput(
                market=self._record.market,
                epoch=self._record.epoch,
                kind=kind,
                reason=reason,
                by=self._record.by or "flotilla",
                alert=alert,
            ),
            start_to_close_timeout=policies.READ_TIMEOUT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary=f"record: {kind}",
        )
