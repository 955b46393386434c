"""`GET /ws/{stream}&{stream}`: subscriptions stand in the path, nothing is acknowledged.

There is no snapshot: a stream tells what happens from now on (zo.md section 3).
"""

import asyncio
from contextlib import ExitStack

from aiohttp import web

from venues.simulation.delivery import hang_up
from venues.simulation.faults import FaultKind, Site
from venues.zo.simulator.calls import HttpRefusal
from venues.zo.simulator.candles import RESOLUTIONS
from venues.zo.simulator.connection import Connection, ConnectionLost, Wiring
from venues.zo.simulator.gateway import Gateway
from venues.zo.simulator.world import World

_CLOSE_S = 0.2


class StreamDesk:
    """Opens connections and keeps them going until a side leaves."""

    def __init__(self, world: World, gateway: Gateway) -> None:
        self._world = world
        self._gateway = gateway

    async def open(self, request: web.Request) -> web.StreamResponse:
        """One connection with all its streams."""
        site = Site(method="GET", path=request.path)
        faults = self._world.faults
        if faults.take(site, FaultKind.REQUEST_LOST) is not None:
            return hang_up(request)
        await self._gateway.lag(site)
        try:
            self._gateway.strike(request, site)
            self._admit(site)
            sites = self._sites(request.match_info["streams"])
        except HttpRefusal as refusal:
            return self._gateway.refusal(refusal)
        socket = web.WebSocketResponse(autoping=False, compress=False, timeout=_CLOSE_S)
        rules = self._world.settings.streams
        wiring = Wiring(faults=faults, clock=self._world.clock, rules=rules, site=site)
        connection = Connection(request, socket, wiring, sites)
        with ExitStack() as listening:
            for stream in sites:
                listening.callback(self._world.feeds.listen(stream, connection.push))
            await socket.prepare(request)
            await self._run(connection)
        return socket

    async def _run(self, connection: Connection) -> None:
        period_s = self._world.settings.streams.ping_s
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(connection.write())
                group.create_task(connection.listen())
                if period_s is not None:
                    group.create_task(connection.ping(period_s))
        except* (ConnectionLost, ConnectionError):
            connection.abort()

    def _admit(self, site: Site) -> None:
        refused = self._world.faults.take(site, FaultKind.CONNECT_REFUSED)
        if refused is not None:
            raise HttpRefusal(refused.status, {"error": "no streams now"})

    def _sites(self, text: str) -> dict[str, Site]:
        """The streams asked for, each with where faults look; HttpRefusal 400 for a bad one."""
        names = [name for name in text.split("&") if name]
        most = self._world.settings.streams.max_streams
        if not 1 <= len(set(names)) <= most:
            raise HttpRefusal(400, {"error": f"give 1 to {most} streams"})
        return {name: self._site(name) for name in names}

    def _site(self, name: str) -> Site:
        kind, _, of = name.partition("@")
        path = f"/ws/{name}"
        if kind == "account":
            account = self._world.users.account(int(of)) if of.isdecimal() else None
            if account is None:
                raise HttpRefusal(404, {"error": f"no stream {name}"})
            return Site(method="GET", path=path, account=account.name)
        symbol, _, width = of.partition(":")
        known = kind in {"deltas", "trades"} or (kind == "candle" and width in RESOLUTIONS)
        if not known or not self._world.listing.has(symbol):
            raise HttpRefusal(404, {"error": f"no stream {name}"})
        return Site(method="GET", path=path, market=symbol)
