"""The simulated OCX as one running server. It owns its tasks and leaves none behind."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self

from aiohttp import web

from venues.ocx.simulator import account, market_data, orders, quotes, sign_in
from venues.ocx.simulator.counterflow import with_replay
from venues.ocx.simulator.display import OcxDisplay
from venues.ocx.simulator.gateway import Gateway
from venues.ocx.simulator.linked import LinkedCrowds
from venues.ocx.simulator.outcomes import OutcomeLevers
from venues.ocx.simulator.settings import SimulatorSettings
from venues.ocx.simulator.streams import StreamDesk
from venues.ocx.simulator.world import World
from venues.simulation.control import Control
from venues.simulation.engine import Engine
from venues.simulation.faultfile import read_faults
from venues.simulation.faults import FaultPlan
from venues.simulation.lever import register
from venues.simulation.pump import Pump

_TABLES = (market_data.ROUTES, orders.ROUTES, quotes.ROUTES, account.ROUTES, sign_in.ROUTES)
_CLOSING_S = 0.2


class OcxSimulator:
    """`async with OcxSimulator(settings, random=Random(1)) as sim: sim.base_url`.

    `now_ns` is wall time; port 0 takes a free one. Entering raises OSError when the port is
    taken and ConfigurationFault when a market cannot be set up.
    """

    def __init__(
        self,
        settings: SimulatorSettings,
        engine: Engine | None = None,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        random: Random,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.world = World(settings, now_ns=now_ns, random=random, engine=engine)
        linked = LinkedCrowds(self.world, random)
        self.pump = Pump(
            self.world, settings.markets, random, settings.steps_per_s, linked=linked.flow
        )
        self._host = host
        self._port = port
        self._stack = AsyncExitStack()
        self._running: asyncio.Task[None] | None = None
        self._bound = 0

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return f"http://{self._host}:{self._bound}"

    @property
    def engine(self) -> Engine:
        """The matching engine."""
        return self.world.engine

    @property
    def faults(self) -> FaultPlan:
        """The fault plan, to arm faults from code."""
        return self.world.faults

    async def __aenter__(self) -> Self:
        self.world.open()
        self.pump.open()
        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=_CLOSING_S)
        async with AsyncExitStack() as stack:
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, self._host, self._port).start()
            self._bound = runner.addresses[0][1]
            group = await stack.enter_async_context(asyncio.TaskGroup())
            self._running = group.create_task(self.pump.run())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._running is not None:
            self._running.cancel()
        await self._stack.aclose()

    def _application(self) -> web.Application:
        application = web.Application()
        gateway = Gateway(self.world)
        streams = StreamDesk(self.world, gateway)
        router = application.router
        for table in _TABLES:
            for route in table:
                router.add_route(route.method, route.path, gateway.endpoint(route))
        router.add_route("GET", "/perps/book-stream", streams.book)
        router.add_route("GET", "/perps/stream/user", streams.user)
        router.add_route("GET", "/perps/stream/events", streams.events)
        if self.world.settings.control:
            Control(self.world, self.pump, OcxDisplay(self.world)).register(router)
            register(router, OutcomeLevers(self.world).table())
        router.add_route("*", "/{tail:.*}", gateway.missing)
        return application


async def serve(
    settings: SimulatorSettings,
    port: int,
    *,
    random: Random,
    faults: Path | None = None,
    replay: Path | None = None,
    on_ready: Callable[[str], None] = lambda _url: None,
) -> None:
    """Serve until cancelled; tells its base URL once it listens. Prints nothing.

    `replay` makes the first market replay that recording. ConfigurationFault for a bad file.
    """
    armed = [] if faults is None else read_faults(faults)
    if replay is not None:
        settings = with_replay(settings, replay)
    async with OcxSimulator(settings, port=port, random=random) as simulator:
        for fault in armed:
            simulator.faults.add(fault)
        on_ready(simulator.base_url)
        await asyncio.Event().wait()
