"""Settings of venues: FLOTILLA_VENUE_<NAME>__<KEY>, or FLOTILLA_VENUE_<NAME>__<ACCOUNT>__<KEY>.

The one rule: this file knows no venue; a key ending in _FILE names a 0600 file with the value, one
ending in _COMMAND the command of a secrets manager that prints it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from desk.errors import ConfigurationFault
from infra.secrets import ask_for_secret, read_secret

VENUE_PREFIX = "FLOTILLA_VENUE_"
_SECRET_WORDS = ("key", "secret", "password", "passphrase", "token", "seed", "mnemonic", "jwt")
_ELSEWHERE = ("_file", "_command")


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSettings:
    """What the environment says of one venue; keys are lower case, `account__key` for one account.

    `secrets` holds everything from a file and every value whose name sounds like a secret.
    """

    name: str
    values: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)

    def get(self, key: str, account: str | None = None) -> str | None:
        """A value or secret: the account's own, else the venue's, else None."""
        names = [key] if account is None else [f"{account.lower()}__{key}", key]
        for name in names:
            if (found := self.secrets.get(name) or self.values.get(name)) is not None:
                return found
        return None

    def require(self, key: str, account: str | None = None) -> str:
        """As `get`, but a missing one raises ConfigurationFault naming the variable."""
        found = self.get(key, account)
        if found is None:
            variable = f"{VENUE_PREFIX}{self.name.upper()}__{key.upper()}"
            raise ConfigurationFault(
                f"{variable} is not set; set it, or {variable}_FILE to a file of mode 0600, "
                f"or {variable}_COMMAND to what prints it."
            )
        return found


def venue_settings(environment: Mapping[str, str]) -> dict[str, VenueSettings]:
    """All venues named in the environment, by lower-case name. ConfigurationFault on bad files."""
    values: dict[str, dict[str, str]] = {}
    secrets: dict[str, dict[str, str]] = {}
    for variable, text in sorted(environment.items()):
        if not variable.startswith(VENUE_PREFIX) or not text:
            continue
        venue, key = _split(variable)
        values.setdefault(venue, {})
        held = secrets.setdefault(venue, {})
        if key.endswith("_file"):
            _once(variable, environment)
            held[key.removesuffix("_file")] = read_secret(Path(text), variable)
        elif key.endswith("_command"):
            _once(variable, environment)
            held[key.removesuffix("_command")] = ask_for_secret(text, variable)
        elif names_a_secret(key):
            held[key] = text
        else:
            values[venue][key] = text
    return {
        name: VenueSettings(name=name, values=plain, secrets=secrets[name])
        for name, plain in values.items()
    }


def venue_keys(environment: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Names of the settings given for each venue; reads no secret and passes over bad names."""
    found: dict[str, list[str]] = {}
    for variable, text in sorted(environment.items()):
        if variable.startswith(VENUE_PREFIX) and text:
            venue, _, key = variable.removeprefix(VENUE_PREFIX).lower().partition("__")
            found.setdefault(venue, []).append(key)
    return {venue: tuple(keys) for venue, keys in found.items()}


def names_a_secret(key: str) -> bool:
    """Whether a setting of this name holds a secret, or says where one is."""
    return key.endswith(_ELSEWHERE) or any(
        word in key.rpartition("__")[2].split("_") for word in _SECRET_WORDS
    )


def _split(variable: str) -> tuple[str, str]:
    venue, separator, key = variable.removeprefix(VENUE_PREFIX).lower().partition("__")
    if not (venue and separator and key):
        raise ConfigurationFault(
            f"{variable} cannot be understood; write {VENUE_PREFIX}<VENUE>__<KEY>, "
            f"for example {VENUE_PREFIX}OCX__BASE_URL."
        )
    return venue, key


def _once(variable: str, environment: Mapping[str, str]) -> None:
    direct = variable.removesuffix("_FILE").removesuffix("_COMMAND")
    for other in (direct, f"{direct}_FILE", f"{direct}_COMMAND"):
        if other != variable and environment.get(other):
            raise ConfigurationFault(f"{other} and {variable} are both set; unset one of them.")
