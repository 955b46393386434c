"""The three event streams: parameters and bounds, and the timer that looks for changes.

There is no resume: every connection starts with a new snapshot, `Last-Event-ID` is ignored.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiohttp import web

from venues.ocx.simulator.answers import ApiError, invalid
from venues.ocx.simulator.bodies import whole
from venues.ocx.simulator.credentials import Access, Caller
from venues.ocx.simulator.gateway import Gateway
from venues.ocx.simulator.settings import OutOfRange
from venues.ocx.simulator.sources import BookSource, MarketSource, Source, UserSource
from venues.ocx.simulator.sse import EventWriter, StreamEndedError
from venues.ocx.simulator.world import World
from venues.simulation.delivery import hang_up
from venues.simulation.faults import FaultKind, Site

StreamHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class StreamDesk:
    """Opens streams and keeps them going until a side leaves."""

    def __init__(self, world: World, gateway: Gateway) -> None:
        self._world = world
        self._gateway = gateway

    async def book(self, request: web.Request) -> web.StreamResponse:
        """`GET /perps/book-stream`: public."""

        def source(_caller: Caller | None, _site: Site) -> tuple[Source, int]:
            symbol = _market(request)
            depth = self._bounded(request, "depth", 25, 1, 100)
            interval = self._bounded(request, "intervalMs", 100, 50, 2000)
            return BookSource(self._world, symbol, depth), interval

        return await self._open(request, Access.PUBLIC, source)

    async def user(self, request: web.Request) -> web.StreamResponse:
        """`GET /perps/stream/user`: fills and positions of all markets."""

        def source(caller: Caller | None, site: Site) -> tuple[Source, int]:
            interval = self._bounded(request, "intervalMs", 250, 100, 5000)
            return self._user_source(caller, site, request, None), interval

        return await self._open(request, Access.STREAM, source)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """`GET /perps/stream/events`: one market with its book."""

        def source(caller: Caller | None, site: Site) -> tuple[Source, int]:
            symbol = _market(request)
            depth = self._bounded(request, "depth", 25, 1, 250)
            interval = self._bounded(request, "intervalMs", 500, 100, 5000)
            book = BookSource(self._world, symbol, depth)
            return MarketSource(book, self._user_source(caller, site, request, symbol)), interval

        return await self._open(request, Access.STREAM, source)

    async def _open(
        self,
        request: web.Request,
        access: Access,
        source_of: Callable[[Caller | None, Site], tuple[Source, int]],
    ) -> web.StreamResponse:
        caller: Caller | None = None
        try:
            caller = self._gateway.admit(request, access)
            site = Site(
                method=request.method,
                path=request.path,
                market=request.query.get("marketId"),
                account=None if caller is None else caller.account,
            )
            if self._world.faults.take(site, FaultKind.REQUEST_LOST) is not None:
                return hang_up(request)
            self._gateway.strike(site, caller)
            source, interval_ms = source_of(caller, site)
        except ApiError as error:
            return self._gateway.refusal(caller, request, error)
        response = web.StreamResponse(headers=self._gateway.headers(caller, request))
        response.content_type = "text/event-stream"
        response.headers["Cache-Control"] = "no-cache"
        await response.prepare(request)
        writer = EventWriter(self._world, request, response, site)
        with suppress(StreamEndedError):
            await self._run(writer, source, site, interval_ms / 1000)
        return response

    async def _run(
        self, writer: EventWriter, source: Source, site: Site, interval_s: float
    ) -> None:
        faults = self._world.faults
        await self._snapshot(writer, source)
        while not writer.gone:
            await asyncio.sleep(interval_s)
            if faults.active(FaultKind.SILENT_STREAM, site) is not None:
                continue
            if await self._failed(writer, source, site):
                return
            if faults.take(site, FaultKind.SNAPSHOT_REPEATS) is not None:
                await self._snapshot(writer, source)
                continue
            changes = source.changes()
            if changes is None:
                await writer.heartbeat_if_due()
                continue
            await writer.event(
                source.change_name, source.change_type, changes, with_id=source.with_id
            )

    async def _failed(self, writer: EventWriter, source: Source, site: Site) -> bool:
        """Whether an error event was sent that ends the stream."""
        if source.symbol is not None and source.symbol in self._world.expired:
            message = f"{source.symbol} has expired"
            await writer.error("UNKNOWN_MARKET", message, retryable=False)
            return True
        fault = self._world.faults.take(site, FaultKind.ERROR_EVENT)
        if fault is None:
            return False
        await writer.error("UPSTREAM_FAILURE", "upstream failed", retryable=fault.retryable)
        return self._world.settings.streams.error_closes

    async def _snapshot(self, writer: EventWriter, source: Source) -> None:
        await writer.event(
            "snapshot", source.snapshot_type, source.snapshot(), with_id=source.with_id
        )

    def _user_source(
        self, caller: Caller | None, site: Site, request: web.Request, market: str | None
    ) -> UserSource:
        if caller is None:
            raise ApiError(401, "UNAUTHORIZED", "a session or an API key is required")
        return UserSource(
            self._world,
            caller.account,
            open_only=_flag(request, "openOnly"),
            site=site,
            market=market,
        )

    def _bounded(self, request: web.Request, name: str, default: int, least: int, most: int) -> int:
        value = whole(request.query, name, default)
        if value is None or least <= value <= most:
            return default if value is None else value
        if self._world.settings.streams.out_of_range is OutOfRange.REFUSE:
            raise invalid(f"{name} must lie between {least} and {most}")
        return min(max(value, least), most)


def _market(request: web.Request) -> str:
    symbol = request.query.get("marketId")
    if not symbol:
        raise invalid("marketId is required")
    return symbol


def _flag(request: web.Request, name: str) -> bool:
    text = request.query.get(name, "false")
    if text not in {"true", "false"}:
        raise invalid(f"{name} must be true or false")
    return text == "true"
