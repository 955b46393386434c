"""An exit needs only the side it hits: a missing or far other side keeps nobody in a position."""

import asyncio
import time
from dataclasses import replace
from decimal import Decimal

import pytest

from desk.flattening import FlattenPhase, FlattenProgress, Regime
from desk.risk.limits import RiskLimits
from desk.units import Level
from quoting.exit import FlattenSliceReport, exit_slice
from tests.quoting.builders import INSTRUMENT
from tests.quoting.exit_venue import RealClock
from tests.quoting.lopsided import LopsidedVenue, closing
from tests.quoting.test_exit import STEP, leave
from tests.support.alone import OwnLedger
from workflows.flatten_messages import StartFlatten

BIDS: list[Level] = [(600_000, 50_000)]
FAR_ASKS: list[Level] = [(720_000, 1)]


async def sliced(venue: LopsidedVenue, **changes: object) -> FlattenSliceReport:
    step = replace(STEP, lots=100, limits=RiskLimits(), **changes)  # type: ignore[arg-type]
    return await exit_slice(step, INSTRUMENT, venue.port, OwnLedger(), RealClock())


@pytest.mark.parametrize("asks", [[], FAR_ASKS], ids=["no asks", "asks far away"])
@pytest.mark.parametrize("phase", [FlattenPhase.TAKER, FlattenPhase.RUSH, FlattenPhase.CLOSE])
async def test_bids_are_sold_to_whatever_the_asks_are(
    phase: FlattenPhase, asks: list[Level]
) -> None:
    venue = LopsidedVenue(50, bids=BIDS, asks=asks)
    report = await sliced(venue, phase=phase)
    assert venue.lots == 0
    assert report.regime is Regime.FAST
    assert report.mid == 60_000, "the far ask says nothing of what a lot is worth"


@pytest.mark.parametrize("bids", [[], [(400_000, 1)]], ids=["no bids", "bids far away"])
async def test_asks_are_bought_whatever_the_bids_are(bids: list[Level]) -> None:
    venue = LopsidedVenue(-50, bids=bids, asks=BIDS)
    await sliced(venue, position=-50)
    assert venue.lots == 0


async def test_the_collar_is_around_the_price_that_is_hit() -> None:
    venue = LopsidedVenue(50, bids=BIDS, asks=FAR_ASKS)
    await sliced(venue, phase=FlattenPhase.CLOSE)
    assert venue.sent[0].price == 570_000, "five per cent below the best bid, and no more"


async def test_a_price_that_left_the_collar_seconds_ago_has_to_last() -> None:
    venue = LopsidedVenue(50, bids=[(300_000, 1)], asks=FAR_ASKS)
    seen = {"last_mid": Decimal(60_000), "last_mid_ms": time.time_ns() // 10**6}
    report = await sliced(venue, **seen)
    assert (venue.sent, report.mid) == ([], None), "what was seen then is still what counts"
    await sliced(venue, **(seen | {"last_mid_ms": 1}))
    assert len(venue.sent) == 1, "it lasted"
    await sliced(venue, **seen, phase=FlattenPhase.RUSH)
    assert venue.lots == 0, "after the deadline nobody waits"


async def test_a_maker_with_no_touch_to_rest_at_gives_way_to_a_taker() -> None:
    venue = LopsidedVenue(50, bids=BIDS)
    start = StartFlatten(venue="ocx", symbol="BTC-PERP", slices=1, maker_s=5)
    record = await leave(venue, start, 30)
    assert [step.phase for step in record.state.steps] == ["maker", "taker"]
    assert venue.lots == 0


async def test_without_a_price_to_take_the_step_is_in_vain_and_the_next_one_comes() -> None:
    venue = LopsidedVenue(50, asks=BIDS)
    rush = {"phase": FlattenPhase.RUSH, "position": 50}
    first, again = await asyncio.gather(sliced(venue, **rush), sliced(venue, **rush, repeated=True))
    assert (first.position_after, again.position_after, venue.sent) == (50, 50, [])
    assert first.spent
    assert not again.spent, "the id of an order that may exist is kept"


@pytest.mark.parametrize("asks", [[], BIDS], ids=["empty", "no bids"])
async def test_the_venues_own_close_needs_no_book(asks: list[Level]) -> None:
    venue = closing(LopsidedVenue(50, asks=asks))
    report = await sliced(venue, phase=FlattenPhase.CLOSE, by_venue=True)
    assert len(venue.closed) == 1
    assert (venue.lots, report.position_after) == (0, 0)


async def test_the_last_price_known_holds_the_close_to_the_cap_on_one_order() -> None:
    venue = closing(LopsidedVenue(100))
    await sliced(venue, phase=FlattenPhase.CLOSE, by_venue=True, last_mid=Decimal(60_000))
    assert venue.lots == 100 - 83, "5000 of quote currency at 60000"


async def test_a_side_that_is_gone_costs_time_and_then_the_venue_closes() -> None:
    venue = closing(LopsidedVenue(50, asks=FAR_ASKS))
    start = StartFlatten(venue="ocx", symbol="BTC-PERP", deadline_s=0)
    progress = FlattenProgress(remaining=50, late=2)
    record = await leave(venue, start, 0, progress)
    assert [step.phase for step in record.state.steps] == ["rush", "close"]
    assert venue.lots == 0
