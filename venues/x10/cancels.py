"""Cancel calls and the dead-man timer, on connections of their own that no order can keep busy.

What we believe of the rate budget holds none of them back; each is counted. An OK means that the
venue accepted the call; the orders end by the account stream (section 9).
"""

from contextlib import suppress
from typing import Literal
from urllib.parse import quote

import msgspec

from desk.errors import NotSent
from desk.orders import CancelOutcome
from desk.ports import Clock
from venues._transport.http import HttpPool, HttpResponse
from venues._transport.rate_limit import Budget
from venues.x10.credentials import Credentials
from venues.x10.errors import complaint, error_of, failed
from venues.x10.pacing import count_cancel, hear

_MASS = "/user/order/massCancel"


class Cancels:
    """All methods raise Refused, NotSent or Unresolved; repeating them is always safe."""

    def __init__(
        self, *, credentials: Credentials, pool: HttpPool, budget: Budget, clock: Clock
    ) -> None:
        self._credentials = credentials
        self._pool = pool
        self._budget = budget
        self._clock = clock

    async def all(self, symbol: str | None) -> CancelOutcome:
        """Mass cancel of one market, or of the account; exactly one selector (section 9.2)."""
        count_cancel(self._budget)
        selector = {"cancelAll": True} if symbol is None else {"markets": [symbol]}
        response = await self._call("POST", _MASS, msgspec.json.encode(selector))
        if failed(response.status, response.body):
            raise self._error("mass cancel", response)
        return CancelOutcome(confirmed=True)

    async def one(self, client_order_id: str) -> CancelOutcome:
        """Cancel by external id; an order the venue does not know counts as confirmed.

        `cancelled` is 0 when it did not know it.
        """
        count_cancel(self._budget)
        path = f"/user/order?externalId={quote(client_order_id, safe='')}"
        response = await self._call("DELETE", path, b"")
        if not failed(response.status, response.body):
            return CancelOutcome(confirmed=True)
        found = complaint(response.status, response.body)
        if found is not None and found.not_found:
            return CancelOutcome(confirmed=True, cancelled=0, message=found.message)
        raise self._error("cancel", response)

    async def timer(self, countdown: int) -> None:
        """Set the dead-man timer, 0 disarms; any 2xx that is no error envelope is success."""
        count_cancel(self._budget)
        path = f"/user/deadmanswitch?countdownTime={countdown}"
        response = await self._call("POST", path, b"")
        if failed(response.status, response.body):
            raise self._error("dead-man timer", response)

    async def _call(
        self, method: Literal["POST", "DELETE"], path: str, body: bytes
    ) -> HttpResponse:
        if not self._pool.connected:
            # Also without a running venue (an emergency stop) a cancel must find its way.
            with suppress(NotSent):
                await self._pool.open()
        return await self._pool.request(method, path, headers=self._credentials.block, body=body)

    def _error(self, label: str, response: HttpResponse) -> Exception:
        retry_after_s = hear(self._budget, response, self._clock)
        return error_of(label, response.status, response.body, retry_after_s)
