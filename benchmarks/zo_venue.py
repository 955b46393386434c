"""The simulated 01.xyz for a benchmark, in a process of its own, and the real adapter to it.

It is the simulator the tests run against: it checks signatures, matches, and limits when told to.
"""

import asyncio
import logging
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from decimal import Decimal

import msgspec
import structlog
import uvloop

from benchmarks.cores import keep_to
from desk.ports import Clock
from venues._transport.secret import Secret
from venues.simulation.counterflow import FlowKind
from venues.simulation.faults import Fault, FaultKind
from venues.zo import ZoConfig, ZoVenue, build
from venues.zo.signing import KeyPair, address_of
from venues.zo.simulator.server import ZoSimulator
from venues.zo.simulator.settings import RateRules, SeedAccount, SimMarket, SimulatorSettings

_SEED = bytes(range(32))
"""A key nobody can use: it guards nothing outside the simulator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoPlan:
    """What is served. `latency_s` before every answer; `cancels_per_s` counts atomics, as it does.

    None: the venue limits nothing. `cores` as for OCX.
    """

    markets: int = 1
    latency_s: float = 0.0
    cancels_per_s: int | None = None
    cores: tuple[int, ...] = ()


@asynccontextmanager
async def serving_zo(plan: ZoPlan) -> AsyncIterator[str]:
    """A simulated 01.xyz in a child process, which ends with this context; its base URL."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.zo_venue",
        msgspec.json.encode(asdict(plan)).decode(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        told = (await child.stdout.readline()).split()
        if len(told) != 1:
            raise RuntimeError("the simulated 01.xyz of the benchmark did not start")
        yield told[0].decode()
    finally:
        child.stdin.close()
        await child.wait()


def settings(base_url: str) -> ZoConfig:
    """The adapter's defaults with this account's key."""
    return ZoConfig(base_url=base_url, wallet_key=Secret(f"0x{_SEED.hex()}"))


def unlimited(base_url: str) -> ZoConfig:
    """The same with limits that do not bind."""
    return replace(
        settings(base_url),
        orders_per_s=100_000,
        cancels_per_s=100_000,
        requests_per_min=10_000_000,
        max_batch_orders=20,
    )


def adapter(config: ZoConfig, clock: Clock, *, seed: int = 0) -> ZoVenue:
    """The real 01.xyz adapter; of its log only what went wrong is shown."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    return build(config, account="main", clock=clock, random=random.Random(seed))


@asynccontextmanager
async def held(config: ZoConfig, clock: Clock, *, seed: int = 0) -> AsyncIterator[ZoVenue]:
    """The adapter with its session, clock and connections at hand."""
    venue = adapter(config, clock, seed=seed)
    await venue.instruments()
    async with asyncio.TaskGroup() as tasks:
        holding = tasks.create_task(venue.run())
        await asyncio.sleep(1.0)
        yield venue
        holding.cancel()
    await venue.close()


def _settings(plan: ZoPlan) -> SimulatorSettings:
    wallet = address_of(KeyPair(_SEED).public)
    return SimulatorSettings(
        accounts=(SeedAccount(name="main", wallet=wallet, collateral=Decimal(10) ** 8),),
        markets=tuple(
            SimMarket(
                symbol=f"BENCH{number}USD",
                price=Decimal(3_000),
                price_decimals=1,
                size_decimals=3,
                flow=FlowKind.NONE,
            )
            for number in range(plan.markets)
        ),
        rates=RateRules(cancels_per_s=plan.cancels_per_s),
        control=False,
    )


async def _serve(plan: ZoPlan) -> None:
    async with ZoSimulator(_settings(plan), random=random.Random(1)) as sim:
        if plan.latency_s:
            sim.faults.add(Fault(kind=FaultKind.LATENCY, delay_s=plan.latency_s, spread=0.0))
        print(sim.base_url, flush=True)
        # Whoever started this process holds its standard input open for as long as it is wanted.
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def main() -> None:
    """Serve until standard input ends."""
    plan = msgspec.convert(msgspec.json.decode(sys.argv[1]), ZoPlan)
    keep_to(set(plan.cores))
    uvloop.run(_serve(plan))


if __name__ == "__main__":
    main()
