"""Levers of the simulated OCX that the scenes pull, and its public books, read as anybody may.

Everything raises httpx.HTTPError.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Final

import httpx
import msgspec

from desk.identity import MarketId
from desk.units import Side
from venues.simulation.faults import Fault, FaultKind

EDGE: Final = Decimal("0.03")
"""How much a leg is made cheaper, quote currency a share."""


def edge(leg: MarketId, *, for_s: float | None = None) -> Fault:
    """The crowd asks less than is fair, for so long at most."""
    return Fault(kind=FaultKind.EDGE, market=leg.symbol, amount=EDGE, count=None, for_s=for_s)


def vanishing(leg: MarketId) -> Fault:
    """What was shown is gone when our next order to buy it arrives."""
    return Fault(kind=FaultKind.LEG_VANISHES, market=leg.symbol, account=leg.account, side=Side.BUY)


def silence(leg: MarketId) -> Fault:
    """The book's stream stays open and says nothing."""
    return Fault(kind=FaultKind.SILENT_STREAM, market=leg.symbol, count=None)


class Levers:
    """Arms faults of one simulated venue and takes them back."""

    def __init__(self, http: httpx.AsyncClient, *, base_url: str, control_url: str) -> None:
        self._http = http
        self._base_url = base_url
        self._faults_url = f"{control_url}/_sim/faults"

    @asynccontextmanager
    async def held(self, fault: Fault) -> AsyncIterator[int]:
        """Arm a fault, by its number, for as long as the block runs."""
        answer = await self._http.post(self._faults_url, content=msgspec.json.encode(fault))
        answer.raise_for_status()
        (number,) = answer.json()["ids"]
        try:
            yield int(number)
        finally:
            with suppress(httpx.HTTPError):  # a venue that is gone has no levers either
                await self._http.delete(self._faults_url, params={"id": number})

    async def struck(self, number: int) -> bool:
        """Whether a fault that is still armed has struck."""
        answer = await self._http.get(self._faults_url)
        answer.raise_for_status()
        return any(one["id"] == number and one["struck"] for one in answer.json())

    async def asked(self, legs: tuple[MarketId, ...]) -> Decimal | None:
        """What one share of each costs now by the venue's own books; None where nobody sells."""
        total = Decimal(0)
        for leg in legs:
            url = f"{self._base_url}/perps/orderbook/{leg.symbol}"
            answer = await self._http.get(url, params={"depth": 1})
            answer.raise_for_status()
            asks = answer.json()["asks"]
            if not asks:
                return None
            total += Decimal(asks[0][0])
        return total
