"""Opens WebSocket streams by their path and keeps them going until a side leaves.

There is no resume: every connection starts anew.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from venues.simulation.delivery import hang_up
from venues.simulation.faults import FaultKind, Site
from venues.x10.simulator.channels import (
    AccountChannel,
    BookChannel,
    Channel,
    FundingChannel,
    PriceChannel,
    TopChannel,
    TradeChannel,
)
from venues.x10.simulator.codes import ApiRefused, Code
from venues.x10.simulator.customers import Customer
from venues.x10.simulator.gateway import Gateway, site_of
from venues.x10.simulator.wire import StreamEndedError, Wire
from venues.x10.simulator.world import World

BASE = "/stream.extended.exchange/v1"
_LOOK_AGAIN_S = 0.02
_Opener = Callable[[web.Request, Customer | None], Channel]


class StreamDesk:
    """All open streams."""

    def __init__(self, world: World, gateway: Gateway) -> None:
        self._world = world
        self._gateway = gateway
        self._open: set[Wire] = set()

    def register(self, router: web.UrlDispatcher) -> None:
        """Add the paths."""
        for name, opener in (
            ("orderbooks", self._books),
            ("publicTrades", self._trades),
            ("funding", self._funding),
            ("prices/mark", self._marks),
            ("prices/index", self._indexes),
        ):
            for tail in ("", "/{market}"):
                router.add_route("GET", f"{BASE}/{name}{tail}", self._endpoint(opener))
        router.add_route("GET", f"{BASE}/account", self._endpoint(self._account, private=True))

    async def run(self) -> None:
        """Close the streams that a fault wants closed, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_AGAIN_S)
            for wire in tuple(self._open):
                if self._world.faults.take(wire.site, FaultKind.STREAM_CLOSED) is not None:
                    wire.close()

    def close(self) -> None:
        """Cut all connections."""
        for wire in tuple(self._open):
            wire.cut()

    # --- what stands at each path -----------------------------------------------------------

    def _books(self, request: web.Request, _caller: Customer | None) -> Channel:
        symbols = self._symbols(request)
        depth = request.query.get("depth")
        if depth is None:
            return BookChannel(self._world, symbols)
        if depth != "1":
            raise ApiRefused(Code.BAD_REQUEST, "depth")
        return TopChannel(self._world, symbols)

    def _trades(self, request: web.Request, _caller: Customer | None) -> Channel:
        return TradeChannel(self._world, self._symbols(request))

    def _funding(self, request: web.Request, _caller: Customer | None) -> Channel:
        return FundingChannel(self._world, self._symbols(request))

    def _marks(self, request: web.Request, _caller: Customer | None) -> Channel:
        return PriceChannel(self._world, "MP", self._symbols(request))

    def _indexes(self, request: web.Request, _caller: Customer | None) -> Channel:
        return PriceChannel(self._world, "IP", self._symbols(request))

    def _account(self, _request: web.Request, caller: Customer | None) -> Channel:
        if caller is None:
            raise ApiRefused(Code.UNAUTHORIZED)
        return AccountChannel(self._world, caller)

    def _symbols(self, request: web.Request) -> Sequence[str]:
        named = request.match_info.get("market")
        if named is None:
            return self._world.listed()
        if named not in self._world.listed():
            raise ApiRefused(Code.NOT_FOUND, named)
        return [named]

    # --- a connection's life ----------------------------------------------------------------

    def _endpoint(
        self, opener: _Opener, *, private: bool = False
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            return await self._serve(request, opener, private=private)

        return serve

    async def _serve(
        self, request: web.Request, opener: _Opener, *, private: bool
    ) -> web.StreamResponse:
        caller = self._gateway.caller(request)
        site = site_of(request, caller)
        if self._world.faults.take(site, FaultKind.REQUEST_LOST) is not None:
            return hang_up(request)
        try:
            self._refuse(site)
            self._gateway.strike(site, caller)
            caller = self._gateway.admit(request, private=private)
            channel = opener(request, caller)
        except ApiRefused as error:
            return self._gateway.refusal(error)
        return await self._speak(request, site, channel)

    def _refuse(self, site: Site) -> None:
        fault = self._world.faults.take(site, FaultKind.CONNECT_REFUSED)
        if fault is not None:
            raise ApiRefused(fault.status)

    async def _speak(
        self, request: web.Request, site: Site, channel: Channel
    ) -> web.StreamResponse:
        socket = web.WebSocketResponse(autoping=False, compress=False)
        await socket.prepare(request)
        wire = Wire(self._world, request, socket, site)
        self._open.add(wire)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(wire.listen())
                group.create_task(wire.keep_alive())
                group.create_task(wire.watch())
                group.create_task(channel.run(wire))
        except* StreamEndedError:
            wire.cut()
        finally:
            self._open.discard(wire)
        return socket
