"""A kill survives what is tried again, emptied, or looked at by those who have no keys."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.kill import KillActivities
from activities.kill_messages import LiftInput, MarketAnswer
from desk.errors import ConfigurationFault, Unavailable
from desk.records import Kill, KillEffect, KillStage
from flotilla.board_keeper import keep_board
from tests.activities.conftest import MARKET, Desk, OpenDesk
from tests.activities.test_kill_activities import (
    answer,
    asked,
    hold_a_position,
    kill_now,
    now_ms,
    seen,
)
from tests.activities.test_market_activities import PREFLIGHT
from workflows.kill_messages import StartKill
from workflows.kill_record import KillRecord


class AwayBoard:
    """A kill board that cannot be reached while `away`."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.away = True

    def __getattr__(self, name: str) -> Any:
        if self.away:
            raise Unavailable("redis: away")
        return getattr(self.inner, name)


class Looks:
    """The record of answers, counting the looks of whoever keeps the board."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.begun = 0

    def __getattr__(self, name: str) -> Any:
        self.begun += name == "ended"
        return getattr(self.inner, name)


class NoKeys:
    """The directory of a worker that has settings for no account."""

    async def venue(self, name: str, account: str) -> Any:
        raise ConfigurationFault(f"venue: no credentials for {name}/{account}")


def old_kill(desk: Desk, effect: KillEffect = KillEffect.STOP) -> Kill:
    return replace(kill_now(desk, effect), at_ms=now_ms(desk) - 10_000)


async def test_a_lift_tried_again_leaves_a_kill_set_after_it_was_asked(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await desk.ports.board.rearm([])
        first = old_kill(desk)
        await desk.ports.ledger.set_kill(first)
        await desk.ports.board.set(first)
        board = AwayBoard(desk.ports.board)
        activities = KillActivities(replace(desk.ports, board=board))
        lift = LiftInput(scope=first.scope, by="ana", reason="over", asked_ms=now_ms(desk))
        with pytest.raises(ApplicationError):
            await desk.run(activities.lift_kill, lift)
        second = replace(first, by="bo", at_ms=now_ms(desk) + 1)
        await desk.ports.ledger.set_kill(second)
        desk.ports.gates.close(second)
        board.away = False
        report = await desk.run(activities.lift_kill, lift)
        assert await desk.ports.ledger.active_kills() == (second,)
        assert desk.ports.gates.told() == (second,)
        assert report.again
        await desk.run(activities.lift_kill, replace(lift, asked_ms=second.at_ms))
        assert await desk.ports.ledger.active_kills() == ()


async def test_a_kill_the_record_does_not_know_survives_an_emptied_board(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        await desk.ports.board.rearm([])
        kill = kill_now(desk)
        activities = KillActivities(desk.ports)
        await desk.run(activities.close_gates, kill)
        await desk.ports.board.set(kill)
        desk.ports.gates.merged(MARKET, await desk.ports.board.kills(MARKET))
        looked_at = Looks(desk.ports.answers)
        async with asyncio.TaskGroup() as tasks, asyncio.timeout(60):
            keeping = tasks.create_task(keep_board(replace(desk.ports, answers=looked_at)))
            while looked_at.begun < 2:
                await asyncio.sleep(0.02)
            keeping.cancel()
        # The board is armed and empty: as after Redis was emptied and filled from the record.
        await desk.ports.board.lift(kill.scope, [kill.at_ms])
        assert await desk.ports.board.kills(MARKET) == ()
        with pytest.raises(ApplicationError, match="flood"):
            await desk.run(desk.activities.preflight, PREFLIGHT)


async def test_nobody_holding_a_lease_proves_nothing_until_a_forgotten_one_ran_out(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        fresh, old = kill_now(desk), old_kill(desk)
        early = await answer(desk, asked(fresh), venues=NoKeys())
        late = await answer(desk, asked(old), venues=NoKeys())
        waited = await answer(desk, asked(fresh))
        (gate,) = [one for one in waited.stages if one.stage is KillStage.GATE_CLOSED]
    assert KillStage.GATE_CLOSED not in seen(early.stages)
    assert KillStage.GATE_CLOSED in seen(late.stages)
    assert gate.at_ms >= fresh.at_ms + 2_500, "a session's lease lasts three seconds"


async def test_a_worker_without_keys_ends_nothing_that_one_with_keys_began(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        await hold_a_position(desk)
        kill = old_kill(desk, KillEffect.FLATTEN)
        request = asked(kill)
        record = KillRecord(StartKill.of(kill, "main"))
        record.recorded = True
        record.asked([MARKET])
        record.took(await answer(desk, request))
        await desk.client.get_workflow_handle(request.flatten_id).terminate()
        record.ended_round("")
        for _ in range(8):
            known = record.stages(MARKET)
            again = replace(
                request, known=known, tries=record.rounds, keyless=record.keyless(MARKET)
            )
            record.took(await answer(desk, again, venues=NoKeys()))
            record.ended_round("")
        assert record.keyless(MARKET) == 8
        assert not record.complete
        unbegun = await keyless(desk, kill)
        stopped = await keyless(desk, replace(kill, effect=KillEffect.STOP))
    assert record.pending() == (MARKET,)
    assert unbegun.unverified == "", "the ledger knows of its position"
    assert stopped.unverified, "it asked for no more than a stop"


async def test_tries_of_workers_with_keys_do_not_count_as_tries_without(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        kill = replace(old_kill(desk), scope="fleet")
        first = await answer(desk, replace(asked(kill), tries=50), venues=NoKeys())
        with_keys = await answer(desk, replace(asked(kill), keyless=4))
    assert first.unverified == ""
    assert (first.keyless, with_keys.keyless) == (1, 0)


async def keyless(desk: Desk, kill: Kill) -> MarketAnswer:
    """The answer of a worker without keys after many such tries, nothing known before."""
    return await answer(desk, replace(asked(kill), keyless=9), venues=NoKeys())
