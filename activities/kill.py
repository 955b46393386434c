"""What a kill's workflow may ask the world: close gates, tell the board, record, ask, alarm, lift.

The one rule: telling is never waited for by telling: each of these works alone, and any of them
may run twice.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress

from temporalio import activity
from temporalio.service import RPCError

from activities.answering import Answering, answered
from activities.beating import beat
from activities.failures import as_application_errors
from activities.kill_messages import (
    AlarmInput,
    AnswerInput,
    Collected,
    CollectInput,
    KillStanding,
    LiftInput,
    LiftReport,
    MarketAnswer,
    MarketStages,
    ScopeInput,
    ScopeReport,
    StageSeen,
)
from activities.ports import ActivityPorts
from desk.errors import Unavailable
from desk.identity import MarketId
from desk.records import Kill, KillAnswer, KillStage
from desk.scopes import wider_kills
from desk.units import NS_PER_MS
from quoting.lifting import lift_kills

_FRESH_MS = 10_000
_LOOK_S = 0.1
_BRIEF_S = 0.5


class KillActivities:
    """Activities of one process; ports are shared by everything in it."""

    def __init__(self, ports: ActivityPorts) -> None:
        self._ports = ports

    @activity.defn
    async def close_gates(self, kill: Kill) -> None:
        """Stop this process's sessions at once. An old word is believed only if it still holds."""
        age_ms = self._ports.clock.wall_ns() // NS_PER_MS - kill.at_ms
        if age_ms < _FRESH_MS or not await self._over(kill):
            self._ports.gates.close(kill)

    @activity.defn
    async def tell_board(self, kill: Kill) -> None:
        """Put the kill where every session looks, unless it is over already."""
        with as_application_errors():
            if await self._over(kill):
                return
            await self._ports.board.set(kill)
            if await self._over(kill):
                # Lifted in this very moment: the record has the last word.
                await self._ports.board.lift(kill.scope, [kill.at_ms])

    @activity.defn
    async def record_kill(self, kill: Kill) -> None:
        """Write the kill into the durable record; one that is known already changes nothing."""
        with as_application_errors():
            await self._ports.ledger.set_kill(kill)

    @activity.defn
    async def markets_in_scope(self, request: ScopeInput) -> ScopeReport:
        """Markets that ever had an epoch, and those whose workflows run; as far as readable."""
        found, unread = await self._running(request), ""
        try:
            found.update(await self._ports.answers.markets(request.kill.scope))
        except Unavailable as trouble:
            unread = str(trouble)
        markets = tuple(sorted(market for market in found if request.kill.covers(market)))
        return ScopeReport(markets=markets, unread=unread)

    @activity.defn
    async def collect_answers(self, request: CollectInput) -> Collected:
        """Read what sessions and earlier tries answered, and wait a moment for the rest."""
        kill, waited_s = request.kill, 0.0
        try:
            while True:
                beat()
                answers = await self._ports.answers.answers(kill.scope, kill.at_ms)
                stages = _by_market(answers)
                missing = [one for one in request.markets if not answered(kill, stages.get(one))]
                if not missing or waited_s >= request.wait_s:
                    break
                await asyncio.sleep(_LOOK_S)
                waited_s += _LOOK_S
            over = await self._ports.answers.over(kill.scope, kill.at_ms)
        except Unavailable as trouble:
            return Collected(unread=str(trouble))
        self._request(kill, [one for one in request.markets if one not in stages])
        return Collected(
            answers=tuple(
                MarketStages(market=market, stages=seen) for market, seen in sorted(stages.items())
            ),
            over=over,
        )

    @activity.defn
    async def answer_kill(self, request: AnswerInput) -> MarketAnswer:
        """Bring one market as far as it can be brought in some seconds, and record the stages."""
        answering = Answering(self._ports, activity.client(), request, beat=beat)
        return await answering.run()

    @activity.defn
    async def alarm_kill(self, request: AlarmInput) -> None:
        """Tell a person how a kill goes."""
        with as_application_errors():
            await self._ports.alerts.alert(None, request.severity, request.text)

    @activity.defn
    async def lift_kill(self, request: LiftInput) -> LiftReport:
        """Lift what stands at the scope, in the record and on the board."""
        with as_application_errors():
            lifted, again = await lift_kills(
                self._ports.board,
                self._ports.ledger,
                request.scope,
                by=request.by,
                reason=request.reason,
                asked_ms=request.asked_ms,
            )
            for kill in self._ports.gates.told():
                later = request.asked_ms is not None and kill.at_ms > request.asked_ms
                if kill.scope == request.scope and not again and not later:
                    self._ports.gates.forget(kill)
            standing = await self._ports.ledger.active_kills()
            wider = wider_kills(request.scope, standing)
        return LiftReport(lifted=lifted, again=again, wider=wider)

    @activity.defn
    async def kills_standing(self) -> tuple[KillStanding, ...]:
        """Every kill in force, with how many have answered."""
        with as_application_errors():
            found = []
            for kill in await self._ports.ledger.active_kills():
                answers = await self._ports.answers.answers(kill.scope, kill.at_ms)
                stages = _by_market(answers)
                done = sum(answered(kill, seen) for seen in stages.values())
                found.append(KillStanding(kill=kill, asked=len(stages), answered=done))
        return tuple(found)

    def _request(self, kill: Kill, markets: Iterable[MarketId]) -> None:
        """Note who was asked; the writer does it in the background, all at once."""
        for market in markets:
            self._ports.writer.record(
                KillAnswer(
                    scope=kill.scope,
                    set_at_ms=kill.at_ms,
                    market=market,
                    stage=KillStage.REQUESTED,
                    at_ms=kill.at_ms,
                    evidence=f"killed at scope {kill.scope} by {kill.by}",
                )
            )

    async def _over(self, kill: Kill) -> bool:
        """Whether the record says so; a record that cannot be read says nothing."""
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(_BRIEF_S):
                return await self._ports.answers.over(kill.scope, kill.at_ms)
        return False

    async def _running(self, request: ScopeInput) -> set[MarketId]:
        """Markets whose workflows run, as the server's list has them; it may lag a second."""
        query = (
            f"WorkflowType = '{request.market_workflow}' AND ExecutionStatus = 'Running' "
            f"AND {request.fleet_attribute} = '{request.fleet}'"
        )
        found = set()
        with suppress(RPCError):
            async for workflow in activity.client().list_workflows(query):
                with suppress(ValueError):  # somebody's workflow of another name
                    found.add(MarketId.parse(workflow.id))
        return found


def _by_market(answers: Sequence[KillAnswer]) -> dict[MarketId, tuple[StageSeen, ...]]:
    found: dict[MarketId, tuple[StageSeen, ...]] = {}
    for one in answers:
        seen = StageSeen(stage=one.stage, at_ms=one.at_ms, evidence=one.evidence)
        found[one.market] = (*found.get(one.market, ()), seen)
    return found
