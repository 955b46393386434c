"""What the venue does by itself because time passes: expiry, dead-man timers, unfunded orders.

It looks fifty times a second, so a deadline is kept to that; at the money ten times.
"""

import asyncio

from venues.simulation.events import CancelReason
from venues.x10.simulator.world import World

_PAUSE_S = 0.02
_SLOWER = 5


class Routine:
    """Steps until cancelled."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._steps = 0

    async def run(self) -> None:
        """Step until cancelled."""
        while True:
            await asyncio.sleep(_PAUSE_S)
            self.step()

    def step(self) -> None:
        """One step to now."""
        world = self._world
        world.engine.timers.fire()
        now_ms = world.clock.told_ms()
        for record in world.register.open_orders():
            if record.expiry_ms <= now_ms:
                world.cancel(record, CancelReason.TIMED_OUT)
        self._steps += 1
        for account in world.accounts() if self._steps % _SLOWER == 0 else ():
            self._release_unfunded(account)

    def _release_unfunded(self, account: str) -> None:
        """When equity no longer covers the margin, orders that may add risk go (section 18)."""
        world = self._world
        resting = world.register.of(account).open.values()
        records = [each for each in resting if not each.reduce_only]
        if not records:
            return
        view = world.engine.balance(account)
        if view.equity >= view.initial_margin:
            return
        for record in records:
            world.cancel(record, CancelReason.UNFUNDED)
