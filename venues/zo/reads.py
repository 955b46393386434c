"""Reads over plain HTTP, of the listed endpoints alone; an answer that is not JSON is no answer.

A read that fails changes nothing, but says whether it was sent. Reads need no credential
(zo.md section 2.4), are counted in the request budget, and are never held back by it.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import httpx
import msgspec

from desk.errors import NotSent, Refused, Unresolved
from desk.ports import Clock
from venues._transport.rate_limit import Budget, RequestKind, read_rate_headers
from venues.zo.errors import status_error
from venues.zo.replies import as_json, rate_news

T = TypeVar("T")
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

ENDPOINTS: Final[Mapping[str, str]] = {
    "timestamp": "/timestamp",
    "info": "/info",
    "schema": "/schema.proto",
    "state": "/state/info",
    "user": "/user/{}",
    "account": "/account/{}",
    "funding": "/account/{}/history/funding",
    "deposits": "/account/{}/history/deposit",
    "withdrawals": "/account/{}/history/withdrawal",
    "fee_tier": "/account/{}/fee/tier",
    "fee_brackets": "/fee/brackets/info",
    "orderbook": "/market/{}/orderbook",
    "stats": "/market/{}/stats",
    "trades": "/trades",
    "order": "/order/{}",
}
"""The only addresses this adapter reads; actions go to `/action` alone."""


class Reads:
    """GET requests. Every method raises Refused, NotSent or Unresolved."""

    def __init__(self, *, http: httpx.AsyncClient, budget: Budget, clock: Clock) -> None:
        self._http = http
        self._budget = budget
        self._clock = clock
        self.sent = 0
        """Requests since the start, refused and failed ones included."""

    async def json(
        self,
        endpoint: str,
        decode: Callable[[bytes], T],
        subject: int | str | None = None,
        params: Mapping[str, str | int] | None = None,
    ) -> T:
        """Decoded answer. `subject` is the id in the path: a number, or base58 text."""
        answer = await self._get(endpoint, subject, params)
        return readable(endpoint, decode, as_json(endpoint, dict(answer.headers), answer.content))

    async def text(self, endpoint: str) -> str:
        """Answer that is plain text; a web page is none."""
        body = (await self._get(endpoint, None, None)).text
        if body.lstrip()[:1] == "<":
            raise Unresolved(f"{endpoint}: a web page came instead of an answer")
        return body

    async def _get(
        self, endpoint: str, subject: int | str | None, params: Mapping[str, str | int] | None
    ) -> httpx.Response:
        if self._budget.take(RequestKind.ORDER) > 0:
            self._budget.overdraw()
        path = _path(endpoint, subject)
        self.sent += 1
        try:
            answer = await self._http.get(path, params=dict(params or {}))
        except _NEVER_SENT as error:
            raise NotSent(f"{endpoint}: {type(error).__name__}") from error
        except httpx.HTTPError as error:
            raise Unresolved(f"{endpoint}: {type(error).__name__}") from error
        headers = {name.lower(): value for name, value in answer.headers.items()}
        news = rate_news(
            answer.status_code, read_rate_headers(headers, wall_ns=self._clock.wall_ns())
        )
        self._budget.heard(news)
        if answer.status_code != httpx.codes.OK:
            raise status_error(endpoint, answer.status_code, answer.content, news)
        return answer


def readable(label: str, read: Callable[[bytes], T], body: bytes) -> T:
    """Decoded body; Unresolved when it does not have the expected shape."""
    try:
        return read(body)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise Unresolved(f"{label}: unreadable answer ({error})") from error


def is_absent(error: Refused) -> bool:
    """Whether a read was refused because there is no such thing (status 404)."""
    return "status 404" in error.message


def _path(endpoint: str, subject: int | str | None) -> str:
    template = ENDPOINTS[endpoint]
    if "{}" not in template:
        return template
    text = str(subject)
    if not text.isalnum() or not text.isascii():
        raise ValueError(f"{endpoint}: {text!r} is no id")
    return template.format(text)


decode_integer = msgspec.json.Decoder(int).decode
