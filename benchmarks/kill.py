"""`python -m benchmarks.kill [--markets N] [--runs N]`: how fast a whole fleet is stopped.

Three ways, each timed by the venues' own logs: a fleet kill, a worker killed with -9, a worker
frozen. It prints the distribution and judges nothing.
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import machine
from benchmarks.kill_fleet import KillFleet, kill_fleet
from benchmarks.results import Figures, Row, Table, percentile, show, write_json
from benchmarks.venue_tail import Life
from desk.identity import MarketId
from desk.records import Kill, KillStage
from desk.units import NS_PER_MS
from flotilla.control import lift_kills, open_control
from flotilla.demo.children import Child
from flotilla.kills import tell_everybody

_SETTLE_S = 3.0
_BY = "benchmark"

TOLD = "kill: told board, record and Temporal"
LAST_TAKEN = "kill: last order the venues took"
GATES = "kill: all gates closed, as sessions stamp it"
ZERO = "kill: all venues list zero"
PROVEN = "kill: zero listed twice, as sessions stamp it"
DEAD_ZERO = "worker kill -9: nothing of it rests"
FROZEN_ZERO = "worker SIGSTOP: nothing of it rests"
FROZEN_LATE = "worker SIGSTOP, then SIGCONT: orders taken from it"

STRIKES = {"dead": signal.SIGKILL, "frozen": signal.SIGSTOP}
WAYS = ("kill", *STRIKES)


@dataclass(slots=True)
class Samples:
    """Milliseconds of every run, by what was measured."""

    taken: dict[str, list[float]] = field(default_factory=dict)

    def add(self, what: str, milliseconds: float) -> None:
        """One run's figure."""
        self.taken.setdefault(what, []).append(milliseconds)

    def rows(self) -> tuple[Row, ...]:
        """The distribution of each."""
        return tuple(Row(what=what, figures=_figures(each)) for what, each in self.taken.items())


async def measure(
    samples: Samples, markets: int, runs: int, seed: int, strikes: Sequence[str], fresh: int
) -> None:
    """Stop a fleet so many times in each way; it quotes again in all markets in between.

    A kill ends every run: the start that follows deals the markets out to both workers again.
    After `fresh` runs another fleet takes over: venues share the machine here, and the longer
    their histories, the more of it they take.
    """
    began = time.monotonic()
    for first in range(1, runs + 1, fresh):
        async with kill_fleet(markets, (seed + first) % 2**32) as fleet:
            for run in range(first, min(first + fresh, runs + 1)):
                await fleet.start_markets()
                for strike in strikes:
                    await _ready(fleet)
                    await _struck(fleet, STRIKES[strike], samples)
                await _ready(fleet)
                await _killed(fleet, samples)
                _talk(f"run {run} of {runs} done, {time.monotonic() - began:.0f} s after the start")


async def _ready(fleet: KillFleet) -> None:
    await fleet.until("every market quotes", fleet.all_quote)
    # Let what follows a start be over: reports, first audits, the workflows' own writes.
    await asyncio.sleep(_SETTLE_S)
    await fleet.until("every market still quotes", fleet.all_quote)
    fleet.forget_the_past()


async def _killed(fleet: KillFleet, samples: Samples) -> None:
    """A fleet kill, from the first line of its code path to venues that list nothing."""
    begun_ns = time.time_ns()
    kill = Kill(scope="fleet", reason="benchmark", by=_BY, at_ms=begun_ns // NS_PER_MS)
    told = await tell_everybody(fleet.settings, kill)
    if untold := told.board or told.record or told.temporal:
        raise RuntimeError(f"the kill was not told everybody: {untold}")
    samples.add(TOLD, _ms(time.time_ns() - begun_ns))
    try:
        await fleet.ended()
        await fleet.read()
        lives = fleet.lives(lambda life: life.left_ns is None or life.left_ns > begun_ns)
        if any(life.left_ns is None for life in lives):
            raise RuntimeError("every market stood down, and orders still rest")
        late = [life.taken_ns for life in lives if life.taken_ns > begun_ns]
        samples.add(LAST_TAKEN, _ms(max(late, default=begun_ns) - begun_ns))
        await _stamps(fleet, kill, samples)
        samples.add(ZERO, _ms(max(life.left_ns or 0 for life in lives) - begun_ns))
    finally:
        async with open_control(fleet.settings) as ports:
            await lift_kills(ports.board, ports.ledger, "fleet", by=_BY, reason="next run")


async def _stamps(fleet: KillFleet, kill: Kill, samples: Samples) -> None:
    """What sessions said themselves, where every one of them did."""
    async with open_control(fleet.settings) as ports:
        answers = await ports.answers.answers(kill.scope, kill.at_ms)
    for stage, what in ((KillStage.GATE_CLOSED, GATES), (KillStage.LISTED_ZERO, PROVEN)):
        stamps = {one.market: one.at_ms for one in answers if one.stage is stage}
        if len(stamps) == len(fleet.markets):
            samples.add(what, float(max(stamps.values()) - kill.at_ms))


async def _struck(fleet: KillFleet, strike: signal.Signals, samples: Samples) -> None:
    """The worker with most markets dies or freezes; what it had resting has no owner then."""
    victim, owned = await _busiest(fleet)
    assert victim.pid is not None
    os.kill(victim.pid, strike)
    begun_ns = time.time_ns()

    def orphaned(life: Life) -> bool:
        return life.epoch <= owned.get(life.market, -1)

    async def cleared() -> bool:
        await fleet.read()
        return all(life.left_ns is not None for life in fleet.lives(orphaned))

    await fleet.until("nothing of the worker rests", cleared)
    lives = fleet.lives(orphaned)
    zero_ms = _ms(max((life.left_ns or 0 for life in lives), default=begun_ns) - begun_ns)
    name = "kill -9" if strike is signal.SIGKILL else "SIGSTOP"
    _talk(f"{name}: {len(owned)} markets were cleared in {zero_ms:.0f} ms")
    if strike is signal.SIGKILL:
        samples.add(DEAD_ZERO, zero_ms)
        await fleet.add_worker()
    else:
        samples.add(FROZEN_ZERO, zero_ms)
        await fleet.until("every market quotes elsewhere", fleet.all_quote)
        os.kill(victim.pid, signal.SIGCONT)
        await asyncio.sleep(_SETTLE_S)
        await fleet.read()
        grace_ns = begun_ns + NS_PER_MS * 500
        late = fleet.lives(lambda life: orphaned(life) and life.taken_ns > grace_ns)
        samples.add(FROZEN_LATE, float(len(late)))


async def _busiest(fleet: KillFleet) -> tuple[Child, dict[MarketId, int]]:
    alive = [child for child in fleet.workers if child.name == "worker" and not child.ended]
    owned = [(child, await fleet.owned_by(child)) for child in alive]
    return max(owned, key=lambda each: len(each[1]))


def _ms(nanoseconds: int) -> float:
    return nanoseconds / NS_PER_MS


def _figures(samples: Sequence[float]) -> Figures:
    ordered = sorted(round(each * 1_000) for each in samples)
    return {
        "min": ordered[0] / 1_000,
        "p50": percentile(ordered, 50) / 1_000,
        "p90": percentile(ordered, 90) / 1_000,
        "max": ordered[-1] / 1_000,
        "n": len(ordered),
    }


def _talk(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kill", description=__doc__)
    parser.add_argument("--markets", type=int, default=50, help="over three venues (default 50)")
    parser.add_argument("--runs", type=int, default=5, help="of each way (default 5)")
    parser.add_argument(
        "--fresh", type=int, default=2, metavar="N", help="runs on one fleet (default 2)"
    )
    parser.add_argument(
        "--ways",
        nargs="+",
        choices=WAYS,
        default=list(STRIKES),
        help="a worker dead and one frozen, then a fleet kill (default); kill: that alone",
    )
    parser.add_argument("--seed", type=int, default=None, help="of the venues' crowds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures as JSON")
    asked = parser.parse_args()
    if asked.markets < 3 or asked.runs < 1 or asked.fresh < 1:
        parser.error("--markets: at least 3; --runs and --fresh: at least 1")
    found = machine.describe()
    for name, value in found.items():
        print(f"{name:<10} {value}")
    seed = random.randrange(2**32) if asked.seed is None else asked.seed
    strikes = [way for way in asked.ways if way in STRIKES]
    samples = Samples()
    try:
        asyncio.run(measure(samples, asked.markets, asked.runs, seed, strikes, asked.fresh))
    except KeyboardInterrupt:
        _talk("stopped early; what was measured until then:")
    finally:
        _report(samples, asked.markets, seed, found, asked.json)


def _report(
    samples: Samples, markets: int, seed: int, found: dict[str, str], path: Path | None
) -> None:
    """Print the distribution, also of runs that ended in an error."""
    table = Table(
        name=f"kill: milliseconds; {markets} markets, 3 venues, 2 workers, 1 guardian",
        rows=samples.rows(),
        notes=("times from the first line of the command, or from the signal's delivery",),
    )
    show(table)
    found["load after"] = machine.load()
    print(f"\nload after {found['load after']}; seed {seed}")
    if path is not None:
        write_json(path, found, [table])


if __name__ == "__main__":
    main()
