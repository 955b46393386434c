"""A drill: pull one brake at a market that is marked for it, and keep what was proved.

It fails rather than guess, cleans up however it ends, and is recorded either way.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ChildWorkflowError, FailureError

from activities.drill import DrillActivities
from activities.drill_messages import DrillDone, DrillInput, DrillSeen
from desk.drills import DrillKind
from workflows import names, policies
from workflows.drill_messages import DrillResult, StartDrill
from workflows.messages import MarketResult, StartMarket, StopMarket

_STEP_MARGIN = timedelta(seconds=150)
_END_S = 60
_ONCE = RetryPolicy(maximum_attempts=1)


@workflow.defn(name=names.DRILL_WORKFLOW)
class DrillWorkflow:
    """One drill, from the check that it may happen to the record of what it proved."""

    @workflow.init
    def __init__(self, start: StartDrill) -> None:
        self._start = start
        self._facts: list[str] = []

    @workflow.run
    async def run(self, start: StartDrill) -> DrillResult:
        """Drill once. A market that may not be drilled fails the workflow with the sentence."""
        began = workflow.now()
        request = DrillInput(
            kind=start.kind,
            market=start.market,
            fleet=start.fleet,
            run_id=workflow.info().run_id,
            within_s=start.within_s,
            max_notional=start.max_notional,
        )
        ready = await workflow.execute_activity_method(
            DrillActivities.prepare_drill,
            request,
            start_to_close_timeout=policies.READ_TIMEOUT,
            schedule_to_close_timeout=policies.PREFLIGHT_PATIENCE,
            retry_policy=policies.READ,
            summary="may this market be drilled?",
        )
        message = ""
        try:
            if start.kind is DrillKind.KILL:
                await self._kill(request, self._market(ready.level_notional))
            elif start.kind is DrillKind.DEAD_MAN:
                await self._step(DrillActivities.drill_dead_man, request, "an order nobody owns")
            else:
                await self._step(DrillActivities.drill_panic, request, "panic with keys alone")
        except (ActivityError, ChildWorkflowError) as error:
            message = _sentence(error)
        except TimeoutError:
            message = f"the killed market did not stand down within {_END_S} s"
        await workflow.execute_activity_method(
            DrillActivities.clean_drill,
            request,
            start_to_close_timeout=policies.WRITE_TIMEOUT,
            heartbeat_timeout=policies.WRITE_HEARTBEAT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary="leave nothing behind",
        )
        done = DrillDone(
            kind=start.kind,
            market=start.market,
            run_id=workflow.info().run_id,
            began_at_ms=int(began.timestamp() * 1_000),
            ended_at_ms=int(workflow.now().timestamp() * 1_000),
            passed=not message,
            message=message or "passed",
            evidence="\n".join(self._facts),
        )
        await workflow.execute_activity_method(
            DrillActivities.record_drill,
            done,
            start_to_close_timeout=policies.READ_TIMEOUT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary="record what was proved",
        )
        return DrillResult(
            kind=start.kind,
            market=start.market.path,
            passed=done.passed,
            message=done.message,
            facts=tuple(self._facts),
        )

    async def _kill(self, request: DrillInput, spec: StartMarket) -> None:
        """A real market is started, quotes, is killed, and must stand down with nothing left."""
        market = await workflow.start_child_workflow(
            names.MARKET_WORKFLOW,
            spec,
            id=names.market_workflow_id(request.market),
            task_queue=names.MARKETS_QUEUE,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            static_summary="drill",
            result_type=MarketResult,
        )
        try:
            await self._step(DrillActivities.see_quotes, request, "wait for quotes")
            await self._step(DrillActivities.drill_kill, request, "kill it, time the answer")
        except ActivityError:
            await market.signal("stop", StopMarket(reason="the drill failed", by="drill"))
            raise
        result = await asyncio.wait_for(market, timeout=_END_S)
        self._say(f"the market stood down: {result.reason}")

    async def _step(
        self,
        what: Callable[[DrillActivities, DrillInput], Awaitable[DrillSeen]],
        request: DrillInput,
        summary: str,
    ) -> None:
        seen = await workflow.execute_activity_method(
            what,
            request,
            start_to_close_timeout=timedelta(seconds=request.within_s) + _STEP_MARGIN,
            heartbeat_timeout=policies.WRITE_HEARTBEAT,
            retry_policy=_ONCE,
            summary=summary,
        )
        for fact in seen.facts:
            self._say(fact)

    def _say(self, fact: str) -> None:
        self._facts.append(fact)
        lines = "\n".join(f"- {fact}" for fact in self._facts)
        workflow.set_current_details(f"## {self._start.kind.value} drill\n\n{lines}")

    def _market(self, level_notional: object) -> StartMarket:
        start = self._start
        return StartMarket.model_validate(
            {
                "venue": start.venue,
                "symbol": start.symbol,
                "account": start.account,
                "fleet": start.fleet,
                "levels": 1,
                "spread_bps": "40",
                "level_notional": level_notional,
            }
        )


def _sentence(error: FailureError) -> str:
    inner: BaseException = error
    while isinstance(inner, FailureError) and inner.cause is not None:
        inner = inner.cause
    return inner.message if isinstance(inner, FailureError) else str(inner)
