"""From the `.env` of the X10 touch bot to a start message and venue settings.

The one rule: no value of the file reaches a message, and keys are never copied: the file may hold
a private key on any line.
"""

import difflib
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any

from dotenv.parser import parse_stream  # python-dotenv comes with pydantic-settings

from desk.errors import ConfigurationFault
from desk.quoting.parameters import QuoteParameters, QuoteStyle
from flotilla.fields import checked
from infra.venue_settings import VENUE_PREFIX
from workflows.messages import StartMarket

VENUE = "x10"
_SETTING = f"{VENUE_PREFIX}{VENUE.upper()}__"
_BASE_URL = "https://api.starknet.extended.exchange/api/v1"

_KEYS = ("API_KEY", "PRIVATE_KEY", "PUBLIC_KEY")
_KNOWN = (
    "MM_MARKET",
    "MM_LEVELS",
    "MM_TARGET_USD",
    "MM_OFFSET_DIVISOR",
    "MM_MAX_IN_FLIGHT",
    "MM_MARKET_MAKER",
    "MM_RATE_LIMIT_RPS",
    "MM_RATE_LIMIT_BURST",
    "VAULT",
    *_KEYS,
)
_FIELDS = {
    "symbol": "MM_MARKET",
    "levels": "MM_LEVELS",
    "level_notional": "MM_TARGET_USD",
    "offset_divisor": "MM_OFFSET_DIVISOR",
}
_NEW_FIELD = re.compile(rf"(^|; )({'|'.join(_FIELDS)}): ")
# A key pasted into the wrong line must not pass for the name of a market.
_MARKET = re.compile(r"[A-Za-z0-9_.]{1,24}-[A-Za-z0-9_.]{1,12}")
_MOST_IN_FLIGHT = 64
_MOST_VAULT = 2**32 - 1
# Requests a minute and address without and with the market-maker limits (x10.md section 16).
MOST_PER_MIN = {"default": 1_000, "mm": 12_000}
_BOT_RPS = {"default": Decimal(16), "mm": Decimal(200)}
_QUOTE_SHARE = Decimal("0.75")


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What the old file means here.

    `settings` are environment variables; `files` names each file to make (mode 0600) and the old
    variable whose value belongs into it. `notes` say what has no counterpart.
    """

    start: StartMarket
    settings: Mapping[str, str]
    files: Mapping[str, str]
    notes: tuple[str, ...]


def import_env(text: str, given: Mapping[str, object]) -> Imported:
    """Read the text of a `.env`; `given` are fields of the start message that win over it.

    Raises ConfigurationFault with every problem at once, a sentence for each.
    """
    old = _OldFile()
    old.read(text)
    tier = "mm" if old.choice("MM_MARKET_MAKER") else "default"
    rps = _rate(old, tier)
    settings = {
        f"{_SETTING}BASE_URL": _BASE_URL,
        f"{_SETTING}VAULT": str(old.whole("VAULT", None, most=_MOST_VAULT)),
        f"{_SETTING}RATE__TIER": tier,
        f"{_SETTING}MAX_IN_FLIGHT": str(old.whole("MM_MAX_IN_FLIGHT", 4, most=_MOST_IN_FLIGHT)),
    }
    if old.has("MM_RATE_LIMIT_RPS"):
        settings[f"{_SETTING}RATE__PER_MIN"] = str(int(rps * 60))
    old.number("MM_RATE_LIMIT_BURST", Decimal(1))
    old.problems += [
        f"{name}: the bot knew one account of {VENUE} only, here 'main'; leave the field out"
        for name in ("venue", "account")
        if name in given
    ]
    files = {f"state/x10.{name.lower().replace('_', '-')}": name for name in _keys(old)}
    settings |= {f"{_SETTING}{name}_FILE": path for path, name in files.items()}
    start = _start(old, rps, given)
    if start is None or old.problems:
        raise ConfigurationFault("; ".join(old.problems))
    return Imported(start=start, settings=settings, files=files, notes=tuple(_notes(old, start)))


@dataclass(slots=True)
class _OldFile:
    """Variables of the old file, and what is wrong with them so far."""

    values: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    unread: int = 0

    def read(self, text: str) -> None:
        for binding in parse_stream(io.StringIO(text)):
            lead = binding.original.string
            line = binding.original.line + lead[: len(lead) - len(lead.lstrip())].count("\n")
            if binding.error or (binding.key is not None and binding.value is None):
                self.problems.append(f"line {line}: is not NAME=VALUE; correct or remove it")
            elif binding.key in _KNOWN and binding.value is not None:
                self.values[binding.key] = binding.value.strip()
            elif binding.key is not None and binding.key.startswith("MM_"):
                self.problems.append(_guess(binding.key))
            elif binding.key is not None:
                self.unread += 1

    def has(self, name: str) -> bool:
        return bool(self.values.get(name))

    def market(self, name: str) -> str | None:
        """A market's name; None, with a problem, when it is none."""
        text = self.values.get(name, "")
        if _MARKET.fullmatch(text):
            return text
        said = "is not the name of a market" if text else "is missing"
        self.problems.append(f"{name}: {said}; give one, like {name}=BTC-USD")
        return None

    def whole(self, name: str, default: int | None, *, most: int) -> int | None:
        """A whole number from 1 to `most`; None, with a problem, when it is none."""
        text = self.values.get(name) or ("" if default is None else str(default))
        if text.isascii() and text.isdecimal() and len(text) < 12 and 1 <= int(text) <= most:
            return int(text)
        said = "is not a whole number" if text else "is missing"
        self.problems.append(f"{name}: {said}; give one from 1 to {most}")
        return None

    def number(self, name: str, default: Decimal) -> Decimal | None:
        """A number above zero; None, with a problem, when it is none."""
        text = self.values.get(name)
        if not text:
            return default
        try:
            number = Decimal(text)
        except InvalidOperation:
            number = Decimal(0)
        if number.is_finite() and 0 < number < 10**9:
            return number
        self.problems.append(f"{name}: is not a number above zero; give one, like {name}={default}")
        return None

    def choice(self, name: str) -> bool:
        text = self.values.get(name) or "0"
        if text not in ("0", "1"):
            self.problems.append(f"{name}: is neither 0 nor 1; give 1 with the market-maker limits")
        return text == "1"


def _rate(old: _OldFile, tier: str) -> Decimal:
    """Requests a second: the file's, else what the bot took for this tier."""
    rps = old.number("MM_RATE_LIMIT_RPS", _BOT_RPS[tier]) or _BOT_RPS[tier]
    if not 1 <= rps * 60 <= MOST_PER_MIN[tier]:
        old.problems.append(
            f"MM_RATE_LIMIT_RPS: times 60 it is not within 1 to {MOST_PER_MIN[tier]}, what the "
            f"venue allows a minute; correct it, or leave it out and set {_SETTING}RATE__TIER"
        )
        return _BOT_RPS[tier]
    return rps


def _start(old: _OldFile, rps: Decimal, given: Mapping[str, object]) -> StartMarket | None:
    """The start message, as far as the file allows one; None, with problems, when it does not."""
    levels = old.whole("MM_LEVELS", 2, most=20) or 2
    form: dict[str, Any] = {
        "venue": VENUE,
        # A stand-in for a missing name, so that what else is wrong is found as well.
        "symbol": old.market("MM_MARKET") or "missing",
        "style": QuoteStyle.TOUCH,
        "levels": levels,
        "level_notional": old.number("MM_TARGET_USD", Decimal(250)) or Decimal(250),
        "offset_divisor": old.whole("MM_OFFSET_DIVISOR", 400, most=1_000_000) or 400,
        "skew": Decimal(0),
        "requote_tolerance_bps": Decimal(0),
        "debounce_ms": _debounce_ms(levels, rps),
        "max_orders_per_minute": int(rps * 60),
        **given,
    }
    try:
        return checked(lambda: StartMarket.model_validate(form))
    except ConfigurationFault as fault:
        old.problems.append(
            _NEW_FIELD.sub(
                lambda found: f"{found[1]}{_FIELDS[found[2]]}: as {found[2]}, ", str(fault)
            )
        )
        return None


def _debounce_ms(levels: int, rps: Decimal) -> int:
    """Least pause that lets both sides be replaced each time and leaves cancels their share."""
    needed = 2 * levels * 1_000 / (rps * _QUOTE_SHARE)
    return max(QuoteParameters().debounce_ms, int(needed.to_integral_value(ROUND_CEILING)))


def _keys(old: _OldFile) -> Iterator[str]:
    """Keys that need a file; the public key only checks the private one."""
    return (name for name in _KEYS if name != "PUBLIC_KEY" or old.has(name))


def _notes(old: _OldFile, start: StartMarket) -> Iterator[str]:
    yield (
        f"inventory_cap {start.inventory_cap} and skew {start.skew}: the bot had neither; "
        "without skew, quotes do not lean against the inventory"
    )
    yield "offset_divisor: a bigger one is tighter; the bot's tuning guide says the reverse"
    yield (
        f"{_SETTING}DEAD_MAN__UNIT: set it too, to seconds or milliseconds; the venue's pages "
        "disagree, so try it on the testnet"
    )
    if start.debounce_ms > QuoteParameters().debounce_ms:
        yield f"debounce_ms {start.debounce_ms}: what the request rate allows for so many levels"
    if old.has("MM_RATE_LIMIT_BURST"):
        yield "MM_RATE_LIMIT_BURST: not carried over; the rate is a budget per minute"
    if old.unread:
        yield f"{old.unread} other variables of the file mean nothing here"


def _guess(name: str) -> str:
    near = difflib.get_close_matches(name, _KNOWN, n=1)
    return f"{name}: nothing reads it; " + (f"did you mean {near[0]}?" if near else "remove it")
