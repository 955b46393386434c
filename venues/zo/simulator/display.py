"""How the levers show accounts and orders of the simulated 01.xyz."""

from typing import Any

from desk.instrument import Instrument
from venues.simulation.orders import OrderReport
from venues.zo.simulator import numbers
from venues.zo.simulator.account import account_body
from venues.zo.simulator.world import World


class ZoDisplay:
    """Writes with the shapes of the venue's own reads."""

    def __init__(self, world: World) -> None:
        self._world = world

    def account(self, name: str) -> dict[str, Any]:
        """The account as its read shows it, with its number and how many fills it had."""
        found = self._world.users.named(name)
        if found is None:
            raise KeyError(name)
        engine = self._world.engine
        held = {one.symbol: one for one in engine.positions(name)}
        body = account_body(
            self._world, found, engine.open_orders(name), held, engine.balance(name)
        )
        return _plain(body) | {"accountId": found.account_id, "fills": len(engine.trades(name))}

    def report(self, instrument: Instrument, report: OrderReport) -> dict[str, Any]:
        """What became of an order; amounts as text."""
        average = report.average_price
        return {
            "status": report.status.value,
            "filledQuantity": str(numbers.size(instrument, report.filled)),
            "remainingQuantity": str(numbers.size(instrument, report.remaining)),
            "averagePrice": None if average is None else str(numbers.money(average)),
        }


def _plain(body: dict[str, Any]) -> dict[str, Any]:
    """The body with plain JSON numbers, which the levers' own writer would make text."""
    plain = numbers.decode(numbers.encode(body))
    if not isinstance(plain, dict):
        raise TypeError("a body is an object")
    return plain
