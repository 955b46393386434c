"""What an emergency needs of the environment: the state folder, and one venue at a time.

The one rule: a fault in anything else (a service's address, another venue's key file) is no
obstacle, and nothing is looked for on this machine or on the network.
"""

import os
from pathlib import Path

from infra.venue_settings import VENUE_PREFIX, VenueSettings, venue_keys, venue_settings

_STATE_DIR = "FLOTILLA_STATE_DIR"


def bare_state_dir() -> Path:
    """Folder of the `KILL` file, as `Settings.state_dir` has it, but absolute."""
    return Path(os.environ.get(_STATE_DIR) or "state").absolute()


def configured_keys() -> dict[str, tuple[str, ...]]:
    """Names of the settings given for each venue, by lower-case venue; no secret is read."""
    return venue_keys(os.environ)


def bare_venue(name: str) -> VenueSettings:
    """Settings of one venue; blocks while a secrets manager is asked.

    ConfigurationFault for its own bad files alone.
    """
    prefix = f"{VENUE_PREFIX}{name.upper()}__"
    own = {key: text for key, text in os.environ.items() if key.upper().startswith(prefix)}
    return venue_settings(own).get(name) or VenueSettings(name=name, values={}, secrets={})
