"""A drill: pull one brake at a market that is marked for it, and keep what was proved.

It fails rather than guess, cleans up however it ends, and is recorded either way: a failure at
once, whatever becomes of the cleaning. An account is drilled by one at a time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    FailureError,
    WorkflowAlreadyStartedError,
)

from activities.drill import DrillActivities
from activities.drill_messages import DrillDone, DrillInput, DrillSeen
from desk.drills import DrillKind
from workflows import names, policies
from workflows.drill_messages import DrillResult, StartDrill
from workflows.messages import FinalFacts, MarketResult, StartMarket, StopMarket

_STEP_MARGIN = timedelta(seconds=150)
_END_S = 120
_CLEAN_S = 300
_EXIT_DEADLINE_S = 30
_ONCE = RetryPolicy(maximum_attempts=1)


@workflow.defn(name=names.DRILL_WORKFLOW)
class DrillWorkflow:
    """One drill, from the check that it may happen to the record of what it proved."""

    @workflow.init
    def __init__(self, start: StartDrill) -> None:
        self._start = start
        self._began = workflow.now()
        self._facts: list[str] = []
        self._request = DrillInput(
            kind=start.kind,
            market=start.market,
            fleet=start.fleet,
            run_id=workflow.info().run_id,
            within_s=start.within_s,
            max_notional=start.max_notional,
        )

    @workflow.run
    async def run(self, start: StartDrill) -> DrillResult:
        """Drill once. A market that may not be drilled fails the workflow with the sentence."""
        own_id = names.drill_workflow_id(start.venue, start.account)
        if workflow.info().workflow_id != own_id:
            return await self._alone(own_id)
        request = self._request
        ready = await workflow.execute_activity_method(
            DrillActivities.prepare_drill,
            request,
            start_to_close_timeout=policies.READ_TIMEOUT,
            schedule_to_close_timeout=policies.PREFLIGHT_PATIENCE,
            retry_policy=policies.READ,
            summary="may this market be drilled?",
        )
        message = await self._pull(self._market(ready.level_notional))
        ending = asyncio.create_task(self._end(message))
        while not ending.done():
            with suppress(asyncio.CancelledError):  # a cancel asks for the end, and this is it
                await asyncio.shield(ending)
        message = await ending
        return DrillResult(
            kind=start.kind,
            market=start.market.path,
            passed=not message,
            message=message or "passed",
            facts=tuple(self._facts),
        )

    async def _alone(self, own_id: str) -> DrillResult:
        """Under the account's own id, which one drill at a time can have; schedules add to theirs.

        It ends by itself: what it placed must be cleaned up whatever becomes of this one.
        """
        start = self._start
        try:
            return await workflow.execute_child_workflow(
                DrillWorkflow.run,
                start,
                id=own_id,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                static_summary=f"{start.kind.value} drill at {start.market.path}",
            )
        except WorkflowAlreadyStartedError:
            raise ApplicationError(
                f"account: a drill at {start.venue}/{start.account} runs already; wait for its end",
                type="ConfigurationFault",
                non_retryable=True,
            ) from None

    async def _pull(self, spec: StartMarket) -> str:
        """Pull the brake; why it failed, empty when it held."""
        kind, request = self._start.kind, self._request
        try:
            if kind is DrillKind.KILL:
                await self._kill(request, spec)
            elif kind is DrillKind.DEAD_MAN:
                await self._step(DrillActivities.drill_dead_man, request, "an order nobody owns")
            else:
                await self._step(DrillActivities.drill_panic, request, "panic with keys alone")
        except FailureError as error:
            return _sentence(error) or "it failed without a word"
        except TimeoutError:
            return f"the killed market did not stand down within {_END_S} s"
        except asyncio.CancelledError:
            return "the drill was cancelled"
        return ""

    async def _end(self, message: str) -> str:
        """Clean up, and record; a failure is recorded before it is known whether that helps."""
        cleaning = asyncio.create_task(self._clean())
        if message:
            await self._record(message)
        try:
            await workflow.wait_condition(cleaning.done, timeout=_CLEAN_S)
            left = await cleaning
        except TimeoutError:
            left = f"not proved clean within {_CLEAN_S} s: orders may rest; it is tried for ever"
        if left or not message:
            message = "; ".join(filter(None, (message, left)))
            await self._record(message)
        await cleaning
        return message

    async def _clean(self) -> str:
        """What is left behind for a person, empty when nothing is. Never given up."""
        try:
            await workflow.execute_activity_method(
                DrillActivities.clean_drill,
                self._request,
                start_to_close_timeout=policies.WRITE_TIMEOUT,
                heartbeat_timeout=policies.WRITE_HEARTBEAT,
                retry_policy=policies.IDEMPOTENT_WRITE,
                summary="leave nothing behind",
            )
        except ActivityError as error:
            return _sentence(error) or "it could not be cleaned"
        return ""

    async def _record(self, message: str) -> None:
        """Keep how it ended, once; a failure is alarmed each time."""
        await workflow.execute_activity_method(
            DrillActivities.record_drill,
            DrillDone(
                kind=self._start.kind,
                market=self._start.market,
                run_id=self._request.run_id,
                began_at_ms=int(self._began.timestamp() * 1_000),
                ended_at_ms=int(workflow.now().timestamp() * 1_000),
                passed=not message,
                message=message or "passed",
                evidence="\n".join(self._facts),
            ),
            start_to_close_timeout=policies.READ_TIMEOUT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary="record what was proved",
        )

    async def _kill(self, request: DrillInput, spec: StartMarket) -> None:
        """A real market is started, quotes, is killed, and must stand down flat."""
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
            at_ms = int(workflow.now().timestamp() * 1_000)
            self._request = request = replace(request, kill_at_ms=at_ms)
            await self._step(DrillActivities.drill_kill, request, "kill it, time the answer")
        except BaseException:
            with suppress(FailureError):  # it has ended
                stop = StopMarket(reason="the drill failed", by="drill", flatten=True)
                await market.signal("stop", stop)
            if market.done():
                await market  # its own sentence says why
            raise
        # A time-out must not cancel the market, which stands down.
        await workflow.wait_condition(market.done, timeout=_END_S)
        result = await market
        self._say(f"the market stood down: {result.reason}")
        if unlike := _not_flat(result.final):
            raise ApplicationError(unlike, type="DrillFailed", non_retryable=True)
        self._say("no order, no position, and the ledger equals the venue")

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
                "flatten_slices": 1,
                "flatten_deadline_s": _EXIT_DEADLINE_S,
            }
        )


def _not_flat(final: FinalFacts) -> str:
    """What the market left behind when it stood down, empty when nothing."""
    if final.venue_open_orders or final.venue_position:
        return (
            f"the market stood down with {final.venue_open_orders} orders and a position of "
            f"{final.venue_position} lots"
        )
    if not final.ledger_equals_venue:
        return f"the market stood down, and its books disagree: {final.difference}"
    return ""


def _sentence(error: FailureError) -> str:
    inner: BaseException = error
    while isinstance(inner, FailureError) and inner.cause is not None:
        inner = inner.cause
    return inner.message if isinstance(inner, FailureError) else str(inner)
