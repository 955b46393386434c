"""One event of three outcomes on a ground of its own, for faults that are tried one by one."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from flotilla.control import open_control
from tests.chaos.arbitrage_books import Books, outcome_books
from tests.chaos.arbitrage_facts import SetFacts
from tests.chaos.arbitrage_ground import Ground, open_ground
from tests.chaos.arbitrage_plan import BULK
from tests.chaos.arbitrage_set import LiveSet
from tests.chaos.arbitrage_verdict import breaches
from tests.support.services import Services

SLOW_S: Final = 60.0
_SEED: Final = "arbitrage"
_FAIR: Final = (500, 300, 200)


@dataclass(slots=True, kw_only=True)
class Cup:
    """`one` is the set that watches the event, `second` may be another account's."""

    ground: Ground
    one: LiveSet
    second: LiveSet

    @property
    def symbols(self) -> tuple[str, ...]:
        return self.one.books.symbols

    async def opened(self, *, workers: int = 1, **options: Any) -> None:
        """So many workers, and the set watching."""
        for _ in range(workers):
            await self.ground.worker()
        await self.one.start(**options)
        await self.one.watching()

    async def offer(self, lots: int = 10) -> None:
        """Show an edge in so many lots of each leg."""
        legs = self.one.books.legs
        await asyncio.gather(*(self.ground.show(leg, leg.worth_taking(lots)) for leg in legs))

    async def retract(self) -> None:
        """Show no edge any more."""
        await self.offer(0)

    async def done(self, *legs: int) -> None:
        """Wait until these legs (by place) have executions."""
        wanted = {self.symbols[leg] for leg in legs}

        async def executed() -> bool:
            return wanted <= {each.symbol for each in (await self.one.log()).done}

        await self.ground.until(f"executed: {sorted(wanted)}", executed)

    async def rests(self, *, within_s: float = SLOW_S) -> float:
        """Wait until venue, record and claims say that it is over."""

        async def at_rest() -> bool:
            return not await self.one.unrest()

        return await self.ground.until("the set is at rest", at_rest, within_s=within_s)

    async def faults(self) -> list[dict[str, Any]]:
        """What is armed at the venue, and how often each struck."""
        answer = await self.ground.http.get("/_sim/faults")
        found: list[dict[str, Any]] = answer.json()
        return found

    async def judged(self) -> SetFacts:
        """Stop the set and hold it to every rule."""
        until_ns = time.time_ns()
        await self.ground.disarm()
        await self.one.stop()
        return await self.judge(until_ns)

    async def judge(self, until_ns: int, one: LiveSet | None = None) -> SetFacts:
        """Hold a set that ends to every rule."""
        live = one or self.one
        status = await live.ended()
        async with open_control(self.ground.settings) as ports:
            facts = await live.facts(ports, status, until_ns)
        print(f"{live.name}: above {facts.cap} for {facts.longest_s:.1f} s at most")  # noqa: T201
        found = [*breaches(facts), *self.ground.seen.breaches]
        assert not found, "; ".join(found)
        return facts


def cup_books(**more: Any) -> Books:
    return outcome_books("CUP", _FAIR, **more)


@asynccontextmanager
async def open_cup(
    services: Services, folder: Path, books: Books | None = None
) -> AsyncIterator[Cup]:
    """The ground of one test, on whatever books it wants."""
    print(f"seed {_SEED}")  # noqa: T201 - shown when a test fails
    found = books or cup_books()
    async with open_ground(services, folder, (found,), seed=_SEED) as ground:
        one, second = (
            LiveSet(
                ground=ground, name=f"{ground.settings.fleet}-{place}", books=found, place=place
            )
            for place in range(2)
        )
        yield Cup(ground=ground, one=one, second=second)


def gone(market: str, **more: Any) -> dict[str, Any]:
    return {"kind": "leg_vanishes", "market": market, **more}


def in_part(market: str, fraction: float) -> dict[str, Any]:
    return {"kind": "leg_fills_in_part", "market": market, "fraction": fraction}


def bulk(kind: str, market: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "path": BULK, "market": market, **more}
