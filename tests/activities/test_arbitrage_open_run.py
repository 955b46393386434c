"""A run is hosted under fresh epochs and every leg's lease, and gives all of them back."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.arbitrage import ArbitrageActivities
from activities.arbitrage_messages import RunSetInput, RunSetResult
from activities.arbitrage_run import rules_left
from desk.arbitrage_records import ClaimRecord, HeldCapital, LockedTrade, TradeKey
from desk.identity import MarketId
from desk.units import Side
from infra.redis.connection import open_redis
from quoting.arbitrage.report import DischargePhase, RunEnd, RunLook, SetKind
from tests.activities.conftest import Desk, OpenDesk
from tests.activities.set_desk import CAPS, MARKETS, ONE, OWNER, PLAN, TWO, by_hand, fired, open_set

RUN = RunSetInput(plan=PLAN, run_id="run-1", window_s=5, phase=DischargePhase.HEDGE, watch=False)


async def run_set(desk: Desk, request: RunSetInput = RUN) -> RunSetResult:
    return await desk.run(ArbitrageActivities(desk.ports).run_set, request)


async def leases(desk: Desk) -> Mapping[MarketId, str]:
    return await desk.ports.holders.holders(PLAN.legs)


async def test_each_run_has_fresh_epochs_and_gives_its_leases_back(open_desk: OpenDesk) -> None:
    async with open_desk(markets=MARKETS, FLOTILLA_ARBITRAGE_CAPS=CAPS) as desk:
        await open_set(desk)
        first = await run_set(desk)
        fences = [await desk.ports.lease.fence(market) for market in PLAN.legs]
        second = await run_set(desk)
        later = [await desk.ports.lease.fence(market) for market in PLAN.legs]
        assert await leases(desk) == {}
        assert await desk.ports.lost.expired() == (), "given back, not lost"
    assert first.report.end is second.report.end is RunEnd.BALANCED
    assert not first.report.standing.owes
    assert second.report.epoch > first.report.epoch > max(fences)
    assert all(after > before for after, before in zip(later, fences, strict=True))


async def test_a_watch_holds_every_lease_and_tells_its_picture(open_desk: OpenDesk) -> None:
    told: list[RunLook] = []
    async with open_desk(markets=MARKETS, FLOTILLA_ARBITRAGE_CAPS=CAPS) as desk:
        await open_set(desk)
        environment = ActivityEnvironment(client=desk.client)
        environment.on_heartbeat = lambda *details: told.extend(details)
        watching = asyncio.create_task(
            environment.run(
                ArbitrageActivities(desk.ports).run_set, replace(RUN, watch=True, window_s=60)
            )
        )
        async with asyncio.timeout(30):
            while not any(look.state == "watching" for look in told):
                await asyncio.sleep(0.1)
        held = await leases(desk)
        environment.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching
        assert await leases(desk) == {}, "cut short, it gives them back all the same"
    assert held == {ONE: OWNER, TWO: OWNER}


async def test_a_dead_owners_lease_is_waited_for(open_desk: OpenDesk) -> None:
    async with open_desk(markets=MARKETS, FLOTILLA_ARBITRAGE_CAPS=CAPS) as desk:
        await open_set(desk)
        assert await desk.ports.lease.acquire(TWO, 1, "arbitrage/event1/dead", 2_000)
        result = await run_set(desk)
    assert result.report.end is RunEnd.BALANCED


async def test_a_leg_that_stays_held_is_named_and_the_others_are_free(open_desk: OpenDesk) -> None:
    async with open_desk(markets=MARKETS, FLOTILLA_ARBITRAGE_CAPS=CAPS) as desk:
        await open_set(desk)
        assert await desk.ports.lease.acquire(TWO, 1, "worker-9/1", 60_000)
        with pytest.raises(ApplicationError) as failure:
            await run_set(desk)
        assert await leases(desk) == {TWO: "worker-9/1"}
    assert f"legs are held by others and stay held: {TWO.path} by worker-9/1" in str(failure.value)
    assert failure.value.type == "Unavailable"


async def test_an_emptied_redis_is_armed_again_by_the_next_run(
    open_desk: OpenDesk, redis_url: str
) -> None:
    async with open_desk(markets=MARKETS, FLOTILLA_ARBITRAGE_CAPS=CAPS) as desk:
        await open_set(desk)
        first = await run_set(desk)
        key = await fired(desk, 5)
        await desk.ports.trades.hand_over(key, "ana", "kept")
        redis = open_redis(redis_url)
        await redis.flushdb()
        await redis.aclose()
        assert not await desk.ports.claims.armed()
        second = await run_set(desk)
        assert await desk.ports.claims.armed()
        held = {one.key: one.capital for one in await desk.ports.claims.open()}
    assert second.report.epoch > max(first.report.epoch, key.epoch)
    assert [part.amount for part in held[key]] == [Decimal(5)], "as the record has it locked"


async def test_what_one_leg_holds_alone_is_owed_and_a_waiver_covers_it(
    open_desk: OpenDesk,
) -> None:
    waiting = replace(RUN, phase=DischargePhase.WAIT)
    async with open_desk(markets=MARKETS, FLOTILLA_ARBITRAGE_CAPS=CAPS) as desk:
        await fired(desk, 5)
        by_hand(desk, ONE.symbol, Side.BUY, 5)
        await open_set(desk)
        owing = await run_set(desk, waiting)
        owed = tuple(leg.owed for leg in owing.report.standing.legs)
        covered = await run_set(desk, replace(waiting, waived=owed))
        beyond = await run_set(desk, replace(waiting, waived=(-50, 0)))
    assert owing.report.end is RunEnd.OWED
    assert owing.waived == ()
    assert any(owed)
    assert not covered.report.standing.owes
    assert covered.waived == owed
    assert beyond.waived == (-5, 0), "a waiver never exceeds what is there to be waived"


# --- capital --------------------------------------------------------------------------------


def test_what_is_locked_counts_against_the_capital_of_the_set() -> None:
    def trade(name: str, amount: str, quote: str = "USDC") -> LockedTrade:
        held = HeldCapital(venue="ocx", account="main", quote=quote, amount=Decimal(amount))
        return LockedTrade(key=TradeKey(name, 1, 1), owner=OWNER, under_way=False, capital=(held,))

    def left(*trades: LockedTrade, **plan: Any) -> Decimal:
        record = ClaimRecord(trades=trades)
        return rules_left(replace(PLAN, **plan), record, "USDC").max_capital

    assert left() == Decimal(100)
    assert left(trade("event1", "30"), trade("event1", "20.5")) == Decimal("49.5")
    assert left(trade("event2", "30"), trade("event1", "3", "BTC")) == Decimal(100)
    assert 0 < left(trade("event1", "130")) < Decimal("0.001"), "the rules stay sound"
    assert left(trade("event1", "30"), kind=SetKind.TRIANGLE) == Decimal(100)
