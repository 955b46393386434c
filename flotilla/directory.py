"""Connected venues by name and account: opened when first asked for, shared, closed at the end."""

import asyncio
import random
from collections.abc import Mapping

from desk.errors import ConfigurationFault
from desk.ports import Clock, RateShares, Venue
from infra.settings import Settings
from venues.registry import builder

MAIN = "main"

# Groups of a venue's settings; any other word before a double underscore is an account.
_GROUPS = frozenset(
    {
        "rate",
        "sse",
        "siwe",
        "auth",
        "bulk",
        "fees",
        "client_order_id",
        "streams",
        "dead_man",
        "session",
    }
)


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

    Every account but `main` brings a credential of its own: two names for one account at the venue
    would be two owners of its orders. ConfigurationFault when it does not, and for a name that is
    not lower case.
    """
    if account != account.lower():
        raise ConfigurationFault(
            f"account: '{account}' is not lower case, and names of variables tell no case apart; "
            f"call it '{account.lower()}'"
        )
    given = settings.venue(name)
    prefix = f"{account}__"
    if account != MAIN and not any(key.startswith(prefix) for key in given.secrets):
        raise ConfigurationFault(
            f"account: {name} has no credential for account {account}; set "
            f"FLOTILLA_VENUE_{name.upper()}__{account.upper()}__API_KEY_FILE, or use '{MAIN}'"
        )
    found: dict[str, object] = {}
    own: dict[str, object] = {}
    for key, value in {**given.values, **given.secrets}.items():
        first, nested, rest = key.partition("__")
        if not nested or first in _GROUPS:
            found[key.replace("__", ".")] = value
        elif first == account:
            own[rest.replace("__", ".")] = value
    return {**found, **own}
