"""Simulated venues as a panic sees them: nothing but an environment with keys.

What really rests and is held is told by the simulator's engine, never by an adapter.
"""

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from desk.orders import NewOrder
from desk.ports import Venue
from desk.units import Lots, Side
from flotilla.panic import Means, Orders, panic
from flotilla.panic_report import Seen
from infra.clock import SystemClock
from infra.venue_settings import VenueSettings, venue_settings
from tests.venues.conformance.harness import Harness
from tests.venues.conformance.stage import Stage
from tests.venues.ocx import harness as ocx
from tests.venues.x10 import harness as x10
from tests.venues.zo import harness as zo
from tests.venues.zo.vectors import WALLET_SECRET

NAMES = ("ocx", "x10", "zo")
ACCOUNT = "main"


@dataclass(slots=True, kw_only=True)
class Ground:
    """One simulated venue with an account of ours on it."""

    name: str
    harness: Any
    environment: Mapping[str, str]
    stage: Stage = field(init=False)

    def __post_init__(self) -> None:
        self.stage = Stage(self.harness)

    @property
    def settings(self) -> VenueSettings:
        """What the environment says of this venue."""
        return venue_settings(self.environment)[self.name]

    @property
    def venue(self) -> Venue:
        """The adapter of a session that still lives."""
        held: Venue = self.harness.venue
        return held

    def resting(self) -> int:
        """How many orders of the account really rest."""
        return len(self.harness.sim.engine.open_orders(ACCOUNT))

    def held(self) -> Lots:
        """Signed lots the account really holds."""
        lots: Lots = self.harness.sim.engine.position(ACCOUNT, self.harness.instrument.symbol).lots
        return lots

    def positions(self) -> list[Lots]:
        """Signed lots after each change."""
        return [
            event["lots"]
            for event in self.harness.sim.engine.events(0)
            if event["event"] == "PositionChanged" and event["account"] == ACCOUNT
        ]

    async def quote(self, levels: int = 3) -> tuple[NewOrder, ...]:
        """A ladder of a session that rests."""
        await self.stage.still()
        ladder = await self.stage.ladder(levels)
        await self.stage.place(*ladder)
        return ladder

    async def hold(self, lots: Lots | None = None) -> None:
        """Have somebody sell to us until we are long."""
        await self.stage.still()
        size = lots or 10 * self.stage.size()
        order = await self.stage.place_inside(Side.BUY, size)
        await self.stage.hit(order, size)
        assert self.held() > 0


@asynccontextmanager
async def ground(name: str) -> AsyncIterator[Ground]:
    """A fresh simulated venue."""
    venues: Mapping[str, Callable[[], AbstractAsyncContextManager[Any]]] = {
        "ocx": ocx.ocx_harness,
        "x10": x10.x10_harness,
        "zo": zo.zo_harness,
    }
    async with venues[name]() as harness:
        yield Ground(name=name, harness=harness, environment=_environment(name, harness))


def _environment(name: str, harness: Harness) -> Mapping[str, str]:
    sim = harness.sim  # type: ignore[attr-defined]
    given: Mapping[str, str] = {
        "ocx": {"BASE_URL": sim.base_url, "API_KEY": harness.secrets[0]},
        "x10": {
            "BASE_URL": sim.base_url,
            "STREAM_URL": getattr(sim, "stream_url", ""),
            "API_KEY": x10.KEY,
            "PRIVATE_KEY": x10.PRIVATE_KEY,
            "VAULT": str(x10.VAULT),
            "DOMAIN": "SN_SEPOLIA",
            "DEAD_MAN__UNIT": "seconds",
            "SETTLING_MS": "200",
        },
        "zo": {"BASE_URL": sim.base_url, "WALLET_KEY": WALLET_SECRET},
    }[name]
    return {f"FLOTILLA_VENUE_{name.upper()}__{key}": value for key, value in given.items()}


def seen_of(*grounds: Ground, flatten: bool) -> list[Seen]:
    """What a panic starts with."""
    return [Seen(venue=one.name, account=ACCOUNT, flatten=flatten) for one in grounds]


async def panicked(
    *grounds: Ground, flatten: bool = False, timeout_s: float = 60, look_again_s: float = 1
) -> list[Seen]:
    """Run a panic on these venues; what it saw."""
    seen = seen_of(*grounds, flatten=flatten)
    await panic(
        seen,
        Orders(flatten=flatten, timeout_s=timeout_s, look_again_s=look_again_s),
        means(*grounds),
    )
    return seen


def means(*grounds: Ground, said: list[str] | None = None) -> Means:
    """Keys and time; nothing else."""
    by_name = {one.name: one.settings for one in grounds}
    words = [] if said is None else said

    return Means(
        settings=by_name.__getitem__,
        clock=SystemClock(),
        randomness=random.Random(7),
        hide=lambda values: None,
        tell=words.append,
    )
