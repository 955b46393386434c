"""One market's hedge: watch its inventory, and work off what is owed at another market.

What is owed stands in Postgres before the first order, and ends only by fills or a named decision.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError

from activities.hedge import HedgeActivities
from activities.hedge_messages import (
    HedgeLook,
    HedgePlan,
    HedgeSliceInput,
    LeaveHedgeInput,
    OpenHedgeInput,
    ReleaseHedgeInput,
    WatchHedgeInput,
)
from activities.market import MarketActivities
from activities.messages import DecisionInput
from desk.hedging import HedgeState
from workflows import names, policies
from workflows.hedge_messages import HedgeStatus, ReleaseHedge, StartHedge
from workflows.hedge_page import hedge_page
from workflows.hedge_record import HedgeRecord
from workflows.messages import Request
from workflows.said import read_form, read_order

_LONG_HISTORY = 400
_SHORTEST_WINDOW_S = 5
_ALERT_GROWTH = 4


@workflow.defn(name=names.HEDGE_WORKFLOW)
class HedgeWorkflow:
    """Owns the hedge of one market, and the hedge market with it, from start to stop."""

    @workflow.init
    def __init__(self, start: StartHedge) -> None:
        self._start = start
        self._record = HedgeRecord(start)
        self._order: HedgeLook | None = None
        self._rest_s = 0
        self._release: ReleaseHedge | None = None
        self._stop: Request | None = None
        self._wake = False

    @workflow.run
    async def run(self, start: StartHedge) -> HedgeStatus:  # noqa: ARG002 - taken in __init__
        """Hedge until stopped; continue as new by the length of the history."""
        if self._record.epoch == 0:
            self._check_id()
            await self._open()
        while self._stop is None:
            if self._release is not None:
                await self._let_go(self._release)
            elif self._order is not None:
                await self._send(self._order)
            else:
                await self._watch()
            await self._tell_overdue()
            if self._order is None and self._long():
                await self._continue()
        return await self._leave(self._stop)

    # --- what it does ----------------------------------------------------------------------

    def _check_id(self) -> None:
        """The workflow id is what makes a second hedge of a market impossible."""
        wanted, given = names.hedge_workflow_id(self._start.source), workflow.info().workflow_id
        if given != wanted:
            raise ApplicationError(
                f"workflow id: '{given}' is not this hedge's; start it again as '{wanted}'",
                type="ConfigurationFault",
                non_retryable=True,
            )

    async def _open(self) -> None:
        self._note(HedgeState.STARTING, "start requested")
        report = await workflow.execute_activity_method(
            HedgeActivities.open_hedge,
            OpenHedgeInput(plan=self._plan(), run_id=workflow.info().run_id),
            start_to_close_timeout=policies.WRITE_TIMEOUT,
            schedule_to_close_timeout=policies.PREFLIGHT_PATIENCE,
            heartbeat_timeout=policies.WRITE_HEARTBEAT,
            retry_policy=policies.READ,
            summary="check markets, take the hedge market's lease",
        )
        self._record.epoch = report.epoch
        hedge = self._start.hedge.path
        await self._decide("hedge started", f"at {hedge}", by="flotilla")
        self._note(HedgeState.WATCHING, f"the lease of {hedge} is held")

    async def _watch(self) -> None:
        record, self._wake = self._record, False
        window_s = self._start.window_s
        if record.trouble_since_ms is not None:
            window_s = min(window_s, max(_SHORTEST_WINDOW_S, self._start.overdue_s))
        within = timedelta(seconds=window_s) + policies.HEDGE_MARGIN
        handle = workflow.start_activity_method(
            HedgeActivities.watch_hedge,
            WatchHedgeInput(
                plan=self._plan(),
                epoch=record.epoch,
                run_id=workflow.info().run_id,
                state=record.state,
                obligation=record.obligation,
                waived=record.waived,
                window_s=window_s,
                rest_s=min(self._rest_s, window_s),
                receipt=record.receipt,
            ),
            start_to_close_timeout=within,
            schedule_to_close_timeout=within + policies.HEDGE_MARGIN,
            heartbeat_timeout=policies.SESSION_HEARTBEAT,
            retry_policy=policies.HEDGE,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary="weigh inventory against hedge",
        )
        await workflow.wait_condition(lambda: handle.done() or self._wake)
        if not handle.done():
            handle.cancel()
        try:
            look = await handle
        except ActivityError as error:
            await self._failed(error)
            return
        record.took_look(look)
        self._note(look.state, look.reason)
        if look.part_lots:
            self._order, self._rest_s = look, 0

    async def _send(self, order: HedgeLook) -> None:
        self._order, record = None, self._record
        id_epoch = record.id_epoch_under(order.epoch)
        try:
            report = await workflow.execute_activity_method(
                HedgeActivities.send_hedge_slice,
                HedgeSliceInput(
                    plan=self._plan(),
                    epoch=order.epoch,
                    step=record.step,
                    position=order.position,
                    lots=order.part_lots,
                    reduce_only=order.reduce_only,
                    id_epoch=id_epoch,
                ),
                start_to_close_timeout=policies.EXIT_STEP_TIMEOUT,
                schedule_to_close_timeout=policies.HEDGE_ORDER_PATIENCE,
                heartbeat_timeout=policies.EXIT_STEP_HEARTBEAT,
                retry_policy=policies.HEDGE,
                summary=f"hedge order {record.step}: {order.part_lots} lots",
            )
        except ActivityError as error:
            await self._failed(error)
            return
        record.took_slice(report)
        self._rest_s = record.rest_s
        record.add(f"{report.sent_lots} lots: {report.outcome}", workflow.now())
        self._show()

    async def _let_go(self, release: ReleaseHedge) -> None:
        self._release, self._order, record = None, None, self._record
        if record.obligation is None:
            record.add(f"{release.by} released, but nothing is owed", workflow.now())
            self._show()
            return
        released = await workflow.execute_activity_method(
            HedgeActivities.release_hedge,
            ReleaseHedgeInput(
                plan=self._plan(),
                obligation=record.obligation,
                epoch=record.epoch,
                by=release.by,
                reason=release.reason,
            ),
            start_to_close_timeout=policies.READ_TIMEOUT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary=f"released by {release.by}",
        )
        if released:
            record.waive()
            self._note(HedgeState.WATCHING, f"released by {release.by}: {release.reason}")

    async def _leave(self, request: Request) -> HedgeStatus:
        record = self._record
        text = f"stopped by {request.by}: {request.reason}"
        if record.obligation is not None:
            text += f"; {record.owed} lots stay owed (obligation {record.obligation})"
        await self._decide(
            "hedge stopped", text, by=request.by, alert=record.obligation is not None
        )
        await workflow.execute_activity_method(
            HedgeActivities.leave_hedge,
            LeaveHedgeInput(plan=self._plan(), epoch=record.epoch),
            start_to_close_timeout=policies.READ_TIMEOUT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary="give the hedge market back",
        )
        self._note(HedgeState.STOPPED, text)
        return record.status()

    # --- telling ---------------------------------------------------------------------------

    async def _failed(self, error: ActivityError) -> None:
        """An activity gave up: say so, wait longer each time, and look again."""
        if isinstance(error.cause, CancelledError):
            return
        record = self._record
        record.stuck += 1
        self._note(HedgeState.BLOCKED, f"{error.activity_type} failed: {error.cause}")
        try:
            await workflow.wait_condition(
                lambda: self._wake, timeout=timedelta(seconds=max(1, record.rest_s))
            )
        except TimeoutError:
            return

    async def _tell_overdue(self) -> None:
        record = self._record
        if record.trouble_since_ms is None:
            record.alerts = 0
            return
        waited_s = workflow.now().timestamp() - record.trouble_since_ms / 1_000
        if waited_s < self._start.overdue_s * _ALERT_GROWTH**record.alerts:
            return
        record.alerts += 1
        text = f"{record.owed} lots owed at {self._start.hedge.path} for {waited_s:.0f} s"
        why = (
            f"{record.reason}; the last order: {record.outcome}" if record.stuck else record.reason
        )
        await self._decide("hedge overdue", f"{text}: {why}", by="flotilla", alert=True)

    async def _decide(self, kind: str, reason: str, *, by: str, alert: bool = False) -> None:
        await workflow.execute_activity_method(
            MarketActivities.record_decision,
            DecisionInput(
                market=self._start.source,
                epoch=self._record.epoch,
                kind=kind,
                reason=reason,
                by=by,
                alert=alert,
            ),
            start_to_close_timeout=policies.READ_TIMEOUT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary=f"record: {kind}",
        )

    def _note(self, state: HedgeState, text: str) -> None:
        if self._record.note(state, text, workflow.now()):
            hedge = self._start.hedge
            workflow.upsert_search_attributes(
                [
                    names.VENUE.value_set(hedge.venue),
                    names.MARKET.value_set(hedge.symbol),
                    names.MARKET_STATE.value_set(f"hedge_{state.value}"),
                    names.FLEET_ID.value_set(self._start.fleet),
                    names.HALTED.value_set(state is HedgeState.BLOCKED),
                ]
            )
        self._show()

    def _show(self) -> None:
        workflow.set_current_details(hedge_page(self._record.status()))

    def _plan(self) -> HedgePlan:
        # One name in the lease for the whole life: retries and later runs are the same owner.
        return self._record.plan(f"hedge/{workflow.info().first_execution_run_id}")

    def _long(self) -> bool:
        info = workflow.info()
        return (
            info.is_continue_as_new_suggested()
            or info.get_current_history_length() >= _LONG_HISTORY
        )

    async def _continue(self) -> None:
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._stop is None and self._release is None:
            carried = self._record.carried()
            workflow.continue_as_new(self._start.model_copy(update={"carried": carried}))

    # --- what people say -------------------------------------------------------------------

    @workflow.signal(description="Give the hedge market back. What is owed stays owed. {}")
    def stop(self, *said: object) -> None:
        """Stop hedging."""
        self._stop, _ = read_order(Request, said)
        self._wake = True

    @workflow.signal(description='Nothing is owed any more: {"by": "ana", "reason": "..."}')
    def release(self, *said: object) -> None:
        """Discharge what is owed by a named decision; what cannot be read discharges nothing."""
        request, misread = read_form(ReleaseHedge, said)
        if request is None:
            self._record.add(f"not released: {misread}", workflow.now())
            self._show()
            return
        self._release = request
        self._wake = True

    @workflow.signal(description="Look at the inventory now. {}")
    def check(self, *said: object) -> None:
        """Look now."""
        del said
        self._wake = True

    @workflow.query(description="Inventory, hedge, what is owed, and history.")
    def status(self) -> HedgeStatus:
        """What this hedge is doing."""
        return self._record.status()
