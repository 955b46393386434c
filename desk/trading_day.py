"""The trading day: from one boundary to the next, at a wall-clock time in a named time zone.

The rule: every moment is in exactly one day, and each day begins when the one before it ends.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_NEAR = range(-2, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingDay:
    """One day, unix milliseconds; the beginning is in it, the end is the next one's beginning."""

    begins_ms: int
    ends_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRule:
    """When days begin. Where clocks skip or repeat that time, it is its first moment."""

    start: time = time(0)
    zone: tzinfo = UTC

    @classmethod
    def parse(cls, start: str = "00:00", zone: str = "UTC") -> "DayRule":
        """Read `HH:MM` and an IANA zone; ValueError with a sentence that names the remedy."""
        return cls(start=read_start(start), zone=read_zone(zone))

    def day_at(self, at_ms: int) -> TradingDay:
        """The day a moment is in. OverflowError near the ends of the calendar."""
        local = (_EPOCH + at_ms * _MILLISECOND).astimezone(self.zone).date()
        near = [self._begins_ms(local + timedelta(days=days)) for days in _NEAR]
        return TradingDay(
            begins_ms=max(begins for begins in near if begins <= at_ms),
            ends_ms=min(begins for begins in near if begins > at_ms),
        )

    def _begins_ms(self, day: date) -> int:
        return (datetime.combine(day, self.start, self.zone) - _EPOCH) // _MILLISECOND


def read_start(text: str) -> time:
    """A time of day from `HH:MM`; ValueError otherwise."""
    hours, _, minutes = text.partition(":")
    if len(text) == 5 and (hours + minutes).isascii() and (hours + minutes).isdigit():
        try:
            return time(int(hours), int(minutes))
        except ValueError:
            pass
    raise ValueError(f"'{text}' is not a time of day; write it like 00:00 or 17:30")


def read_zone(name: str) -> tzinfo:
    """A time zone by its IANA name; ValueError for one this machine does not know."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"'{name}' is no time zone this machine knows; write UTC or a name like "
            "Europe/Zurich, and install the system's tzdata where names are missing"
        ) from None


def moment(at_ms: int) -> str:
    """A moment for people, to the minute: `2026-11-22 00:00 UTC`."""
    return f"{_EPOCH + at_ms * _MILLISECOND:%Y-%m-%d %H:%M} UTC"
