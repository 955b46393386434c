"""Every setting of a process, from its environment and from a stack running on this machine.

The one rule: nothing but this and `bare_settings` reads the environment, and a bad value is told in
one sentence that names the variable and the remedy.
"""

import difflib
import os
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from temporalio.envconfig import ClientConfig, ClientConnectConfig

from desk.arbitrage_caps import CapRule, read_cap_rules
from desk.break_rules import BreakRule, read_break_rules
from desk.errors import ConfigurationFault
from desk.trading_day import DayRule, read_start, read_zone
from infra.embedded.directory import Addresses, discover
from infra.venue_settings import VENUE_PREFIX, VenueSettings, venue_settings

_PREFIX = "FLOTILLA_"


def _database(text: str) -> str:
    scheme, _, rest = text.partition("://")
    if scheme not in {"postgresql+asyncpg", "postgresql", "postgres"} or not rest:
        raise ValueError("must look like postgresql+asyncpg://user:password@host:port/database")
    _port_of(text)
    return f"postgresql+asyncpg://{rest}"


def _redis(text: str) -> str:
    if urlsplit(text).scheme not in {"redis", "rediss", "unix"}:
        raise ValueError("must look like redis://:password@host:port/0")
    _port_of(text)
    return text


def _port_of(text: str) -> int | None:
    try:
        return urlsplit(text).port
    except ValueError:
        raise ValueError("has a port that is not a number between 0 and 65535") from None


def _folder(path: Path) -> Path:
    if path.exists() and not path.is_dir():
        raise ValueError("must name a folder, and there is a file of that name")
    return path


def _fleet(text: str) -> str:
    if re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", text) is None:
        raise ValueError("must be 1 to 32 lower-case letters, digits and hyphens")
    return text


def _split(text: object) -> object:
    return tuple(part.strip() for part in text.split(",")) if isinstance(text, str) else text


def _markets(paths: tuple[str, ...]) -> tuple[str, ...]:
    for path in paths:
        if re.fullmatch(r"[^/,\s]+/[^/,\s]+/[^/,\s]+", path) is None:
            raise ValueError(f"names '{path}', which is not VENUE/ACCOUNT/SYMBOL")
    return paths


_Markets = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_markets)]


def _day_start(text: str) -> str:
    read_start(text)
    return text


def _day_zone(text: str) -> str:
    read_zone(text)
    return text


def _break_rules(text: str) -> str:
    read_break_rules(text)
    return text


def _cap_rules(text: str) -> str:
    read_cap_rules(text)
    return text


_BreakRules = Annotated[str, AfterValidator(_break_rules)]
_CapRules = Annotated[str, AfterValidator(_cap_rules)]
_DayStart = Annotated[str, AfterValidator(_day_start)]
_DayZone = Annotated[str, AfterValidator(_day_zone)]
_Fleet = Annotated[str, AfterValidator(_fleet)]
_Folder = Annotated[Path, AfterValidator(_folder)]


class Settings(BaseSettings):
    """Settings of one process; frozen. Make it with `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, frozen=True, extra="ignore", env_ignore_empty=True
    )

    database_url: Annotated[str, AfterValidator(_database)] | None = Field(default=None, repr=False)
    """SQLAlchemy address of PostgreSQL with asyncpg; None when nobody said and no stack runs."""
    redis_url: Annotated[str, AfterValidator(_redis)] | None = Field(default=None, repr=False)
    """Address of Redis or Valkey; None when nobody said and no stack runs."""
    data_dir: _Folder = Path("data")
    """Databases, logs and `services.json` of the embedded stack."""
    state_dir: _Folder = Path("state")
    """Folder of the `KILL` file."""
    drill_markets: _Markets = ()
    """Markets (`venue/account/symbol`, with commas between) where brakes may be rehearsed."""
    drill_every_days: int = Field(default=30, ge=1, le=365)
    """How often each brake is rehearsed on each of them."""
    day_start: _DayStart = "00:00"
    """When a trading day begins, `HH:MM` in `day_zone`; the same for every process of a fleet."""
    day_zone: _DayZone = "UTC"
    """The time zone of `day_start`, as an IANA name."""
    fleet: _Fleet = "main"
    """Which fleet this process belongs to."""
    guardian_every_s: Annotated[int, Field(ge=5, le=300)] = 20
    """Seconds between two looks at an account for orders and exposure that nobody owns."""
    guardian_exposure: Literal["alarm", "flatten"] = "alarm"
    """What is done about a position that nobody owns, beside telling a person."""
    keep_months: Annotated[int, Field(ge=1, le=240)] = 24
    """Months that marks, comparisons and decision samples are kept."""
    keep_orders_months: Annotated[int, Field(ge=1, le=240)] = 60
    """Months that orders are kept; fills, payments, breaks and adjustments stay for good."""
    reconcile_orders_every_s: Annotated[int, Field(ge=5, le=300)] = 15
    """Seconds between two comparisons of what rests with what our books say rests."""
    reconcile_account_every_s: Annotated[int, Field(ge=15, le=3_600)] = 60
    """Seconds between two comparisons of positions, equity, fills, payments and sources."""
    reconcile_tolerance: Annotated[Decimal, Field(ge=0)] = Decimal(1)
    """Quote currency that a venue's equity may be off our books' expectation, in any case."""
    reconcile_tolerance_bps: Annotated[Decimal, Field(ge=0, le=10_000)] = Decimal(50)
    """The same in basis points of the worth of all positions: marks are not our mids."""
    reconcile_untold_bps: Annotated[Decimal, Field(ge=0, le=10_000)] = Decimal(10)
    """The same for each day, at venues that do not tell funding."""
    reconcile_sources: Literal["auto", "hand"] = "auto"
    """What ends a halt over sources that contradicted each other: that they agree, or a person."""
    break_rules: _BreakRules = ""
    """Breaks settled by rule after a while, such as `position<=0.01:venue@15m`; none by default."""
    arbitrage_caps: _CapRules = ""
    """Capital that arbitrage may lock, such as `fleet=10000 USDC`; none by default, so nothing."""
    max_unrecorded_intents: int = Field(default=200, ge=50, le=10_000)
    """Orders of one market that may be sent and not in PostgreSQL yet; then nothing is sent."""
    recovery_trace: Literal["hold", "alarm"] = "hold"
    """What follows when a crashed session's trace does not replay: a break, or an alarm only."""
    trace: Literal["on", "off"] = "on"
    """Whether sessions keep what they heard and decided, in `traces` under the data folder."""
    trace_segments: int = Field(default=300, ge=2, le=100_000)
    """How many files of 10 MB are kept of each market's decision trace."""
    trace_days: int = Field(default=14, ge=1, le=3_650)
    """How long a decision trace is kept at most."""
    trace_sample: int = Field(default=50, ge=1, le=1_000_000)
    """One in so many sends goes on record, beside everything that takes quotes away."""
    telemetry: Literal["off", "console", "otlp"] = "off"
    """Where traces and metrics go."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe line that is logged."""

    _stack: Addresses = PrivateAttr(default=Addresses())
    _venues: dict[str, VenueSettings] = PrivateAttr(default_factory=dict)

    def filled(self, stack: Addresses, venues: dict[str, VenueSettings]) -> Self:
        """A copy where a running stack fills what nobody set, and with venues in it."""
        addresses = {
            "database_url": self.database_url or stack.database_url,
            "redis_url": self.redis_url or stack.redis_url,
        }
        copy = self.model_copy(update=addresses)
        copy._stack, copy._venues = stack, venues  # noqa: SLF001 - a copy of ourselves
        return copy

    @property
    def stack(self) -> Addresses:
        """The stack found running on this machine."""
        return self._stack

    def temporal(self) -> ClientConnectConfig:
        """Arguments of `Client.connect`: TEMPORAL_* variables, then the stack on this machine.

        A Temporal configuration file is read only when TEMPORAL_CONFIG_FILE or TEMPORAL_PROFILE
        asks for it: a forgotten file must not point a fleet at somebody's production server.
        """
        asked = any(os.environ.get(f"TEMPORAL_{word}") for word in ("CONFIG_FILE", "PROFILE"))
        try:
            config = ClientConfig.load_client_connect_config(disable_file=not asked)
        except (RuntimeError, ValueError, OSError) as error:
            raise ConfigurationFault(
                f"The TEMPORAL_* variables cannot be used: {error}; correct or unset them."
            ) from None
        if not config.get("target_host") and self._stack.temporal_address:
            config["target_host"] = self._stack.temporal_address
        return config

    def days(self) -> DayRule:
        """When trading days begin."""
        return DayRule.parse(self.day_start, self.day_zone)

    def rules(self) -> tuple[BreakRule, ...]:
        """Written rules that settle breaks."""
        return read_break_rules(self.break_rules)

    def caps(self) -> tuple[CapRule, ...]:
        """Caps on the capital that arbitrage locks."""
        return read_cap_rules(self.arbitrage_caps)

    def venue(self, name: str) -> VenueSettings:
        """Settings of one venue; with nothing in it when none were given."""
        return self._venues.get(name) or VenueSettings(name=name, values={}, secrets={})

    def secrets(self) -> tuple[str, ...]:
        """Every secret value known to this process; logs must never show one."""
        urls = (self.database_url, self.redis_url, self._stack.database_url, self._stack.redis_url)
        passwords = [urlsplit(url).password for url in urls if url]
        keys = [value for venue in self._venues.values() for value in venue.secrets.values()]
        temporal = os.environ.get("TEMPORAL_API_KEY")
        return tuple(secret for secret in (*passwords, *keys, temporal) if secret)


def load_settings(**given: Any) -> Settings:
    """Read the environment once; `given` (from the command line) wins over it.

    What neither says is taken from a stack that runs on this machine's data folder. Raises
    ConfigurationFault for the first bad value.
    """
    said = _said(given)
    return said.filled(discover(said.data_dir), venue_settings(os.environ))


def external_services() -> Addresses:
    """The services the environment names; an embedded stack uses these and starts the rest."""
    said = _said({})
    return Addresses(
        database_url=said.database_url,
        redis_url=said.redis_url,
        temporal_address=said.temporal().get("target_host"),
    )


def misspelt_variables() -> tuple[str, ...]:
    """Sentences about FLOTILLA_ variables that nothing reads."""
    known = [f"{_PREFIX}{name.upper()}" for name in Settings.model_fields]
    found = (name for name in os.environ if name.startswith(_PREFIX))
    unknown = [n for n in found if n not in known and not n.startswith(VENUE_PREFIX)]
    return tuple(_guess(name, known) for name in sorted(unknown))


def _said(given: Mapping[str, Any]) -> Settings:
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise ConfigurationFault(_sentence(error)) from None


def _guess(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"Nothing reads {name}; " + (f"did you mean {near[0]}?" if near else "unset it.")


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    name = f"{_PREFIX}{str(first['loc'][0]).upper()}"
    said = first["msg"].removeprefix("Value error, ")
    return f"{name} {said[0].lower()}{said[1:]}; correct it or unset it."
