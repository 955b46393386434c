"""Cancel calls, on a connection of their own that no order can keep busy."""

from contextlib import suppress
from dataclasses import replace

import msgspec

from desk.errors import NotSent
from desk.orders import CancelOutcome
from desk.ports import Clock
from venues._transport.http import HttpPool, HttpResponse
from venues._transport.rate_limit import Budget, read_rate_headers
from venues.ocx.errors import complaint, error_of
from venues.ocx.session import Credential, Session

_ENDPOINT = "cancel_all"


class Cancels:
    """`POST cancel-all` with any scope; an empty scope is the whole account."""

    def __init__(
        self, *, path: str, session: Session, pool: HttpPool, budget: Budget, clock: Clock
    ) -> None:
        self._path = path
        self._session = session
        self._pool = pool
        self._budget = budget
        self._clock = clock

    async def cancel(self, scope: dict[str, str]) -> CancelOutcome:
        """Confirmed on a 2xx. Raises Refused, NotSent or Unresolved."""
        body = msgspec.json.encode(scope)
        kind = await self._session.ready(_ENDPOINT)
        response = await self._post(kind, body)
        other = await self._session.second(_ENDPOINT, kind, response.status)
        if other is not None:
            kind = other
            response = await self._post(kind, body)
        if not 200 <= response.status < 300:
            raise error_of(_ENDPOINT, response.status, response.body)
        self._session.worked(_ENDPOINT, kind)
        return CancelOutcome(confirmed=True, cancelled=_count(response.body))

    async def _post(self, kind: Credential, body: bytes) -> HttpResponse:
        if not self._pool.connected:
            # Also without a running venue (an emergency stop) a cancel must find its way.
            with suppress(NotSent):
                await self._pool.open()
        response = await self._pool.request(
            "POST", self._path, headers=self._session.block(kind), body=body
        )
        hear(self._budget, response, self._clock)
        return response


def hear(budget: Budget, response: HttpResponse, clock: Clock) -> float | None:
    """Tell the budget what an answer says of it; gives the seconds a 429 asks to wait."""
    news = read_rate_headers(response.headers, wall_ns=clock.wall_ns())
    if response.status != 429:
        budget.heard(news)
        return None
    told = complaint(response.status, response.body)
    told_s = None if told is None else told.retry_after_s
    waits = [wait_s for wait_s in (news.retry_after_s, told_s) if wait_s is not None]
    budget.heard(replace(news, retry_after_s=max(waits, default=None), too_many=True))
    return news.retry_after_s if told_s is None else told_s


def _count(body: bytes) -> int | None:
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    count = told.get("cancelled") if isinstance(told, dict) else None
    return count if isinstance(count, int) else None
