"""The simulated X10 for a benchmark, in a process of its own; its books move at a steady pace.

It is the simulator the tests run against: it matches, tells every order's life, and counts no rate.
"""

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from decimal import Decimal

import msgspec
import uvloop

from benchmarks.cores import keep_to
from benchmarks.ladders import SyntheticLadder, synthetic
from desk.ports import Clock, Venue
from desk.units import Side
from venues._transport.secret import Secret
from venues.simulation.counterflow import FlowKind
from venues.simulation.hand import CROWD
from venues.x10 import X10Config, build
from venues.x10.signing import public_of
from venues.x10.simulator.server import X10Simulator
from venues.x10.simulator.settings import (
    Orders,
    SeedAccount,
    SignatureCheck,
    SimMarket,
    SimulatorSettings,
    Streams,
)

KEY = "x10-benchmark-key-0123456789"
# Published test key, from the tests of the official client.
PRIVATE_KEY = "0x7a7ff6fd3cab02ccdcd4a572563f5976f8976899b03a39773795a3c486d4986"
VAULT = 10_002
DEPTH = 100
_RATE_PER_MIN = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class X10Plan:
    """What is served: markets whose book changes so many times a second; `cores` as for OCX."""

    markets: int
    updates_per_s: float = 10.0
    cores: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where it listens."""

    base_url: str
    stream_url: str


@asynccontextmanager
async def serving_x10(plan: X10Plan) -> AsyncIterator[Addresses]:
    """A simulated X10 in a child process, which ends with this context."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.x10_venue",
        msgspec.json.encode(asdict(plan)).decode(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        told = (await child.stdout.readline()).split()
        if len(told) != 2:
            raise RuntimeError("the simulated X10 of the benchmark did not start")
        yield Addresses(base_url=told[0].decode(), stream_url=told[1].decode())
    finally:
        child.stdin.close()
        await child.wait()


def adapter(
    where: Addresses, clock: Clock, *, threads: int = 0, lanes: int = 4, seed: int = 0
) -> Venue:
    """The real X10 adapter, signing inline or in threads, with a budget that does not bind."""
    config = X10Config(
        base_url=where.base_url,
        stream_url=where.stream_url,
        api_key=Secret(KEY),
        private_key=Secret(PRIVATE_KEY),
        vault=VAULT,
        domain="SN_SEPOLIA",
        dead_man_unit="seconds",
        rate_per_min=_RATE_PER_MIN,
        sign_in_threads=threads,
        max_in_flight=lanes,
        order_connections=lanes,
        depth=DEPTH,
    )
    return build(config, account="main", clock=clock, random=random.Random(seed))


def _market(number: int) -> SimMarket:
    return SimMarket(
        symbol=f"BENCH{number}-USD",
        price=Decimal(3_000),
        min_price_change=Decimal("0.1"),
        min_order_size_change=Decimal("0.001"),
        min_order_size=Decimal("0.001"),
        max_position_value=Decimal(10) ** 9,
        flow=FlowKind.NONE,
    )


def _settings(plan: X10Plan) -> SimulatorSettings:
    seed = SeedAccount(
        name="main",
        api_key=KEY,
        stark_public_key=public_of(int(PRIVATE_KEY, 16)),
        vault=VAULT,
        collateral=Decimal(10) ** 8,
    )
    return SimulatorSettings(
        accounts=(seed,),
        markets=tuple(_market(number) for number in range(plan.markets)),
        orders=Orders(signatures=SignatureCheck.AMOUNTS),
        streams=replace(Streams(), book_interval_s=1 / plan.updates_per_s),
        rate_per_minute=_RATE_PER_MIN,
        control=False,
    )


async def _move(sim: X10Simulator, number: int, plan: X10Plan) -> None:
    """Change one market's book for as long as it is served."""
    symbol, ladder = _market(number).symbol, synthetic(number, depth=DEPTH)
    _show(sim, symbol, ladder)
    loop = asyncio.get_running_loop()
    every_s = 1 / plan.updates_per_s
    due_s = loop.time() + every_s * number / plan.markets
    while True:
        await asyncio.sleep(due_s - loop.time())
        _show(sim, symbol, ladder, whole=False)
        due_s += every_s


def _show(sim: X10Simulator, symbol: str, ladder: SyntheticLadder, *, whole: bool = True) -> None:
    bids, asks = ladder.snapshot() if whole else ladder.step()  # type: ignore[misc]
    levels = [(Side.BUY, price, lots) for price, lots in bids]
    levels += [(Side.SELL, price, lots) for price, lots in asks]
    # What goes, goes first: a book that moves must not meet itself.
    sim.engine.set_levels(CROWD, symbol, sorted(levels, key=lambda level: level[2] > 0))


async def _serve(plan: X10Plan) -> None:
    async with (
        X10Simulator(_settings(plan), random=random.Random(1)) as sim,
        asyncio.TaskGroup() as group,
    ):
        moving = [group.create_task(_move(sim, each, plan)) for each in range(plan.markets)]
        await asyncio.sleep(0)
        print(sim.base_url, sim.stream_url, flush=True)
        # Whoever started this process holds its standard input open for as long as it is wanted.
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        for task in moving:
            task.cancel()


def main() -> None:
    """Serve until standard input ends."""
    plan = msgspec.convert(msgspec.json.decode(sys.argv[1]), X10Plan)
    keep_to(set(plan.cores))
    uvloop.run(_serve(plan))


if __name__ == "__main__":
    main()
