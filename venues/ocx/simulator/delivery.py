"""How an answer leaves, or fails to: lost, late, replaced by an error, cut short, or not JSON.

By now whatever was asked has been applied.
"""

import asyncio

import msgspec
from aiohttp import web

from venues.ocx.simulator.answers import ApiError, ErrorWriter
from venues.ocx.simulator.faults import Fault, FaultKind, Site
from venues.ocx.simulator.world import World

_KINDS = (
    FaultKind.RESPONSE_LOST,
    FaultKind.ERROR_AFTER,
    FaultKind.TRUNCATED_BODY,
    FaultKind.NOT_JSON,
)
_PAGE = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


class Delivery:
    """Sends answers through the armed faults."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._writer = ErrorWriter(world.settings)

    async def send(
        self, request: web.Request, site: Site, response: web.Response
    ) -> web.StreamResponse:
        """The answer to hand to the server."""
        slow = self._world.faults.take(site, FaultKind.SLOW_RESPONSE)
        fault = self._world.faults.take(site, *_KINDS)
        if slow is not None:
            await asyncio.sleep(slow.delay_s)
        if fault is None:
            return response
        return await self._spoil(request, response, fault)

    async def _spoil(
        self, request: web.Request, response: web.Response, fault: Fault
    ) -> web.StreamResponse:
        match fault.kind:
            case FaultKind.RESPONSE_LOST:
                return hang_up(request)
            case FaultKind.TRUNCATED_BODY:
                return await _truncate(request, response)
            case FaultKind.NOT_JSON:
                return web.Response(
                    status=response.status,
                    body=_PAGE,
                    content_type="text/html",
                    headers=_kept(response),
                )
            case _:
                return web.Response(
                    status=fault.status,
                    body=msgspec.json.encode(self._writer.body(broken(fault))),
                    content_type="application/json",
                    headers=_kept(response),
                )


def broken(fault: Fault) -> ApiError:
    """The 5xx a fault asks for."""
    return ApiError(fault.status, "INTERNAL_ERROR", "something went wrong")


def hang_up(request: web.Request) -> web.StreamResponse:
    """Close the connection without a word; the empty answer finds it closed."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()


async def _truncate(request: web.Request, response: web.Response) -> web.StreamResponse:
    body = response.body
    whole = body if isinstance(body, bytes) else b""
    cut = web.StreamResponse(status=response.status, headers=_kept(response))
    cut.content_type = "application/json"
    cut.content_length = len(whole)
    await cut.prepare(request)
    await cut.write(whole[: len(whole) // 2])
    if request.transport is not None:
        request.transport.close()
    return cut


def _kept(response: web.Response) -> dict[str, str]:
    return {
        name: value
        for name, value in response.headers.items()
        if name.startswith("X-RateLimit") or name == "Date"
    }
