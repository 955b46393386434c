"""What taking a token costs on the hot path: this process's own budget, and the fleet's shared one.

Nothing is sent. The shared budget lies over a bucket in memory that always gives, refilled between
the timed calls, so only `take` is timed.
"""

import asyncio
from collections.abc import Callable, Sequence
from time import perf_counter_ns

from benchmarks.micro import median_row
from benchmarks.results import Table
from desk.rate_ports import RateLaw, RateShare
from infra.clock import SystemClock
from venues._transport.rate_limit import Budget, RateBudget, RequestKind
from venues._transport.shared_rate import SharedRate

_LAW = RateLaw(capacity=1_000_000, reserved=1_000, window_s=60.0)
_RUNS = 5
_BETWEEN = 2


class _Plenty:
    """RateShares that never run out."""

    async def draw(
        self,
        key: str,
        law: RateLaw,
        *,
        orders: int,
        cancels: int,
        spent: int = 0,
        returned: Sequence[tuple[int, int]] = (),
        used: int = 0,
        generation: int = 0,
    ) -> RateShare:
        del key, law, spent, returned, used, generation
        return RateShare(orders=orders, cancels=cancels, stamp=1)

    async def pause(self, key: str, seconds: float) -> None:
        del key, seconds


def run(*, quick: bool) -> Table:
    """Median over runs of each run's median and 99th percentile, microseconds a call."""
    count = 1_000 if quick else 10_000
    measured: dict[str, Callable[[RequestKind], list[int]]] = {
        "own budget": lambda kind: _own(kind, count),
        "shared budget": lambda kind: asyncio.run(_shared(kind, count)),
    }
    rows = []
    for what, measure in measured.items():
        for kind in RequestKind:
            measure(kind)
            runs = [measure(kind) for _ in range(_RUNS)]
            rows.append(median_row(f"{what}: take, {kind.value}", runs))
    return Table(name="rate: one token", rows=tuple(rows))


def _own(kind: RequestKind, count: int) -> list[int]:
    budget = _budget()
    return [_take(budget, kind) for _ in range(count)]


async def _shared(kind: RequestKind, count: int) -> list[int]:
    budget = SharedRate(
        shares=_Plenty(), key="benchmark", law=_LAW, local=_budget(), clock=SystemClock()
    )
    took: list[int] = []
    while len(took) < count:
        await budget.refill()
        took += [_take(budget, kind) for _ in range(_BETWEEN)]
    return took


def _budget() -> RateBudget:
    return RateBudget(clock=SystemClock(), capacity=_LAW.capacity, reserved=_LAW.reserved)


def _take(budget: Budget, kind: RequestKind) -> int:
    begun = perf_counter_ns()
    wait_s = budget.take(kind)
    spent = perf_counter_ns() - begun
    assert wait_s == 0.0
    return spent
