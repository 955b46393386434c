"""Keeps the markets' rules and our fees fresh: both are signed for, and both may change.

Only what the venue says now is ever signed for; nothing is compiled in (x10.md section 5.2).
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from desk.errors import Refused
from desk.instrument import Instrument
from venues.x10.instruments import Catalog, WireFee, WireMarket, decode_fees, decode_markets
from venues.x10.reads import Reads, readable

_SOONEST_S = 5.0


class Rules:
    """Reads the market list into the catalog, now and then and when an answer says it is old."""

    def __init__(self, *, reads: Reads, catalog: Catalog, refresh_s: float) -> None:
        self._reads = reads
        self._catalog = catalog
        self._refresh_s = refresh_s
        self._due = asyncio.Event()
        self._log = structlog.get_logger(__name__)

    async def refresh(self) -> Sequence[Instrument]:
        """Markets with this account's fees. Raises Refused, NotSent or Unresolved.

        Where the venue refuses to tell the fees, the configured ones count.
        """
        markets: list[WireMarket] = await self._reads.get("/info/markets", decode_markets, {})
        fees: list[WireFee] = []
        try:
            fees = (await self._reads.get("/user/fees", decode_fees, {})).data
        except Refused as refusal:
            self._log.warning("x10.fees_unknown", why=str(refusal))
        return readable("markets", lambda _: self._catalog.learn(markets, fees), b"")

    def outdated(self) -> None:
        """An answer said that our copy is old: read it again soon."""
        self._due.set()

    async def run(self) -> None:
        """Read again every few minutes until cancelled. Raises as `refresh` does."""
        while True:
            self._due.clear()
            await asyncio.sleep(min(_SOONEST_S, self._refresh_s))
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self._refresh_s - _SOONEST_S)):
                    await self._due.wait()
            await self.refresh()
