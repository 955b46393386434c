"""What a set's workflow may ask the world: open, run, release, tell, leave.

Every one may run twice: a run takes fresh epochs, discharges what the ledger says is owed before it
watches, and its attempt before it can send nothing any more.
"""

from temporalio import activity

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
from activities.arbitrage_open import check_set, rearm_claims
from activities.arbitrage_run import HostedRun
from activities.arbitrage_waiver import release, released_before
from activities.beating import beating
from activities.deciding import keep_decision
from activities.failures import as_application_errors
from activities.messages import DecisionInput
from activities.ports import ActivityPorts
from desk.identity import MarketId
from desk.ownership import SET_STARTED, SET_STOPPED


class ArbitrageActivities:
    """Activities of one worker; ports are shared by all sets of the process."""

    def __init__(self, ports: ActivityPorts) -> None:
        self._ports = ports

    @activity.defn
    async def open_set(self, request: OpenSetInput) -> OpenSetReport:
        """Check that the legs are a set, that nobody has them, and that positions are explained."""
        plan = request.plan
        with as_application_errors():
            async with beating():
                held = await check_set(self._ports, request)
                await rearm_claims(self._ports, plan)
                await self._mark_legs(plan, None, SET_STARTED, "asked to start", "flotilla")
                waived = await released_before(self._ports, plan)
        return OpenSetReport(standing=held, waived=waived)

    @activity.defn
    async def run_set(self, request: RunSetInput) -> RunSetResult:
        """Discharge what is owed, and with `watch` take at most one trade."""
        with as_application_errors():
            run = HostedRun(self._ports, request)
            async with beating(lambda: run.look):
                return await run.run()

    @activity.defn
    async def release_set(self, request: ReleaseSetInput) -> int:
        """Record that a person takes over what is owed; how many trades were handed over."""
        plan = request.plan
        with as_application_errors():
            trades = await release(self._ports, request)
            keys = ", ".join(key.text for key in trades) or "no open trade"
            await self._decide(
                plan.home,
                epoch=request.epoch,
                kind="arbitrage released",
                reason=request.reason,
                by=request.by,
                evidence=f"{plan.name}: {request.owed}; {keys}",
            )
        return len(trades)

    @activity.defn
    async def tell_set(self, request: TellSetInput) -> None:
        """Tell a person of a decision of the workflow when asked to, and keep it."""
        home, name = request.plan.home, request.plan.name
        with as_application_errors():
            await self._decide(
                home,
                epoch=request.epoch,
                kind=request.kind,
                reason=f"{name}: {request.reason}",
                by=request.by,
                evidence=name,
                severity=request.severity,
            )

    @activity.defn
    async def leave_set(self, request: LeaveSetInput) -> None:
        """Put on record that the legs were left in good order; what they hold is kept."""
        with as_application_errors():
            await self._mark_legs(
                request.plan, request.epoch, SET_STOPPED, request.reason, request.by
            )

    async def _mark_legs(
        self, plan: SetPlan, epoch: int | None, kind: str, reason: str, by: str
    ) -> None:
        """Every leg's own record says so: the guardian looks there."""
        for market in plan.legs:
            await self._decide(
                market, epoch=epoch, kind=kind, reason=reason, by=by, evidence=plan.name
            )

    async def _decide(
        self,
        market: MarketId,
        *,
        epoch: int | None,
        kind: str,
        reason: str,
        by: str,
        evidence: str,
        severity: str = "",
    ) -> None:
        said = DecisionInput(
            market=market, epoch=epoch, kind=kind, reason=reason, by=by, evidence=evidence
        )
        await keep_decision(self._ports, said, severity)
