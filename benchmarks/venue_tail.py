"""A simulated venue's own event log, followed as it grows: when what rested, exact to the event.

Nothing our processes say is read here, and the clock is the venue's, which on one machine is ours.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from desk.identity import MarketId, OrderIdentity
from venues.zo.client_ids import unpack

_OURS = "main"


@dataclass(slots=True, kw_only=True)
class Life:
    """One order of ours: when it was taken (unix ns), and when it left, None while it rests."""

    market: MarketId
    epoch: int
    taken_ns: int
    left_ns: int | None = None


class VenueTail:
    """Orders of our account at one venue, by the venue's word. `read` brings it up to date."""

    def __init__(self, name: str, url: str, markets: Iterable[MarketId]) -> None:
        self._client = httpx.AsyncClient(base_url=url, timeout=30)
        self._markets = {each.symbol: each for each in markets if each.venue == name}
        self._sequence = 0
        self._lives: dict[str, Life] = {}

    async def close(self) -> None:
        """Ask no more."""
        await self._client.aclose()

    async def read(self) -> None:
        """Hear what happened since the last time."""
        answer = await self._client.get("/_sim/events", params={"since": self._sequence})
        answer.raise_for_status()
        for event in answer.json():
            self._sequence = event["sequence"]
            self._hear(event)

    def forget_the_past(self) -> None:
        """Drop every order that has left, so that a long run stays small."""
        self._lives = {name: one for name, one in self._lives.items() if one.left_ns is None}

    def lives(self, of: Callable[[Life], bool] = lambda _: True) -> list[Life]:
        """Orders since the past was forgotten."""
        return [one for one in self._lives.values() if of(one)]

    def quoted(self) -> set[MarketId]:
        """Markets in which something rests."""
        return {one.market for one in self._lives.values() if one.left_ns is None}

    def _hear(self, event: Mapping[str, Any]) -> None:
        kind, at_ns = event["event"], event["at_ns"]
        if kind == "OrderAccepted" and event["account"] == _OURS:
            self._taken(event)
        elif kind == "OrderCancelled" and not event["remaining"]:
            self._left(event["order_id"], at_ns)
        elif kind == "Trade":
            for side in ("maker", "taker"):
                if not event[f"{side}_remaining"]:
                    self._left(event[f"{side}_order_id"], at_ns)

    def _taken(self, event: Mapping[str, Any]) -> None:
        market, name = self._markets[event["symbol"]], event["client_order_id"] or ""
        identity = unpack(int(name), market.tag) if name.isdecimal() else OrderIdentity.decode(name)
        if identity is None:
            raise ValueError(f"a stranger's order at {market.path}: {name}")
        self._lives[event["order_id"]] = Life(
            market=market, epoch=identity.epoch, taken_ns=event["at_ns"]
        )

    def _left(self, order_id: str, at_ns: int) -> None:
        life = self._lives.get(order_id)
        if life is not None and life.left_ns is None:
            life.left_ns = at_ns
