"""Lets the venue's time pass: crowd, windows of faults, then the engine's own clockwork."""

import asyncio
from decimal import Decimal

from desk.units import BPS
from venues.ocx.simulator.counterflow import flow_of
from venues.ocx.simulator.faults import Fault, FaultKind, Site
from venues.ocx.simulator.world import World
from venues.simulation.flow import Flow


class Pump:
    """Steps every market's flow; `quiet` markets have none."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._flows: dict[str, Flow] = {}
        self._quiet: set[str] = set()
        self._halted: set[str] = set()
        self._bases: dict[str, Decimal | None] = {}

    def open(self) -> None:
        """Make the flows; the first step fills the books."""
        for market in self._world.settings.markets:
            flow = flow_of(self._world, market)
            if flow is not None:
                self._flows[market.symbol] = flow
        self.step()

    async def run(self) -> None:
        """Step until cancelled."""
        pause = 1 / self._world.settings.steps_per_s
        while True:
            await asyncio.sleep(pause)
            self.step()

    def step(self) -> None:
        """One step to now."""
        world = self._world
        now = world.clock.now_ns()
        for symbol, flow in self._flows.items():
            if symbol not in self._quiet and symbol not in world.expired:
                flow.step(now)
        for symbol in world.listed():
            self._apply_windows(symbol)
        world.engine.tick()

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
        world, site = self._world, Site(market=symbol)
        if world.faults.take(site, FaultKind.EXPIRY) is not None:
            world.expire(symbol)
            return
        self._apply_halt(symbol, site)
        stale = world.faults.active(FaultKind.INDEX_STALE, site)
        crash = self._crash(symbol)
        if stale is None and crash is None:
            self._restore(symbol)
            return
        if symbol not in self._bases:
            self._bases[symbol] = world.engine.index(symbol)
        base = self._bases[symbol]
        if stale is not None or base is None:
            world.engine.set_index(symbol, None)
        elif crash is not None:
            world.engine.set_index(symbol, base * crash)

    def _apply_halt(self, symbol: str, site: Site) -> None:
        wanted = self._world.faults.active(FaultKind.HALT, site) is not None
        if wanted == (symbol in self._halted):
            return
        self._world.engine.halt(symbol, halted=wanted)
        if wanted:
            self._halted.add(symbol)
        else:
            self._halted.discard(symbol)

    def _restore(self, symbol: str) -> None:
        base = self._bases.pop(symbol, None)
        if base is not None and self.flow(symbol) is None:
            self._world.engine.set_index(symbol, base)

    def _crash(self, symbol: str) -> Decimal | None:
        """Factor on the index that hurts the account of a liquidation fault."""
        for account in self._world.users.accounts():
            site = Site(market=symbol, account=account)
            fault = self._world.faults.active(FaultKind.LIQUIDATION, site)
            held = self._world.engine.position(account, symbol).lots if fault else 0
            if fault is not None and held != 0:
                return _factor(fault, held)
        return None


def _factor(fault: Fault, held: int) -> Decimal:
    return 1 - Decimal(fault.bps) / BPS * (1 if held > 0 else -1)
