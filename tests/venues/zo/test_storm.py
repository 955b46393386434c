"""01.xyz in a storm: see `tests/venues/storm/`. FLOTILLA_STORMS sets how many seeds."""

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal

import pytest

from desk.quoting.parameters import QuoteParameters, QuoteStyle
from tests.venues.conformance.harness import Target, Trouble
from tests.venues.storm.harness import COMMON, Gust
from tests.venues.storm.weather import Storm
from tests.venues.zo.harness import ZoHarness, zo_harness
from venues.simulation.faults import FaultKind

_COUNT = int(os.environ.get("FLOTILLA_STORMS", "6"))
_FIRST = int(os.environ.get("FLOTILLA_STORM_SEED", "1"))
_GUSTS = (
    *COMMON * 2,
    Gust(kind=FaultKind.FILL_RACING_CANCEL, target=Target.CANCELS),
    Gust(kind=FaultKind.CONNECT_REFUSED, target=Target.ACCOUNT_STREAM),
    Gust(kind=FaultKind.SLOW_RESPONSE, target=Target.ORDERS, match={"delay_s": 0.05}),
    Gust(kind=FaultKind.POST_ONLY_REJECT, target=Target.ORDERS),
    Gust(kind=Trouble.RATE_LIMITED, target=Target.ORDERS, match={"delay_s": 0.1}),
)
_PARAMETERS = QuoteParameters(
    style=QuoteStyle.TOUCH,
    offset_divisor=8_000,
    levels=2,
    level_notional=Decimal(300),
    inventory_cap=Decimal(10_000),
    requote_tolerance_bps=Decimal(0),
    debounce_ms=100,
)


@dataclass(slots=True, kw_only=True)
class ZoStorm(ZoHarness):
    """A `StormHarness` over the simulated 01.xyz."""

    gusts: Sequence[Gust] = _GUSTS

    def on_change(self, look: Callable[[], None]) -> None:
        self.sim.engine.subscribe(lambda _: look())

    def resting_ids(self) -> Sequence[str]:
        return self.resting_texts()

    def settle_down(self) -> None:
        self.sim.faults.clear()


@asynccontextmanager
async def open_storm(seed: int) -> AsyncIterator[ZoStorm]:
    async with zo_harness(regime="jump", settling_ms=100) as calm:
        yield ZoStorm(
            sim=calm.sim,
            venue=calm.venue,
            instrument=calm.instrument,
            ids=calm.ids,
            levers=calm.levers,
            base_url=calm.base_url,
        )


@pytest.mark.parametrize("seed", range(_FIRST, _FIRST + _COUNT))
async def test_a_storm_ends_with_local_equal_to_venue(seed: int) -> None:
    async with open_storm(seed) as harness:
        end = await Storm(harness=harness, seed=seed, parameters=_PARAMETERS).run()
        assert end.progress.requotes > 0
