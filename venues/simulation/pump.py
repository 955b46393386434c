"""Lets the venue's time pass: crowd, windows of faults, then the engine's own clockwork."""

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal
from random import Random

from desk.units import BPS
from venues.simulation.counterflow import Staffed, flow_of
from venues.simulation.faults import Fault, FaultKind, Site
from venues.simulation.flow import Flow
from venues.simulation.stage import Stage


def _nobodys(_symbol: str) -> Flow | None:
    return None


class Pump:
    """Steps every market's flow, so many times a second; `quiet` markets have none.

    `linked` makes the flow of a market that does not move by itself, None for any other.
    """

    def __init__(
        self,
        stage: Stage,
        markets: Sequence[Staffed],
        random: Random,
        steps_per_s: int,
        linked: Callable[[str], Flow | None] = _nobodys,
    ) -> None:
        self._stage = stage
        self._markets = markets
        self._random = random
        self._linked = linked
        self._pause_s = 1 / steps_per_s
        self._flows: dict[str, Flow] = {}
        self._quiet: set[str] = set()
        self._halted: set[str] = set()
        self._bases: dict[str, Decimal | None] = {}

    def open(self) -> None:
        """Make the flows; the first step fills the books."""
        for market in self._markets:
            flow = self._linked(market.symbol) or flow_of(self._stage.engine, market, self._random)
            if flow is not None:
                self._flows[market.symbol] = flow
        self.step()

    async def run(self) -> None:
        """Step until cancelled."""
        while True:
            await asyncio.sleep(self._pause_s)
            self.step()

    def step(self) -> None:
        """One step to now."""
        stage = self._stage
        now, listed = stage.clock.now_ns(), stage.listed()
        for symbol in listed:
            flow = self.flow(symbol)
            if flow is not None and not stage.engine.settlements.ended(symbol):
                flow.step(now)
        for symbol in listed:
            self._apply_windows(symbol)
        stage.engine.tick()

    def flow(self, symbol: str) -> Flow | None:
        """A market's flow, None when it has none or is quiet."""
        return None if symbol in self._quiet else self._flows.get(symbol)

    def set_quiet(self, symbol: str, *, quiet: bool) -> None:
        """Stop or resume a market's counter-flow; its resting crowd orders stay."""
        if quiet:
            self._quiet.add(symbol)
        else:
            self._quiet.discard(symbol)

    def _apply_windows(self, symbol: str) -> None:
        stage, site = self._stage, Site(market=symbol)
        if stage.faults.take(site, FaultKind.EXPIRY) is not None:
            stage.expire(symbol)
            return
        self._apply_halt(symbol, site)
        stale = stage.faults.active(FaultKind.INDEX_STALE, site)
        crash = self._crash(symbol)
        if stale is None and crash is None:
            self._restore(symbol)
            return
        if symbol not in self._bases:
            self._bases[symbol] = stage.engine.index(symbol)
        base = self._bases[symbol]
        if stale is not None or base is None:
            stage.engine.set_index(symbol, None)
        elif crash is not None:
            stage.engine.set_index(symbol, base * crash)

    def _apply_halt(self, symbol: str, site: Site) -> None:
        wanted = self._stage.faults.active(FaultKind.HALT, site) is not None
        if wanted == (symbol in self._halted):
            return
        self._stage.engine.halt(symbol, halted=wanted)
        if wanted:
            self._halted.add(symbol)
        else:
            self._halted.discard(symbol)

    def _restore(self, symbol: str) -> None:
        base = self._bases.pop(symbol, None)
        if base is not None and self.flow(symbol) is None:
            self._stage.engine.set_index(symbol, base)

    def _crash(self, symbol: str) -> Decimal | None:
        """Factor on the index that hurts the account of a liquidation fault."""
        for account in self._stage.accounts():
            site = Site(market=symbol, account=account)
            fault = self._stage.faults.active(FaultKind.LIQUIDATION, site)
            held = self._stage.engine.position(account, symbol).lots if fault else 0
            if fault is not None and held != 0:
                return _factor(fault, held)
        return None


def _factor(fault: Fault, held: int) -> Decimal:
    return 1 - Decimal(fault.bps) / BPS * (1 if held > 0 else -1)
