"""How the levers show accounts and orders of the simulated OCX."""

from typing import Any

from desk.instrument import Instrument
from venues.ocx.simulator import shapes
from venues.ocx.simulator.world import World
from venues.simulation.orders import OrderReport


class OcxDisplay:
    """Writes with the shapes of the venue's own reads."""

    def __init__(self, world: World) -> None:
        self._world = world

    def account(self, name: str) -> dict[str, Any]:
        """Open orders, positions, number of fills and balance."""
        engine = self._world.engine
        return {
            "openOrders": [
                shapes.order(self._instrument(one.symbol), one) for one in engine.open_orders(name)
            ],
            "positions": [
                shapes.position(self._instrument(one.symbol), one) for one in engine.positions(name)
            ],
            "fills": len(engine.trades(name)),
            "balance": shapes.perps_balance(engine.balance(name)),
        }

    def report(self, instrument: Instrument, report: OrderReport) -> dict[str, Any]:
        """What became of an order."""
        return shapes.report(instrument, report)

    def _instrument(self, symbol: str) -> Instrument:
        return self._world.engine.market_rules(symbol).instrument
