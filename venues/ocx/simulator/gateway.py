"""The way of a REST request: who calls, what may go wrong, the handler, how the answer leaves.

Every answer carries the rate headers and the venue's `Date`.
"""

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import msgspec
from aiohttp import web

from venues.ocx.simulator.answers import Answer, ApiError, ErrorWriter, invalid
from venues.ocx.simulator.calls import Call, Route
from venues.ocx.simulator.credentials import Access, Caller, Shown, forbidden, unauthorized
from venues.ocx.simulator.ratelimit import rate_limited
from venues.ocx.simulator.world import World
from venues.simulation.delivery import Delivery, hang_up
from venues.simulation.faults import Fault, FaultKind, Site

_REFUSALS = (
    FaultKind.ERROR_BEFORE,
    FaultKind.RATE_LIMITED,
    FaultKind.SESSION_EXPIRED,
    FaultKind.IP_FORBIDDEN,
    FaultKind.KEY_REVOKED,
)


class Gateway:
    """Turns table rows into request handlers."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._writer = ErrorWriter(world.settings)
        self._delivery = Delivery(world.faults, self._broken, _stands, self._held)

    def endpoint(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The request handler of one row."""

        async def serve(request: web.Request) -> web.StreamResponse:
            return await self._serve(request, route)

        return serve

    async def missing(self, request: web.Request) -> web.StreamResponse:
        """Any path the venue does not have."""
        return self.refusal(None, request, ApiError(404, "NOT_FOUND", "no such endpoint"))

    def refusal(self, caller: Caller | None, request: web.Request, error: ApiError) -> web.Response:
        """An error answer."""
        response = self._json(error.status, self._writer.body(error), caller, request)
        if error.retry_after_ms is not None:
            response.headers["Retry-After"] = str(-(-error.retry_after_ms // 1000))
        return response

    def admit(self, request: web.Request, access: Access) -> Caller | None:
        """Identify and admit; ApiError when the call may not be made."""
        caller = self._identify(request, access)
        self._world.door.admit(caller, access)
        return caller

    def strike(self, site: Site, caller: Caller | None) -> None:
        """Raise what an armed refusal fault says, before anything is applied."""
        fault = self._world.faults.take(site, *_REFUSALS)
        if fault is not None:
            _refuse(self._world, fault, caller)

    def headers(self, caller: Caller | None, request: web.Request) -> dict[str, str]:
        """Rate headers and date."""
        who, limit = _budget(caller, request)
        shown = self._world.limits.headers(who, limit)
        shown["Date"] = self._world.clock.date_header()
        return shown

    async def _serve(self, request: web.Request, route: Route) -> web.StreamResponse:
        raw = await request.read()
        body = _object(raw)
        caller = _quietly(self._identify, request, route.access)
        site = _site(request, body, caller)
        if self._world.faults.take(site, FaultKind.REQUEST_LOST) is not None:
            return hang_up(request)
        response = self._answer(request, route, body, site)
        return await self._delivery.send(request, site, response)

    def _answer(
        self,
        request: web.Request,
        route: Route,
        body: dict[str, Any] | None,
        site: Site,
    ) -> web.Response:
        caller: Caller | None = None
        try:
            caller = _quietly(self._identify, request, route.access)
            self.strike(site, caller)
            caller = self.admit(request, route.access)
            if route.limited:
                self._world.limits.take(*_budget(caller, request))
            answer = route.handler(self._world, _call(request, body, site, caller))
        except ApiError as error:
            return self.refusal(caller, request, error)
        return self._success(answer, caller, request)

    def _success(self, answer: Answer, caller: Caller | None, request: web.Request) -> web.Response:
        response = self._json(answer.status, answer.body, caller, request)
        rules = self._world.settings.sign_in
        if answer.cookie is not None:
            response.set_cookie(
                rules.cookie,
                answer.cookie,
                max_age=rules.session_s if answer.cookie else 0,
                path="/",
                httponly=True,
                secure=rules.secure_cookie,
                samesite="None",
            )
        return response

    def _json(
        self, status: int, body: Any, caller: Caller | None, request: web.Request
    ) -> web.Response:
        return web.Response(
            status=status,
            body=msgspec.json.encode(body),
            content_type="application/json",
            headers=self.headers(caller, request),
        )

    def _held(self, site: Site, fault: Fault) -> None:
        """Put an order's late answer on record; late reads concern no leg."""
        if site.method == "POST" and site.market is not None:
            delay_ms = int(fault.delay_s * 1_000)
            self._world.engine.legs.answer_held(site.account or "", site.market, delay_ms)

    def _broken(self, fault: Fault) -> bytes:
        return msgspec.json.encode(self._writer.body(_server_error(fault)))

    def _identify(self, request: web.Request, access: Access) -> Caller | None:
        try:
            return self._world.door.identify(_shown(request))
        except ApiError:
            if access is Access.PUBLIC:
                return None
            raise


def _quietly(
    identify: Callable[[web.Request, Access], Caller | None],
    request: web.Request,
    access: Access,
) -> Caller | None:
    try:
        return identify(request, access)
    except ApiError:
        return None


def _refuse(world: World, fault: Fault, caller: Caller | None) -> NoReturn:
    match fault.kind:
        case FaultKind.RATE_LIMITED:
            raise rate_limited(max(1, int(fault.delay_s * 1000)))
        case FaultKind.SESSION_EXPIRED:
            raise unauthorized("the session is missing, expired or ended")
        case FaultKind.IP_FORBIDDEN:
            raise forbidden("this address is not allowed to use the key")
        case FaultKind.KEY_REVOKED:
            if caller is not None and caller.key is not None:
                world.users.revoke(caller.user, caller.key.key_id)
            raise unauthorized("the API key is unknown, expired or revoked")
        case _:
            raise _server_error(fault)


def _server_error(fault: Fault) -> ApiError:
    return ApiError(fault.status, "INTERNAL_ERROR", "something went wrong")


def _stands(header: str) -> bool:
    """Whether a header stands on every answer, also on a spoilt one."""
    return header.startswith("X-RateLimit") or header == "Date"


def _call(
    request: web.Request, body: dict[str, Any] | None, site: Site, caller: Caller | None
) -> Call:
    if body is None:
        raise invalid("the body must be a JSON object")
    return Call(
        query=request.query,
        body=body,
        path_id=request.match_info.get("id", ""),
        site=site,
        shown=_shown(request),
        caller=caller,
    )


def _object(raw: bytes) -> dict[str, Any] | None:
    """The body as an object; {} when there is none, None when it is something else."""
    if not raw.strip():
        return {}
    try:
        decoded = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return decoded if isinstance(decoded, dict) else None


def _site(request: web.Request, body: dict[str, Any] | None, caller: Caller | None) -> Site:
    market = request.query.get("marketId") or (body or {}).get("marketId")
    if market is None and "/orderbook/" in request.path:
        market = request.match_info.get("id")
    return Site(
        method=request.method,
        path=request.path,
        market=market if isinstance(market, str) else None,
        account=None if caller is None else caller.account,
    )


def _shown(request: web.Request) -> Shown:
    return Shown(
        headers=request.headers, cookies=request.cookies, remote=request.remote or "unknown"
    )


def _budget(caller: Caller | None, request: web.Request) -> tuple[str, int | None]:
    if caller is None:
        return f"ip:{request.remote}", None
    return caller.user.user_id, caller.user.rate_per_minute
