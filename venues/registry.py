"""Venues by name. An adapter is imported only when somebody asks for it by its name."""

import importlib
import random
from collections.abc import Mapping
from typing import Protocol, cast

from desk.errors import ConfigurationFault
from desk.ports import Clock, Venue
from desk.rate_ports import RateShares

BUILDERS: Mapping[str, str] = {
    "ocx": "venues.ocx:build",
    "x10": "venues.x10:build",
    "zo": "venues.zo:build",
}
"""Name of a venue, and `module:function` of what builds it."""


class Build(Protocol):
    """What every adapter offers."""

    def __call__(
        self,
        config: Mapping[str, object],
        *,
        account: str,
        clock: Clock,
        random: random.Random,
        rates: RateShares | None = None,
    ) -> Venue:
        """One account at the venue. ConfigurationFault for bad settings.

        Without `rates` the request budget is this process's alone.
        """


def builder(name: str) -> Build:
    """Builder of a venue; ConfigurationFault lists the known names for an unknown one."""
    place = BUILDERS.get(name)
    if place is None:
        known = ", ".join(sorted(BUILDERS))
        raise ConfigurationFault(f"venue: '{name}' is unknown; use one of {known}")
    module, _, function = place.partition(":")
    return cast(Build, getattr(importlib.import_module(module), function))
