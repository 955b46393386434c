"""How the levers show accounts and orders of the simulated X10."""

from typing import Any

from desk.instrument import Instrument
from venues.simulation.orders import OrderReport
from venues.x10.simulator import shapes
from venues.x10.simulator.world import World


class X10Display:
    """Writes with the shapes of the venue's own reads."""

    def __init__(self, world: World) -> None:
        self._world = world

    def account(self, name: str) -> dict[str, Any]:
        """Open orders, positions, number of fills, balance and dead-man deadline (unix ns)."""
        world = self._world
        held = world.engine.positions(name)
        return {
            "openOrders": [
                world.reporter.order(each) for each in world.register.of(name).open.values()
            ],
            "positions": [world.reporter.position(name, each.symbol) for each in held],
            "fills": len(world.engine.trades(name)),
            "balance": world.reporter.balance(name),
            "deadManDueNs": world.engine.timers.due_ns(name),
        }

    def report(self, instrument: Instrument, report: OrderReport) -> dict[str, Any]:
        """What became of the crowd's order."""
        return {
            "status": report.status.value,
            "filledQuantity": shapes.size(instrument, report.filled),
            "message": report.message,
        }
