"""The way out of a panic: a lopsided or empty book keeps nobody in a position."""

import pytest

from desk.units import NS_PER_MS, Level
from flotilla.panic_exit import BUDGETS_BPS, WayOut
from tests.quoting.builders import INSTRUMENT, MARKET
from tests.quoting.exit_venue import Fate, RealClock
from tests.quoting.lopsided import LopsidedVenue, closing


class MillisecondClock(RealClock):
    """Each look is a millisecond later, as ids of a panic want it."""

    def __init__(self) -> None:
        self._ms = 1_800_000_000_000

    def wall_ns(self) -> int:
        self._ms += 1
        return self._ms * NS_PER_MS


def way_out(venue: LopsidedVenue) -> WayOut:
    clock = MillisecondClock()
    return WayOut(market=MARKET, instrument=INSTRUMENT, venue=venue.port, clock=clock)


@pytest.mark.parametrize("asks", [[], [(780_000, 1)]], ids=["no asks", "asks far away"])
async def test_bids_are_sold_to_whatever_the_asks_are(asks: list[Level]) -> None:
    venue = LopsidedVenue(100, bids=[(600_000, 50_000)], asks=asks)
    assert (await way_out(venue).attempt())[1] == ""
    assert venue.lots == 0
    assert venue.sent[0].price == 594_000, "the best bid less one per cent"


async def test_the_widest_budget_is_within_its_own_collar() -> None:
    venue = LopsidedVenue(100, bids=[(600_000, 50_000)], asks=[(640_000, 1)])
    venue.fates.extend([Fate.NOTHING] * (len(BUDGETS_BPS) - 1))
    way = way_out(venue)
    said = [(await way.attempt())[1] for _ in BUDGETS_BPS]
    assert said == [""] * len(BUDGETS_BPS), "nothing was denied"
    assert venue.sent[-1].price == 546_000, "the best bid less nine per cent"
    assert venue.lots == 0


async def test_the_venues_own_close_needs_no_book() -> None:
    venue = closing(LopsidedVenue(100, bids=[(600_000, 50_000)]))
    venue.fates.extend([Fate.NOTHING] * len(BUDGETS_BPS))
    way = way_out(venue)
    for _ in BUDGETS_BPS:
        await way.attempt()
    venue.bids, venue.asks = [], [(780_000, 1)]
    await way.attempt()
    assert len(venue.closed) == 1
    assert venue.lots == 0
