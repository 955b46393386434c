"""Settling an event: its winner pays 1, every other outcome nothing. A lever; no client can.

Markets of a settled event stay listed, not active, so that what they paid can still be read.
"""

from typing import Any

import msgspec
from aiohttp import web

from venues.ocx.simulator.world import World
from venues.simulation.lever import LeverRefused, LeverTable, decode


class Settle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Settle an event; `winner` is the outcome that came true."""

    event: str
    winner: str


class OutcomeLevers:
    """Handlers; `table` is what to register."""

    def __init__(self, world: World) -> None:
        self._world = world

    def table(self) -> LeverTable:
        """All levers of this file."""
        return (("POST", "/_sim/settle", self._settle),)

    def _settle(self, _request: web.Request, raw: bytes) -> Any:
        order = decode(raw, Settle)
        outcomes = self._outcomes(order.event)
        if order.winner not in outcomes:
            raise LeverRefused(
                404, "UNKNOWN_OUTCOME", f"{order.event} has no outcome {order.winner}"
            )
        if any(symbol in self._world.paid for symbol in outcomes.values()):
            raise LeverRefused(409, "SETTLED", f"{order.event} is settled already")
        paid = {
            symbol: self._one(symbol) if outcome == order.winner else 0
            for outcome, symbol in outcomes.items()
        }
        self._world.settle(paid)
        return {"settled": sorted(paid), "paid": outcomes[order.winner]}

    def _outcomes(self, event: str) -> dict[str, str]:
        """Listed markets of an event by outcome."""
        found = {}
        for symbol in self._world.listed():
            settlement = self._world.markets[symbol].settlement
            if settlement is not None and settlement.event == event:
                found[settlement.outcome] = symbol
        if not found:
            raise LeverRefused(404, "UNKNOWN_EVENT", f"there is no event {event}")
        return found

    def _one(self, symbol: str) -> int:
        return int(1 / self._world.instrument(symbol).tick_size)
