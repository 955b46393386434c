"""A market answers a kill by evidence from real services and the venue's own books."""

import asyncio
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.worker import Worker

from activities.kill import KillActivities
from activities.kill_messages import (
    AlarmInput,
    AnswerInput,
    Collected,
    CollectInput,
    LiftInput,
    MarketAnswer,
    ScopeInput,
    StageSeen,
)
from activities.messages import SessionResult
from desk.errors import Unavailable
from desk.identity import MarketId
from desk.lifecycle import SessionReason
from desk.ports import Clock
from desk.records import Kill, KillEffect, KillStage, LostLease
from infra.temporal.search_attributes import SEARCH_ATTRIBUTES, ensure_search_attributes
from tests.activities.conftest import MARKET, Desk, OpenDesk
from tests.activities.test_market_activities import leave_orders, quote, resting_ids
from venues.simulation.faults import Fault, FaultKind
from workflows import names

STOPPED = {KillStage.GATE_CLOSED, KillStage.CANCELS_SENT, KillStage.LISTED_ZERO}


def now_ms(desk: Desk) -> int:
    return desk.ports.clock.wall_ns() // 1_000_000


def kill_now(desk: Desk, effect: KillEffect = KillEffect.STOP) -> Kill:
    return Kill(scope="venue:ocx", reason="flood", by="ana", at_ms=now_ms(desk), effect=effect)


def asked(kill: Kill, market: MarketId = MARKET, tries: int = 0) -> AnswerInput:
    one = uuid.uuid4().hex
    return AnswerInput(
        kill=kill,
        market=market,
        known=(),
        tries=tries,
        workflow_id=f"market/{one}",
        flatten_id=f"flatten/{one}",
        fleet="main",
        flatten_workflow="FlattenWorkflow",
        flatten_queue=f"nobody/{one}",
        state_attribute="MarketState",
    )


async def answer(desk: Desk, request: AnswerInput, **ports: Any) -> MarketAnswer:
    activities = KillActivities(replace(desk.ports, **ports))
    return await desk.run(activities.answer_kill, request)


def seen(stages: Sequence[StageSeen]) -> set[KillStage]:
    return {one.stage for one in stages}


async def recorded(desk: Desk, kill: Kill) -> set[KillStage]:
    answers = await desk.ports.answers.answers(kill.scope, kill.at_ms)
    return {one.stage for one in answers if one.market == MARKET}


@dataclass(frozen=True, slots=True)
class HastyClock:
    """A clock that runs ten times as fast, so that nobody waits for a lease to run out."""

    inner: Clock

    def monotonic_ns(self) -> int:
        return 10 * self.inner.monotonic_ns()

    def wall_ns(self) -> int:
        return self.inner.wall_ns()


class NoRedis:
    """Leases that cannot be read."""

    async def expired(self, grace_ms: int = 0) -> Sequence[LostLease]:
        raise Unavailable(f"redis: away ({grace_ms})")

    async def claim(self, lost: LostLease, claimer: str, ttl_ms: int) -> bool:
        raise Unavailable(f"redis: away ({lost}, {claimer}, {ttl_ms})")

    async def settle(self, lost: LostLease) -> bool:
        raise Unavailable(f"redis: away ({lost})")

    async def holders(self, markets: Sequence[MarketId]) -> Mapping[MarketId, str]:
        raise Unavailable(f"redis: away ({markets})")


class NoRecord:
    """A record that takes nothing."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.away = True

    def __getattr__(self, name: str) -> Any:
        if self.away:
            raise Unavailable("postgres: away")
        return getattr(self.inner, name)


# --- one market's answer ------------------------------------------------------------------------


async def test_orders_nobody_owns_are_cancelled_and_seen_to_be_gone(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await leave_orders(desk, 1)
        kill = kill_now(desk)
        given = await answer(desk, asked(kill))
        assert resting_ids(desk) == set()
        assert given.waiting_for == ""
        assert seen(given.stages) == STOPPED == await recorded(desk, kill)
        assert all(one.at_ms >= kill.at_ms for one in given.stages)


async def test_while_a_session_holds_the_lease_orders_go_and_nothing_is_claimed(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        await leave_orders(desk, 1)
        assert await desk.ports.lease.acquire(MARKET, 1, "w-1/1", 60_000)
        given = await answer(desk, asked(kill_now(desk)))
        assert resting_ids(desk) == set(), "cancelled all the same"
    assert "w-1/1 holds the lease" in given.waiting_for
    assert KillStage.GATE_CLOSED not in seen(given.stages)
    assert KillStage.LISTED_ZERO not in seen(given.stages)


async def test_a_lease_that_runs_out_closes_the_gate(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        assert await desk.ports.lease.acquire(MARKET, 1, "dead-1/1", 1_500)
        given = await answer(desk, asked(kill_now(desk)))
    assert seen(given.stages) == STOPPED


@pytest.mark.parametrize("owner", ["flatten/run", "stand-down/run", "clear/run", "hedge/run"])
async def test_owners_that_add_no_risk_do_not_hold_the_gate_open(
    open_desk: OpenDesk, owner: str
) -> None:
    async with open_desk() as desk:
        assert await desk.ports.lease.acquire(MARKET, 1, owner, 60_000)
        given = await answer(desk, asked(kill_now(desk)))
    assert seen(given.stages) == STOPPED


async def test_a_venue_that_is_away_is_named_and_the_gate_is_answered(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await leave_orders(desk, 1)
        desk.venue.faults.add(Fault(kind=FaultKind.REQUEST_LOST, path="/perps/*", count=None))
        kill = replace(kill_now(desk), at_ms=now_ms(desk) - 5_000)
        given = await answer(desk, asked(kill))
        assert given.waiting_for.startswith("ocx: ")
        assert seen(given.stages) == {KillStage.GATE_CLOSED} == await recorded(desk, kill)
        desk.venue.faults.clear()
        again = await answer(desk, replace(asked(kill), known=given.stages))
    assert again.waiting_for == ""
    assert seen(again.stages) == STOPPED
    assert again.stages[0] == given.stages[0], "the first word stands"


async def test_without_redis_the_gate_is_closed_only_after_every_lease_ran_out(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        hasty = HastyClock(desk.ports.clock)
        gone = NoRedis()
        given = await answer(desk, asked(kill_now(desk)), lost=gone, holders=gone, clock=hasty)
        (gate,) = [one for one in given.stages if one.stage is KillStage.GATE_CLOSED]
        waited = re.search(r"could not reach Redis for (\d+) s; as it sees it", gate.evidence)
        assert waited is not None
        assert int(waited[1]) >= 5, "a lease lasts three seconds, the board two"
        assert seen(given.stages) == STOPPED


async def test_what_is_not_recorded_was_not_answered(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        kill = kill_now(desk)
        record = NoRecord(desk.ports.answers)
        given = await answer(desk, asked(kill), answers=record)
        assert "the record: postgres: away" in given.waiting_for
        assert seen(given.stages) == STOPPED, "and nothing of it is forgotten"
        record.away = False
        again = await answer(desk, replace(asked(kill), known=given.stages), answers=record)
        assert again.waiting_for == ""
        assert await recorded(desk, kill) == STOPPED


async def test_flat_is_said_of_a_position_of_zero(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        given = await answer(desk, asked(kill_now(desk, KillEffect.FLATTEN)))
    assert seen(given.stages) == {*STOPPED, KillStage.FLAT}


async def test_a_position_nobody_owns_is_given_to_a_flatten(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await hold_a_position(desk)
        request = asked(kill_now(desk, KillEffect.FLATTEN))
        given = await answer(desk, request)
        found = await desk.client.get_workflow_handle(request.flatten_id).describe()
        await desk.client.get_workflow_handle(request.flatten_id).terminate()
    assert "lots are left to flatten" in given.waiting_for
    assert KillStage.FLAT not in seen(given.stages)
    assert found.workflow_type == "FlattenWorkflow"


@pytest.mark.parametrize(
    ("state", "told"), [("paused", True), ("flattening", False), ("standing_down", False)]
)
async def test_a_workflow_that_stands_by_is_told_and_one_that_leaves_is_not(
    open_desk: OpenDesk, *, state: str, told: bool
) -> None:
    async with open_desk() as desk:
        request = asked(kill_now(desk))
        handle = await market_workflow(desk.client, request.workflow_id, state)
        given = await answer(desk, request)
        signals = [
            event.workflow_execution_signaled_event_attributes
            async for event in handle.fetch_history_events()
            if event.HasField("workflow_execution_signaled_event_attributes")
        ]
        await handle.terminate()
    assert seen(given.stages) == STOPPED
    assert [one.signal_name for one in signals] == (["stop"] if told else [])
    for one in signals:
        said = one.input.payloads[0].data.decode()
        assert '"keep_exit":true' in said
        assert "flood" in said


async def test_a_market_without_settings_is_left_to_others_then_named(open_desk: OpenDesk) -> None:
    stranger = MarketId("x10", "gone", "BTC-USD")
    async with open_desk() as desk:
        kill = replace(kill_now(desk), scope="fleet", at_ms=now_ms(desk) - 5_000)
        first = await answer(desk, asked(kill, stranger))
        many = replace(asked(kill, stranger), keyless=5)
        late = await answer(desk, many)
        assert await desk.ports.lease.acquire(stranger, 1, "w-1/1", 100)
        await asyncio.sleep(0.2)
        lost = await answer(desk, many)
    assert first.waiting_for
    assert first.unverified == ""
    assert "in good order" in late.unverified
    assert lost.unverified == "", "its lease was lost: something may rest there"
    assert KillStage.LISTED_ZERO not in seen(late.stages)


@workflow.defn(name="MarketWorkflow", sandboxed=False)
class StoodDown:
    """A market's workflow at its end, with what it saw at its last look."""

    @workflow.run
    async def run(self, orders: int) -> dict[str, dict[str, int]]:
        return {"final": {"venue_open_orders": orders, "venue_position": 0}}


@pytest.mark.parametrize(
    ("orders", "before", "known"), [(0, 0, True), (2, 0, False), (0, 1, False)]
)
async def test_the_last_look_of_a_workflow_is_evidence_when_it_came_after_the_kill(
    open_desk: OpenDesk, *, orders: int, before: int, known: bool
) -> None:
    stranger = MarketId("x10", "gone", "BTC-USD")
    async with open_desk() as desk:
        stop = replace(kill_now(desk), scope="fleet", at_ms=now_ms(desk) - 5_000)
        kill = replace(stop, effect=KillEffect.FLATTEN)
        request, queue = asked(kill, stranger), uuid.uuid4().hex
        async with Worker(desk.client, task_queue=queue, workflows=[StoodDown]):
            await desk.client.execute_workflow(
                "MarketWorkflow", orders, id=request.workflow_id, task_queue=queue
            )
        later = replace(kill, at_ms=kill.at_ms + before * 600_000)
        given = await answer(desk, replace(request, kill=later))
    assert (given.waiting_for == "") is known
    assert ({*STOPPED, KillStage.FLAT} <= seen(given.stages)) is known


# --- sessions answer by themselves --------------------------------------------------------------


async def test_a_kill_told_to_the_process_ends_a_session_that_answers_by_itself(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        activities = KillActivities(desk.ports)
        kill = kill_now(desk)
        result, collected = await killed_while_quoting(desk, activities, kill)
        assert resting_ids(desk) == set()
    assert result.reason is SessionReason.KILLED
    assert "flood" in result.message
    (mine,) = collected.answers
    assert seen(mine.stages) >= STOPPED
    times = {one.stage: one.at_ms for one in mine.stages}
    assert times[KillStage.GATE_CLOSED] <= times[KillStage.CANCELS_SENT]
    assert times[KillStage.CANCELS_SENT] <= times[KillStage.LISTED_ZERO]


async def test_collecting_notes_who_was_asked_and_says_when_it_is_over(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        activities, kill = KillActivities(desk.ports), kill_now(desk)
        await desk.run(activities.record_kill, kill)
        request = CollectInput(kill=kill, markets=(MARKET,), wait_s=0.0)
        assert not (await desk.run(activities.collect_answers, request)).over
        assert await desk.ports.writer.flush(10)
        assert await recorded(desk, kill) == {KillStage.REQUESTED}
        lift = LiftInput(scope=kill.scope, by="bo", reason="over")
        assert (await desk.run(activities.lift_kill, lift)).lifted
        assert (await desk.run(activities.collect_answers, request)).over


async def test_every_market_that_ever_had_an_epoch_in_scope_has_to_answer(
    open_desk: OpenDesk,
) -> None:
    other = MarketId("x10", "main", "BTC-USD")
    async with open_desk() as desk:
        for market in (MARKET, other):
            await desk.ports.ledger.open_epoch(market, "w-1", "run")
        request = ScopeInput(
            kill=kill_now(desk),
            fleet=uuid.uuid4().hex,
            market_workflow="MarketWorkflow",
            fleet_attribute="FleetId",
        )
        await ensure_search_attributes(desk.client, SEARCH_ATTRIBUTES)
        report = await desk.run(KillActivities(desk.ports).markets_in_scope, request)
    assert report.markets == (MARKET,)
    assert report.unread == ""


# --- telling and lifting ------------------------------------------------------------------------


async def test_a_word_that_comes_late_does_not_bring_a_lifted_kill_back(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        activities = KillActivities(desk.ports)
        await desk.ports.board.rearm([])
        kill = replace(kill_now(desk), at_ms=now_ms(desk) - 60_000)
        await desk.run(activities.record_kill, kill)
        await desk.run(activities.tell_board, kill)
        assert await desk.ports.board.kills(MARKET) == (kill,)
        lift = LiftInput(scope=kill.scope, by="bo", reason="over")
        assert (await desk.run(activities.lift_kill, lift)).lifted
        for late in (activities.tell_board, activities.record_kill, activities.close_gates):
            await desk.run(late, kill)
        assert await desk.ports.board.kills(MARKET) == ()
        assert await desk.ports.ledger.active_kills() == ()
        assert desk.ports.gates.told() == ()


async def test_lifting_names_what_still_stands(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        activities = KillActivities(desk.ports)
        narrow, wide = kill_now(desk), replace(kill_now(desk), scope="fleet")
        for kill in (narrow, wide):
            await desk.run(activities.record_kill, kill)
        lift = LiftInput(scope=narrow.scope, by="bo", reason="over")
        report = await desk.run(activities.lift_kill, lift)
        standing = await activities.kills_standing()
    assert report.wider == (wide,)
    assert [one.kill for one in standing] == [wide]


async def test_an_alarm_reaches_the_record(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        alarm = AlarmInput(kill=None, severity="critical", text="two are late")
        await desk.run(KillActivities(desk.ports).alarm_kill, alarm)


async def killed_while_quoting(
    desk: Desk, activities: KillActivities, kill: Kill
) -> tuple[SessionResult, Collected]:
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(60):
        session = tasks.create_task(quote(desk, 50))
        while not resting_ids(desk):
            await asyncio.sleep(0.02)
        await desk.run(activities.close_gates, kill)
        request = CollectInput(kill=kill, markets=(MARKET,), wait_s=20.0)
        collected = await desk.run(activities.collect_answers, request)
        result = await session
    return result, collected


async def hold_a_position(desk: Desk) -> None:
    await desk.ports.ledger.open_epoch(MARKET, "w-1", "run")
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(60):
        session = tasks.create_task(quote(desk, 50))
        while not desk.venue.engine.position("main", MARKET.symbol).lots:
            await asyncio.sleep(0.05)
        session.cancel()


async def market_workflow(client: Client, workflow_id: str, state: str) -> WorkflowHandle[Any, Any]:
    """A market's workflow that nobody works on, in a state."""
    await ensure_search_attributes(client, SEARCH_ATTRIBUTES)
    return await client.start_workflow(
        "MarketWorkflow",
        id=workflow_id,
        task_queue=f"nobody/{workflow_id}",
        search_attributes=TypedSearchAttributes([SearchAttributePair(names.MARKET_STATE, state)]),
    )
