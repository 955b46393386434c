"""The simulated X10 as one running server. It owns its tasks and leaves none behind."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self

from aiohttp import web

from venues.simulation.control import Control
from venues.simulation.engine import Engine
from venues.simulation.faultfile import read_faults
from venues.simulation.faults import FaultPlan
from venues.simulation.pump import Pump
from venues.x10.simulator import cancelling, info, leverage, money, placing, reads, streams
from venues.x10.simulator.counterflow import with_replay
from venues.x10.simulator.display import X10Display
from venues.x10.simulator.gateway import BASE, Gateway
from venues.x10.simulator.routine import Routine
from venues.x10.simulator.settings import SimulatorSettings
from venues.x10.simulator.streams import StreamDesk
from venues.x10.simulator.world import World

_TABLES = (
    info.ROUTES,
    placing.ROUTES,
    cancelling.ROUTES,
    reads.ROUTES,
    leverage.ROUTES,
    money.ROUTES,
)
_CLOSING_S = 0.2


class X10Simulator:
    """`async with X10Simulator(settings, random=Random(1)) as sim: sim.base_url`.

    `now_ns` is wall time; port 0 takes a free one. Entering raises OSError when the port is
    taken and ConfigurationFault when a market or account cannot be set up.
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
        self.pump = Pump(self.world, settings.markets, random, settings.steps_per_s)
        self.routine = Routine(self.world)
        self._gateway = Gateway(self.world)
        self._streams = StreamDesk(self.world, self._gateway)
        self._host = host
        self._port = port
        self._stack = AsyncExitStack()
        self._running: list[asyncio.Task[None]] = []
        self._bound = 0

    @property
    def base_url(self) -> str:
        """Where REST is served, `…/api/v1`."""
        return f"http://{self._host}:{self._bound}{BASE}"

    @property
    def stream_url(self) -> str:
        """Where streams are served, `…/stream.extended.exchange/v1`."""
        return f"ws://{self._host}:{self._bound}{streams.BASE}"

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
            stack.callback(self._streams.close)
            await web.TCPSite(runner, self._host, self._port).start()
            self._bound = runner.addresses[0][1]
            group = await stack.enter_async_context(asyncio.TaskGroup())
            steps = (
                self.pump.run(),
                self.routine.run(),
                self.world.agenda.run(),
                self._streams.run(),
            )
            self._running = [group.create_task(each) for each in steps]
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._running:
            task.cancel()
        await self._stack.aclose()

    def _application(self) -> web.Application:
        application = web.Application()
        router = application.router
        for table in _TABLES:
            for route in table:
                endpoint = self._gateway.endpoint(route)
                router.add_route(route.method, BASE + route.path, endpoint)
        self._streams.register(router)
        if self.world.settings.control:
            Control(self.world, self.pump, X10Display(self.world)).register(router)
        router.add_route("*", "/{tail:.*}", self._gateway.missing)
        return application


async def serve(
    settings: SimulatorSettings,
    port: int,
    *,
    random: Random,
    faults: Path | None = None,
    replay: Path | None = None,
    on_ready: Callable[[str, str], None] = lambda _rest, _stream: None,
) -> None:
    """Serve until cancelled; tells its REST and stream URLs once it listens. Prints nothing.

    `replay` makes the first market replay that recording. ConfigurationFault for a bad file.
    """
    armed = [] if faults is None else read_faults(faults)
    if replay is not None:
        settings = with_replay(settings, replay)
    async with X10Simulator(settings, port=port, random=random) as simulator:
        for fault in armed:
            simulator.faults.add(fault)
        on_ready(simulator.base_url, simulator.stream_url)
        await asyncio.Event().wait()
