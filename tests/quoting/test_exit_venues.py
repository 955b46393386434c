"""A position is traded to zero at each simulated venue, through lost answers and by resting."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from decimal import Decimal

import pytest

from desk.errors import VenueError
from desk.flattening import FlattenProgress, next_move
from desk.identity import MarketId
from desk.units import Side
from quoting.exit import exit_slice
from tests.quoting.exit_venue import RealClock
from tests.support.alone import OwnLedger
from tests.venues.conformance.harness import Harness, Target, Trouble, TroubleUnavailable
from tests.venues.conformance.stage import Stage, eventually
from tests.venues.ocx.harness import ocx_harness
from tests.venues.x10.harness import x10_harness
from tests.venues.zo.harness import zo_harness
from workflows.flatten_messages import StartFlatten
from workflows.flatten_record import FlattenRecord

Open = Callable[[], AbstractAsyncContextManager[Harness]]
VENUES: dict[str, Open] = {"ocx": ocx_harness, "x10": x10_harness, "zo": zo_harness}
_MOVES = 30


@pytest.fixture(params=list(VENUES))
def venue(request: pytest.FixtureRequest) -> Open:
    return VENUES[request.param]


async def become_long(stage: Stage) -> int:
    """Hold what one resting order brought."""
    await stage.still()
    order = await stage.place_inside(Side.BUY, 6 * stage.size())
    await stage.hit(order, order.lots)

    async def held() -> int:
        return (await stage.venue.account.position(stage.instrument)).lots

    return await eventually(held, lambda lots: lots == order.lots)


async def leave(harness: Harness, **form: object) -> FlattenRecord:
    """As the workflow does it, every failed try repeated as such."""
    symbol, venue = harness.instrument.symbol, harness.instrument.venue
    start = StartFlatten.model_validate({"venue": venue, "symbol": symbol, **form})
    record = FlattenRecord(start, "run", 0)
    lots = (await harness.venue.account.position(harness.instrument)).lots
    record.put(epoch=5, takes=1, progress=FlattenProgress(remaining=lots))
    for number in range(_MOVES):
        progress = record.state.progress
        assert progress is not None
        if not progress.remaining:
            break
        move = next_move(start.plan, progress, start.deadline_s)
        step = replace(record.step(5, progress, move), market=MarketId(venue, "main", symbol))
        for attempt in range(_MOVES):
            again = replace(step, repeated=step.repeated or attempt > 0)
            try:
                report = await exit_slice(
                    again, harness.instrument, harness.venue, OwnLedger(), RealClock()
                )
            except VenueError:
                continue
            break
        record.took(progress, move, report, number)
    return record


async def judge(harness: Harness, held: int, record: FlattenRecord) -> None:
    assert record.remaining == 0, record.state.steps
    assert (await harness.venue.account.position(harness.instrument)).lots == 0
    sold = [one.lots for one in await harness.fills() if one.side is Side.SELL]
    assert sum(sold) == held, "to the lot, and never past zero"
    assert await harness.open_orders() == []


async def test_slices_reach_zero_exactly(venue: Open) -> None:
    async with venue() as harness:
        held = await become_long(Stage(harness))
        record = await leave(harness, slices=3)
        await judge(harness, held, record)
        assert [step.outcome for step in record.state.steps] == ["accepted"] * 3
        assert record.state.traded > 0
        assert record.state.cost > -record.state.traded / 100


@pytest.mark.parametrize("trouble", [Trouble.RESPONSE_LOST, Trouble.ERROR_AFTER])
async def test_an_answer_that_is_lost_doubles_nothing(venue: Open, trouble: Trouble) -> None:
    async with venue() as harness:
        held = await become_long(Stage(harness))
        try:
            await harness.add_fault(trouble, target=Target.ORDERS, count=2)
        except TroubleUnavailable:
            pytest.skip("the simulator has no such fault")
        await judge(harness, held, await leave(harness, slices=2))


async def test_what_rests_first_is_gone_before_the_rest_is_taken(venue: Open) -> None:
    async with venue() as harness:
        held = await become_long(Stage(harness))
        record = await leave(harness, slices=1, maker_s=2)
        await judge(harness, held, record)
        assert [step.phase for step in record.state.steps] == ["maker", "taker"]


async def test_the_last_resort_closes_it(venue: Open) -> None:
    async with venue() as harness:
        held = await become_long(Stage(harness))
        record = await leave(harness, deadline_s=0, slippage_bps="0.0001", fast_slippage_bps="0.01")
        await judge(harness, held, record)


async def test_a_cap_on_one_order_makes_it_take_longer_and_not_stick(venue: Open) -> None:
    async with venue() as harness:
        stage = Stage(harness)
        held = await become_long(stage)
        bid, _ = await stage.touch()
        worth = harness.instrument.notional(bid, held)
        capped = str((worth / 3 * Decimal("1.01")).quantize(Decimal("0.01")))
        record = await leave(harness, slices=1, max_order_notional=capped)
        await judge(harness, held, record)
        assert len(record.state.steps) >= 3
