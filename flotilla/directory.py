"""Connected venues by name and account: opened when first asked for, shared, closed at the end."""

import asyncio
import random
from collections.abc import Callable, Mapping

from venues.registry import build

from desk.ports import Clock, Venue

VenueSettings = Callable[[str, str], Mapping[str, object]]


class Directory:
    """Implements `desk.ports.VenueDirectory`. Its tasks live in the group it is given."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        settings: VenueSettings,
        clock: Clock,
        randomness: random.Random,
    ) -> None:
        self._tasks = tasks
        self._settings = settings
        self._clock = clock
        self._random = randomness
        self._venues: dict[tuple[str, str], Venue] = {}
        self._running: list[asyncio.Task[None]] = []

    async def venue(self, name: str, account: str) -> Venue:
        """The connected venue; ConfigurationFault for unknown names or bad settings."""
        key = (name, account)
        if key not in self._venues:
            venue = build(
                name,
                self._settings(name, account),
                account=account,
                clock=self._clock,
                random=self._random,
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
