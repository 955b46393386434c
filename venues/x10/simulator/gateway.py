"""The way of a REST request: what may go wrong, who calls, the handler, how the answer leaves.

Every request costs one of the rate budget, whatever it asks; every answer carries the `Date`.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import msgspec
from aiohttp import web

from venues.simulation.delivery import Delivery, hang_up
from venues.simulation.faults import Fault, FaultKind, Site
from venues.x10.simulator.calls import Answer, Call, Route
from venues.x10.simulator.codes import ApiRefused, Code
from venues.x10.simulator.customers import Customer
from venues.x10.simulator.world import World

BASE = "/api/v1"
_REFUSALS = (
    FaultKind.ERROR_BEFORE,
    FaultKind.RATE_LIMITED,
    FaultKind.SESSION_EXPIRED,
    FaultKind.IP_FORBIDDEN,
    FaultKind.KEY_REVOKED,
)
_CODES = {
    FaultKind.RATE_LIMITED: Code.RATE_LIMITED,
    FaultKind.SESSION_EXPIRED: Code.UNAUTHORIZED,
    FaultKind.IP_FORBIDDEN: Code.FORBIDDEN,
    FaultKind.KEY_REVOKED: Code.UNAUTHORIZED,
}


class Gateway:
    """Turns table rows into request handlers."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._delivery = Delivery(world.faults, self._broken, lambda name: name == "Date")

    def endpoint(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The request handler of one row."""

        async def serve(request: web.Request) -> web.StreamResponse:
            return await self._serve(request, route)

        return serve

    async def missing(self, _request: web.Request) -> web.StreamResponse:
        """Any path the venue does not have."""
        return self.refusal(ApiRefused(Code.NOT_FOUND))

    def refusal(self, error: ApiRefused) -> web.Response:
        """An error answer."""
        answers = self._world.settings.answers
        return self._json(error.status(answers), error.body(answers))

    def admit(self, request: web.Request, *, private: bool) -> Customer | None:
        """Who calls; ApiRefused without a User-Agent, or 401 without a good key (section 3)."""
        if not request.headers.get("User-Agent"):
            raise ApiRefused(self._world.settings.answers.missing_agent_status, "User-Agent")
        customer = self.caller(request)
        if private and customer is None:
            raise ApiRefused(Code.UNAUTHORIZED)
        return customer

    def caller(self, request: web.Request) -> Customer | None:
        """Whose key it is, None without a good one."""
        return self._world.customers.of_key(request.headers.get("X-Api-Key"))

    def strike(self, site: Site, customer: Customer | None) -> None:
        """Raise what an armed refusal fault says, before anything is applied."""
        fault = self._world.faults.take(site, *_REFUSALS)
        if fault is not None:
            _refuse(fault, customer)

    async def _serve(self, request: web.Request, route: Route) -> web.StreamResponse:
        raw = await request.read()
        site = site_of(request, self.caller(request), raw)
        await self._lag(site)
        if self._world.faults.take(site, FaultKind.REQUEST_LOST) is not None:
            return hang_up(request)
        response = self._answer(request, route, raw, site)
        held_s = self._world.settings.answers.reply_delay_s
        if route.orders and held_s > 0:
            await asyncio.sleep(held_s)
        return await self._delivery.send(request, site, response)

    async def _lag(self, site: Site) -> None:
        """Latency of the way there: log-normal, so it has a tail."""
        fault = self._world.faults.active(FaultKind.LATENCY, site)
        if fault is not None:
            stretch = math.exp(self._world.random.gauss(0.0, fault.spread))
            await asyncio.sleep(fault.delay_s * stretch)

    def _answer(self, request: web.Request, route: Route, raw: bytes, site: Site) -> web.Response:
        try:
            self._spend(request)
            self.strike(site, self.caller(request))
            customer = self.admit(request, private=route.private)
            call = Call(
                query={name: request.query.getall(name) for name in request.query},
                raw=raw,
                parts=request.match_info,
                site=site,
                customer=customer,
            )
            return self._success(route.handler(self._world, call))
        except ApiRefused as error:
            return self.refusal(error)

    def _spend(self, request: web.Request) -> None:
        limit = self._world.settings.rate_per_minute
        if self._world.budget.take(request.remote or "unknown", limit) is not None:
            raise ApiRefused(Code.RATE_LIMITED)

    def _success(self, answer: Answer) -> web.Response:
        if answer.empty:
            return web.Response(headers=self.headers())
        return self._json(200, answer.body())

    def headers(self) -> dict[str, str]:
        """The venue's `Date`, which its clock may have wrong."""
        return {"Date": self._world.clock.date_header()}

    def _json(self, status: int, body: Any) -> web.Response:
        return web.Response(
            status=status,
            body=msgspec.json.encode(body),
            content_type="application/json",
            headers=self.headers(),
        )

    def _broken(self, _fault: Fault) -> bytes:
        body = ApiRefused(Code.SERVER_ERROR).body(self._world.settings.answers)
        return msgspec.json.encode(body)


def site_of(request: web.Request, customer: Customer | None, raw: bytes = b"") -> Site:
    """Where a request stands; an order's market is in its body."""
    market = request.match_info.get("market") or request.query.get("market")
    return Site(
        method=request.method,
        path=request.path,
        market=market or _market_of(raw),
        account=None if customer is None else customer.name,
    )


class _Named(msgspec.Struct):
    market: str | None = None


def _market_of(raw: bytes) -> str | None:
    if not raw:
        return None
    try:
        return msgspec.json.decode(raw, type=_Named).market
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _refuse(fault: Fault, customer: Customer | None) -> NoReturn:
    if fault.kind is FaultKind.KEY_REVOKED and customer is not None:
        customer.revoked = True
    raise ApiRefused(_CODES.get(fault.kind, fault.status))
