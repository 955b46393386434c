"""Accounts of a venue as its settings name them, and the settings of one of them.

The one rule: every account but `main` brings a credential of its own, because two names for one
account at the venue would be two owners of its orders.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from desk.errors import ConfigurationFault
from infra.venue_settings import VenueSettings, names_a_secret

MAIN: Final = "main"

# Groups of a venue's settings; any other word before a double underscore is an account.
_GROUPS: Final = frozenset(
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


def account_settings(given: VenueSettings, account: str) -> Mapping[str, object]:
    """Settings of one account, under the adapter's own names (`rate.order_per_min`).

    ConfigurationFault when an account other than `main` has no credential of its own, and for a
    name that is not lower case.
    """
    if account != account.lower():
        raise ConfigurationFault(
            f"account: '{account}' is not lower case, and names of variables tell no case apart; "
            f"call it '{account.lower()}'"
        )
    name, prefix = given.name, f"{account}__"
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


def accounts_with_credentials(keys: Iterable[str]) -> tuple[str, ...]:
    """Accounts that these names of a venue's settings bring a credential for, in order.

    `main` is one of them when a credential names no account; no secret is read for this.
    """
    found = set()
    for key in keys:
        if names_a_secret(key):
            first, nested, _ = key.partition("__")
            found.add(first if nested and first not in _GROUPS else MAIN)
    return tuple(sorted(found))
