"""Connected venues by name and account: opened when first asked for, shared, closed at the end."""

import asyncio
import random
from collections.abc import Mapping

from desk.ports import Clock, Venue
from desk.rate_ports import RateShares
from flotilla.accounts import account_settings
from infra.settings import Settings
from venues.registry import builder


class Directory:
    """Implements `desk.ports.VenueDirectory`. Its tasks live in the group it is given."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        settings: Settings,
        clock: Clock,
        randomness: random.Random,
        rates: RateShares | None = None,
    ) -> None:
        self._tasks = tasks
        self._settings = settings
        self._clock = clock
        self._random = randomness
        self._rates = rates
        self._venues: dict[tuple[str, str], Venue] = {}
        self._running: list[asyncio.Task[None]] = []

    async def venue(self, name: str, account: str) -> Venue:
        """The connected venue; ConfigurationFault for unknown names or bad settings."""
        key = (name, account)
        if key not in self._venues:
            venue = builder(name)(
                adapter_settings(self._settings, name, account),
                account=account,
                clock=self._clock,
                random=self._random,
                rates=self._rates,
            )
            self._venues[key] = venue
            self._running.append(self._tasks.create_task(venue.run()))
        return self._venues[key]

    async def close(self) -> None:
        """Disconnect every venue."""
        for task in self._running:
            task.cancel()
        for venue in self._venues.values():
            await venue.close()
        self._venues.clear()


def adapter_settings(settings: Settings, name: str, account: str) -> Mapping[str, object]:
    """A venue's settings for one account, under the adapter's own names (`rate.order_per_min`).

    ConfigurationFault as `account_settings` raises it.
    """
    return account_settings(settings.venue(name), account)
