"""Faults of single legs: the crowd is gone when an order arrives, or better than fair for a while.

Each is armed per market, once or for good, and what it did stands in the event log.
"""

from dataclasses import replace

from desk.orders import TimeInForce
from desk.units import Side, Ticks
from venues.simulation.engine import Engine
from venues.simulation.faults import FaultKind, FaultPlan, Site
from venues.simulation.orders import OrderRequest


def arrive(
    engine: Engine, faults: FaultPlan, site: Site, account: str, request: OrderRequest
) -> None:
    """Let an order that takes now or never meet what is armed for it, before it is placed.

    The crowd gives way within the order's limit; a counter-flow fills its levels up again later.
    """
    if request.price is not None and request.time_in_force is TimeInForce.GTC:
        return
    here = replace(site, market=request.symbol, account=account, side=request.side)
    fault = faults.take(here, FaultKind.LEG_VANISHES, FaultKind.LEG_FILLS_IN_PART)
    if fault is None:
        return
    part = fault.kind is FaultKind.LEG_FILLS_IN_PART
    stays = round(request.lots * fault.fraction) if part else 0
    engine.legs.thin(account, request, stays, cause=fault.kind.value)


class ShownEdge:
    """What the crowd of one market gives away now; a change of it is told once."""

    def __init__(self, engine: Engine, faults: FaultPlan, symbol: str) -> None:
        self._engine = engine
        self._faults = faults
        self._symbol = symbol
        self._shown: dict[Side, Ticks] = {}

    def __call__(self, taker: Side) -> Ticks:
        """Ticks by which the crowd is better to takers of this side; whole ticks, rounded down.

        A fault that names no side is for buyers.
        """
        ticks = self._armed(taker)
        if ticks != self._shown.get(taker, 0):
            self._shown[taker] = ticks
            self._engine.legs.edge_shown(self._symbol, taker, ticks)
        return ticks

    def _armed(self, taker: Side) -> Ticks:
        fault = self._faults.active(FaultKind.EDGE, Site(market=self._symbol, side=taker))
        if fault is None or (taker is Side.SELL and fault.side is None):
            return 0
        instrument = self._engine.market_rules(self._symbol).instrument
        return max(0, int(fault.amount / instrument.tick_size))
