"""Times as people write and read them, always with a zone that was said.

The rule: a text that could mean two moments, or none, is refused in a sentence; nothing is guessed.
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

_AGO: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO_FORM: Final = re.compile(r"(\d{1,6})([smhdw])")
_DATE_FORM: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(9998, 1, 1, tzinfo=UTC)
"""The calendar ends at 9999; days before and after what was asked for are looked at too."""
_REMEDY: Final = "write it like 2026-03-01T09:30:00Z or 2026-03-01, or how long ago, like 6h"


class NoZone(ValueError):
    """A time without an offset, and nobody said where it is meant."""


def read_moment(text: str, zone: tzinfo | None, now: datetime) -> datetime:
    """The moment a text means, in UTC; ValueError with a sentence that names the remedy.

    `zone` is where times without an offset are meant; None when nobody said. `now` is aware.
    """
    try:
        read = _read(text, zone, now)
    except OverflowError:
        read = _LAST
    if not _FIRST <= read < _LAST:
        raise ValueError(f"'{text}' is too far from now; {_REMEDY}")
    return read


def show_moment(moment: datetime, zone: tzinfo) -> str:
    """A moment in a zone, to the millisecond, with its offset."""
    return moment.astimezone(zone).isoformat(timespec="milliseconds")


def write_moment(moment: datetime) -> str:
    """A moment for programs: ISO 8601 in UTC, to the microsecond."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _read(text: str, zone: tzinfo | None, now: datetime) -> datetime:
    if ago := _AGO_FORM.fullmatch(text):
        return now.astimezone(UTC) - timedelta(**{_AGO[ago[2]]: int(ago[1])})
    read = _parsed(text)
    if read.tzinfo is None:
        read = _placed(read, text, zone)
    return read.astimezone(UTC)


def _parsed(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"'{text}' is not a time; {_REMEDY}") from None


def _placed(local: datetime, text: str, zone: tzinfo | None) -> datetime:
    """A local time in its zone, once it is sure that it is there exactly once."""
    if zone is None:
        midnight = "T00:00:00" if _DATE_FORM.fullmatch(text) else ""
        raise NoZone(f"'{text}' says no time zone; write {text}{midnight}Z for UTC")
    first, second = local.replace(tzinfo=zone), local.replace(tzinfo=zone, fold=1)
    if first.utcoffset() == second.utcoffset():
        return first
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local:
        raise ValueError(
            f"'{text}' does not exist in {zone}, where clocks were put forward then; "
            "write a time before or after that"
        )
    raise ValueError(
        f"'{text}' comes twice in {zone}, where clocks were put back then; "
        f"write {first.isoformat()} or {second.isoformat()}"
    )
