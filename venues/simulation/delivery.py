"""How an answer leaves, or fails to: lost, late, replaced by an error, cut short, or not JSON.

By now whatever was asked has been applied.
"""

import asyncio
from collections.abc import Callable, Mapping

from aiohttp import web

from venues.simulation.faults import Fault, FaultKind, FaultPlan, Site

_KINDS = (
    FaultKind.RESPONSE_LOST,
    FaultKind.ERROR_AFTER,
    FaultKind.TRUNCATED_BODY,
    FaultKind.NOT_JSON,
)
_PAGE = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


def _unheard(_site: Site, _fault: Fault) -> None:
    """Nobody wants to know."""


class Delivery:
    """Sends answers through the armed faults.

    `broken` writes the JSON body of the 5xx a fault asks for; `kept` names the headers that stand
    on every answer of the venue; `held` hears of an answer that is kept back, before it is.
    """

    def __init__(
        self,
        faults: FaultPlan,
        broken: Callable[[Fault], bytes],
        kept: Callable[[str], bool],
        held: Callable[[Site, Fault], None] = _unheard,
    ) -> None:
        self._faults = faults
        self._broken = broken
        self._kept = kept
        self._held = held

    async def send(
        self, request: web.Request, site: Site, response: web.Response
    ) -> web.StreamResponse:
        """The answer to hand to the server."""
        slow = self._faults.take(site, FaultKind.SLOW_RESPONSE)
        fault = self._faults.take(site, *_KINDS)
        if slow is not None:
            self._held(site, slow)
            await asyncio.sleep(slow.delay_s)
        if fault is None:
            return response
        return await self._spoil(request, response, fault)

    async def _spoil(
        self, request: web.Request, response: web.Response, fault: Fault
    ) -> web.StreamResponse:
        headers = self._headers(response)
        match fault.kind:
            case FaultKind.RESPONSE_LOST:
                return hang_up(request)
            case FaultKind.TRUNCATED_BODY:
                return await _truncate(request, response, headers)
            case FaultKind.NOT_JSON:
                return web.Response(
                    status=response.status, body=_PAGE, content_type="text/html", headers=headers
                )
            case _:
                return web.Response(
                    status=fault.status,
                    body=self._broken(fault),
                    content_type="application/json",
                    headers=headers,
                )

    def _headers(self, response: web.Response) -> dict[str, str]:
        return {name: value for name, value in response.headers.items() if self._kept(name)}


def hang_up(request: web.Request) -> web.StreamResponse:
    """Close the connection without a word; the empty answer finds it closed."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()


async def _truncate(
    request: web.Request, response: web.Response, headers: Mapping[str, str]
) -> web.StreamResponse:
    body = response.body
    whole = body if isinstance(body, bytes) else b""
    cut = web.StreamResponse(status=response.status, headers=headers)
    cut.content_type = "application/json"
    cut.content_length = len(whole)
    await cut.prepare(request)
    await cut.write(whole[: len(whole) // 2])
    if request.transport is not None:
        request.transport.close()
    return cut
