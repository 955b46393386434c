"""The way of an HTTP request: what may go wrong, the handler, how the answer leaves.

Every answer has a body and the venue's `Date`; a refused action is still HTTP 200.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable

from aiohttp import web

from venues.simulation.delivery import Delivery, hang_up
from venues.simulation.faults import Fault, FaultKind, Site
from venues.zo.simulator import numbers
from venues.zo.simulator.actions import Arrived, arrive, execute, too_many
from venues.zo.simulator.calls import Call, HttpRefusal, Route, Text
from venues.zo.simulator.envelope import seal
from venues.zo.simulator.world import World

_REFUSALS = (FaultKind.ERROR_BEFORE, FaultKind.RATE_LIMITED, FaultKind.IP_FORBIDDEN)
_OCTETS = "application/octet-stream"
_CREATING = "/action/sessions/create"
_Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Gateway:
    """Turns table rows into request handlers."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._delivery = Delivery(world.faults, _broken, lambda header: header == "Date")

    def endpoint(self, route: Route) -> _Serve:
        """The request handler of one read."""

        async def serve(request: web.Request) -> web.StreamResponse:
            site = self._site(request)
            return await self._serve(request, site, lambda: self._read(request, site, route))

        return serve

    async def action(self, request: web.Request) -> web.StreamResponse:
        """`POST /action`."""
        body = await request.read()
        arrived = arrive(self._world, body)
        delay_s = self._world.settings.sessions.create_delay_s
        site = arrived.site

        async def answered(response: web.Response) -> None:
            if response.status == 200 and site.path == _CREATING:
                await asyncio.sleep(delay_s)

        return await self._serve(
            request, site, lambda: self._act(request, arrived, len(body)), answered
        )

    async def missing(self, request: web.Request) -> web.StreamResponse:
        """Any path the venue does not have."""
        return self.refusal(HttpRefusal(404, {"error": f"no {request.path} here"}))

    def refusal(self, refusal: HttpRefusal) -> web.Response:
        """An answer that is no 200."""
        headers = {"Date": self._world.clock.date_header()}
        if refusal.wait_s is not None:
            headers["Retry-After"] = str(refusal.wait_s)
        return web.Response(
            status=refusal.status,
            body=numbers.encode(refusal.body),
            content_type="application/json",
            headers=headers,
        )

    def strike(self, request: web.Request, site: Site) -> None:
        """Raise what an armed refusal fault or the request rate says, before anything happens."""
        fault = self._world.faults.take(site, *_REFUSALS)
        if fault is not None:
            raise _refused(fault)
        limit = self._world.settings.rates.requests_per_min
        if limit is not None:
            wait_ns = self._world.minutes.take(f"ip:{request.remote}", limit)
            if wait_ns is not None:
                raise too_many(wait_ns)

    async def lag(self, site: Site) -> None:
        """Wait as a latency window says: log-normal around its median."""
        fault = self._world.faults.active(FaultKind.LATENCY, site)
        if fault is not None:
            wave = math.exp(self._world.random.gauss(0, fault.spread)) if fault.spread else 1.0
            await asyncio.sleep(fault.delay_s * wave)

    async def _serve(
        self,
        request: web.Request,
        site: Site,
        answer: Callable[[], web.Response],
        answered: Callable[[web.Response], Awaitable[None]] | None = None,
    ) -> web.StreamResponse:
        if self._world.faults.take(site, FaultKind.REQUEST_LOST) is not None:
            return hang_up(request)
        await self.lag(site)
        try:
            self.strike(request, site)
            response = answer()
        except HttpRefusal as refusal:
            response = self.refusal(refusal)
        if answered is not None:
            await answered(response)
        return await self._delivery.send(request, site, response)

    def _read(self, request: web.Request, site: Site, route: Route) -> web.Response:
        call = Call(parts=request.match_info, query=request.query, site=site)
        body = route.handler(self._world, call)
        headers = {"Date": self._world.clock.date_header()}
        if isinstance(body, Text):
            return web.Response(text=body.text, headers=headers)
        return web.Response(
            body=numbers.encode(body), content_type="application/json", headers=headers
        )

    def _act(self, request: web.Request, arrived: Arrived, size: int) -> web.Response:
        if request.content_type != _OCTETS:
            raise HttpRefusal(415, {"expected": _OCTETS})
        receipt = execute(self._world, arrived, size)
        headers = {"Date": self._world.clock.date_header()}
        return web.Response(body=seal(receipt), content_type=_OCTETS, headers=headers)

    def _site(self, request: web.Request) -> Site:
        parts = request.match_info
        market = account = None
        if "market" in parts and parts["market"].isdecimal():
            listed = self._world.listing.by_id(int(parts["market"]))
            market = None if listed is None else listed.symbol
        if "account" in parts and parts["account"].isdecimal():
            known = self._world.users.account(int(parts["account"]))
            account = None if known is None else known.name
        return Site(method=request.method, path=request.path, market=market, account=account)


def _refused(fault: Fault) -> HttpRefusal:
    match fault.kind:
        case FaultKind.RATE_LIMITED:
            return too_many(int(fault.delay_s * 1e9))
        case FaultKind.IP_FORBIDDEN:
            return HttpRefusal(403, {"error": "this address is not allowed"})
        case _:
            return HttpRefusal(fault.status, {"error": "something went wrong"})


def _broken(_fault: Fault) -> bytes:
    return numbers.encode({"error": "something went wrong"})
