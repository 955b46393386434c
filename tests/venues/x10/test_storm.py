"""X10 in a storm: see `tests/venues/storm/`. FLOTILLA_STORMS sets how many seeds, one by one."""

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from desk.quoting.parameters import QuoteParameters, QuoteStyle
from tests.venues.conformance.harness import Target, Trouble
from tests.venues.storm.harness import COMMON, Gust
from tests.venues.storm.weather import Storm
from tests.venues.x10.harness import ACCOUNT, MARKET, X10Harness, settings, x10_harness
from venues.simulation.faults import FaultKind
from venues.x10.simulator.settings import Orders, ReplaceEvents, SignatureCheck

_COUNT = int(os.environ.get("FLOTILLA_STORMS", "6"))
_FIRST = int(os.environ.get("FLOTILLA_STORM_SEED", "1"))
_REPLACES = (
    Gust(kind=FaultKind.ORDER_REFUSED, target=Target.ORDERS, match={"code": 1142}),
    Gust(kind=FaultKind.FILL_RACING_REPLACE, target=Target.ORDERS, match={"delay_s": 0.05}),
    Gust(kind=FaultKind.FILL_INSIDE_REPLACE, target=Target.ORDERS),
    Gust(kind=FaultKind.ENGINE_REJECT, target=Target.ORDERS, match={"reason": "POST_ONLY_FAILED"}),
)
_GUSTS = (
    *_REPLACES * 4,
    *COMMON,
    Gust(kind=FaultKind.EMPTY_SNAPSHOT, target=Target.ACCOUNT_STREAM),
    Gust(kind=FaultKind.CONNECT_REFUSED, target=Target.ACCOUNT_STREAM),
    Gust(kind=FaultKind.SLOW_RESPONSE, target=Target.ORDERS, match={"delay_s": 0.05}),
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
class X10Storm(X10Harness):
    """A `StormHarness` over the simulated X10."""

    gusts: Sequence[Gust] = _GUSTS

    def on_change(self, look: Callable[[], None]) -> None:
        self.sim.engine.subscribe(lambda _: look())

    def resting_ids(self) -> Sequence[str]:
        listed = self.sim.engine.open_orders(ACCOUNT, MARKET.symbol)
        return [one.client_order_id or "" for one in listed]

    def settle_down(self) -> None:
        self.sim.faults.clear()


@asynccontextmanager
async def open_storm(seed: int) -> AsyncIterator[X10Storm]:
    order = ReplaceEvents.OLD_FIRST if seed % 2 else ReplaceEvents.NEW_FIRST
    given = settings(
        orders=Orders(signatures=SignatureCheck.AMOUNTS, replace_events=order),
        steps_per_s=50,
        markets=(replace(MARKET, regime="jump"),),
    )
    async with x10_harness(given, settling_ms=50) as calm:
        yield X10Storm(
            sim=calm.sim,
            venue=calm.venue,
            instrument=calm.instrument,
            levers=calm.levers,
            base_url=calm.base_url,
        )


@pytest.mark.parametrize("seed", range(_FIRST, _FIRST + _COUNT))
async def test_a_storm_ends_with_local_equal_to_venue(seed: int) -> None:
    async with open_storm(seed) as harness:
        end = await Storm(harness=harness, seed=seed, parameters=_PARAMETERS).run()
        assert end.progress.requotes > 0
