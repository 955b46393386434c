"""Unix milliseconds to timestamps and back, exactly: no float ever stands between the two."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def to_time(milliseconds: int) -> datetime:
    """Timestamp of unix milliseconds; OverflowError outside the years 1 to 9999."""
    return _EPOCH + milliseconds * _MILLISECOND


def to_ms(moment: datetime) -> int:
    """Unix milliseconds of a timestamp, rounded down."""
    return (moment - _EPOCH) // _MILLISECOND
