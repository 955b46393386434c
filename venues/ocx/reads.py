"""Reads over plain HTTP: market list, fees, orders, trades, positions, balances.

A read that fails changes nothing, but says whether it was sent.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

import httpx

from desk.errors import NotSent, Unresolved
from venues.ocx.config import OcxConfig
from venues.ocx.errors import error_of
from venues.ocx.session import Session

T = TypeVar("T")
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class Reads:
    """GET requests. Every method raises Refused, NotSent or Unresolved."""

    def __init__(self, *, config: OcxConfig, http: httpx.AsyncClient, session: Session) -> None:
        self._paths = config.paths
        self._http = http
        self._session = session
        self._made = 0

    @property
    def requests(self) -> int:
        """Requests sent so far, second tries and sign-ins counted."""
        return self._made + self._session.requests

    async def public(self, endpoint: str) -> httpx.Response:
        """Answer of an endpoint that needs no credential."""
        answer = await self._get(endpoint, {}, {})
        return _successful(endpoint, answer)

    async def private(
        self, endpoint: str, decode: Callable[[bytes], T], params: Mapping[str, str | int]
    ) -> T:
        """Decoded answer of an endpoint that does; the other credential gets one chance."""
        kind = await self._session.ready(endpoint)
        answer = await self._get(endpoint, params, dict(self._session.pairs(kind)))
        other = await self._session.second(endpoint, kind, answer.status_code)
        if other is not None:
            kind = other
            answer = await self._get(endpoint, params, dict(self._session.pairs(kind)))
        _successful(endpoint, answer)
        self._session.worked(endpoint, kind)
        return readable(endpoint, decode, answer.content)

    async def _get(
        self, endpoint: str, params: Mapping[str, str | int], headers: Mapping[str, str]
    ) -> httpx.Response:
        self._made += 1
        try:
            return await self._http.get(
                self._paths[endpoint], params=dict(params), headers=dict(headers)
            )
        except _NEVER_SENT as error:
            raise NotSent(f"{endpoint}: {type(error).__name__}") from error
        except httpx.HTTPError as error:
            raise Unresolved(f"{endpoint}: {type(error).__name__}") from error


def readable(label: str, read: Callable[[bytes], T], body: bytes) -> T:
    """Decoded body; Unresolved when it does not have the expected shape."""
    try:
        return read(body)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise Unresolved(f"{label}: unreadable answer ({error})") from error


def _successful(endpoint: str, answer: httpx.Response) -> httpx.Response:
    if not answer.is_success:
        raise error_of(endpoint, answer.status_code, answer.content)
    return answer
