"""A cancel waits for nothing: what rested is asked for beside it, and told as far as it came."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from desk.errors import VenueError
from desk.instrument import Instrument
from desk.orders import CancelOutcome, VenueOrder
from desk.ports import Capabilities
from desk.units import Side
from quoting.clearing import clear_and_tell
from tests.quoting.builders import CAPABILITIES, INSTRUMENT
from tests.quoting.dead_man_world import LoopClock, now_s, play

ORDER = VenueOrder(
    symbol=INSTRUMENT.symbol,
    side=Side.BUY,
    price=600_000,
    remaining=10,
    venue_order_id="1",
    client_order_id="one",
)


@dataclass
class OneOrder:
    """A venue where one order rests, whose first list is `slow_s` or fails."""

    slow_s: float
    trouble: Exception | None = None
    asked: list[tuple[str, float]] = field(default_factory=list)
    resting: tuple[VenueOrder, ...] = (ORDER,)

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    @property
    def execution(self) -> "OneOrder":
        return self

    @property
    def account(self) -> "OneOrder":
        return self

    async def cancel_all(self, instrument: Instrument) -> CancelOutcome:
        self.asked.append(("cancel", now_s()))
        await asyncio.sleep(0.02)
        self.resting = ()
        return CancelOutcome(confirmed=True)

    async def open_orders(self, instrument: Instrument) -> Sequence[VenueOrder]:
        first = all(what == "cancel" for what, _ in self.asked)
        self.asked.append(("list", now_s()))
        listed = self.resting
        if first:
            await asyncio.sleep(self.slow_s)
            if self.trouble is not None:
                raise self.trouble
        return listed


@pytest.mark.parametrize("slow_s", [0.01, 0.1, 1_000.0])
def test_the_cancel_leaves_first_and_the_list_at_the_same_moment(slow_s: float) -> None:
    async def scene() -> None:
        venue = OneOrder(slow_s)
        report = await clear_and_tell(
            venue,  # type: ignore[arg-type]
            INSTRUMENT,
            LoopClock(),
            give_up_s=0.0,
        )
        assert venue.asked[:2] == [("cancel", 0.0), ("list", 0.0)]
        assert report.verified
        assert report.found == ((ORDER,) if slow_s < 1 else ()), "what came in time is told"
        assert now_s() < 10

    play(scene)


def test_a_list_that_fails_is_no_matter() -> None:
    async def scene() -> None:
        venue = OneOrder(0.01, trouble=VenueError("no answer"))
        report = await clear_and_tell(
            venue,  # type: ignore[arg-type]
            INSTRUMENT,
            LoopClock(),
            give_up_s=0.0,
        )
        assert (report.verified, report.found) == (True, ())

    play(scene)
