"""`POST /action` on a pool of connections: the only request of this adapter that changes anything.

It is never repeated here; a body that is too long is refused before it is sent.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Final

from desk.errors import NotSent, VenueError
from desk.ports import Clock
from venues._transport.http import HttpPool, HttpResponse, encode_headers
from venues._transport.rate_limit import Budget
from venues.zo.replies import BINARY, receipt_of
from venues.zo.schema import nord_pb2 as pb

PATH: Final = "/action"


class Actions:
    """Sends bodies and reads receipts; `max_body_bytes` bounds a body (zo.md section 4.1)."""

    def __init__(
        self,
        *,
        pool: HttpPool,
        budget: Budget,
        clock: Clock,
        user_agent: str,
        max_body_bytes: int,
    ) -> None:
        self._pool = pool
        self._budget = budget
        self._clock = clock
        self._headers = encode_headers([("Content-Type", BINARY), ("User-Agent", user_agent)])
        self._max_body_bytes = max_body_bytes
        self._opening = asyncio.Lock()

    def send(
        self, body: bytes, timeout_s: float | None = None, *, not_after_ns: int | None = None
    ) -> Awaitable[HttpResponse]:
        """Send one body; on an idle connection it is on the socket on return.

        Later than `not_after_ns` it is NotSent. ValueError for a body that is too long.
        """
        if len(body) > self._max_body_bytes:
            raise ValueError(f"an action of {len(body)} bytes; {self._max_body_bytes} are allowed")
        return self._pool.request(
            "POST",
            PATH,
            headers=self._headers,
            body=body,
            timeout_s=timeout_s,
            not_after_ns=not_after_ns,
        )

    def receipt(self, label: str, response: HttpResponse) -> pb.Receipt | VenueError:
        """What an answer says; errors are given back, not raised."""
        return receipt_of(label, response, self._budget, self._clock)

    async def exchange(self, label: str, body: bytes, timeout_s: float | None = None) -> pb.Receipt:
        """Send and read the receipt, connecting first where nobody holds the connections.

        Raises Refused, NotSent or Unresolved; error receipts are returned.
        """
        async with self._opening:
            if not self._pool.connected:
                with suppress(NotSent):
                    await self._pool.open()
        told = self.receipt(label, await self.send(body, timeout_s))
        if isinstance(told, VenueError):
            raise told
        return told
