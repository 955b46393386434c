"""Reads over plain HTTP: markets, fees, orders, trades, positions, balance.

A read that fails changes nothing, but says whether it was sent.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar

import httpx

from desk.errors import NotSent, Unresolved
from desk.ports import Clock
from venues._transport.rate_limit import Budget, RateNews, read_rate_headers
from venues.x10.credentials import Credentials
from venues.x10.errors import complaint, error_of, failed
from venues.x10.pacing import count_read

T = TypeVar("T")
Params: TypeAlias = Mapping[str, str | int | Sequence[str]]
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_TOO_MANY = 429


class Reads:
    """GET requests. Every method raises Refused, NotSent or Unresolved."""

    def __init__(
        self, *, credentials: Credentials, http: httpx.AsyncClient, budget: Budget, clock: Clock
    ) -> None:
        self._credentials = credentials
        self._http = http
        self._budget = budget
        self._clock = clock
        self.sent = 0
        """Requests since the start, refused and failed ones included."""

    async def get(self, path: str, decode: Callable[[bytes], T], params: Params) -> T:
        """Decoded answer of a path below the base URL."""
        return readable(path, decode, (await self.answer(path, params)).content)

    async def find(self, path: str, decode: Callable[[bytes], T], params: Params) -> T | None:
        """The same; None when the venue says that there is no such thing."""
        answer = await self._sent(path, params)
        if _says_nothing_there(answer):
            return None
        return readable(path, decode, self._successful(path, answer).content)

    async def answer(self, path: str, params: Params) -> httpx.Response:
        """A successful answer as it came, headers included."""
        return self._successful(path, await self._sent(path, params))

    async def _sent(self, path: str, params: Params) -> httpx.Response:
        count_read(self._budget)
        self.sent += 1
        try:
            return await self._http.get(
                path,
                params={
                    name: value if isinstance(value, str | int) else list(value)
                    for name, value in params.items()
                },
                headers=self._credentials.mapping,
            )
        except _NEVER_SENT as error:
            raise NotSent(f"{path}: {type(error).__name__}") from error
        except httpx.HTTPError as error:
            raise Unresolved(f"{path}: {type(error).__name__}") from error

    def _successful(self, path: str, answer: httpx.Response) -> httpx.Response:
        news = read_rate_headers(dict(answer.headers), wall_ns=self._clock.wall_ns())
        if answer.status_code == _TOO_MANY:
            self._budget.heard(RateNews(retry_after_s=news.retry_after_s, too_many=True))
        if failed(answer.status_code, answer.content):
            raise error_of(path, answer.status_code, answer.content, news.retry_after_s)
        return answer


def readable(label: str, read: Callable[[bytes], T], body: bytes) -> T:
    """Decoded body; Unresolved when it does not have the expected shape."""
    try:
        return read(body)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise Unresolved(f"{label}: unreadable answer ({error})") from error


def _says_nothing_there(answer: httpx.Response) -> bool:
    if not failed(answer.status_code, answer.content):
        return False
    found = complaint(answer.status_code, answer.content)
    return found is not None and found.not_found
