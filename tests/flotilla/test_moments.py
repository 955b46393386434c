"""A time says its zone, or is refused; what a clock shows twice or never is refused too."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flotilla.moments import read_moment, show_moment, write_moment

ZURICH = ZoneInfo("Europe/Zurich")
NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("2026-03-01T09:30:00Z", None, datetime(2026, 3, 1, 9, 30, tzinfo=UTC)),
        ("2026-03-01T09:30:00+05:30", ZURICH, datetime(2026, 3, 1, 4, tzinfo=UTC)),
        ("2026-03-01T09:30", ZURICH, datetime(2026, 3, 1, 8, 30, tzinfo=UTC)),
        ("2026-07-01", ZURICH, datetime(2026, 6, 30, 22, tzinfo=UTC)),
        ("2026-07-01", UTC, datetime(2026, 7, 1, tzinfo=UTC)),
        ("90m", None, NOW - timedelta(minutes=90)),
        ("2w", ZURICH, NOW - timedelta(days=14)),
        # Said with its offset, an hour that comes twice is one of the two.
        ("2026-10-25T02:30+02:00", ZURICH, datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-10-25T02:30+01:00", ZURICH, datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_where_it_is_meant(
    text: str, zone: ZoneInfo | None, moment: datetime
) -> None:
    read = read_moment(text, zone, NOW)
    assert read == moment
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "zone", "words"),
    [
        ("2026-03-01T09:30:00", None, "says no time zone; write 2026-03-01T09:30:00Z for UTC"),
        ("2026-03-01", None, "write 2026-03-01T00:00:00Z for UTC"),
        (
            "2026-10-25T02:30",
            ZURICH,
            (
                "comes twice in Europe/Zurich, where clocks were put back then; write "
                "2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00"
            ),
        ),
        ("2026-03-29T02:30", ZURICH, "does not exist in Europe/Zurich, where clocks were put forw"),
        ("yesterday", UTC, "'yesterday' is not a time; write it like 2026-03-01T09:30:00Z"),
        ("2026-13-01", UTC, "is not a time"),
        ("999999w", UTC, "is too far from now"),
        ("0001-01-01T00:00", ZURICH, "is too far from now"),
        ("0001-01-02T00:00Z", None, "is too far from now"),
        ("999999d", None, "is too far from now"),
        ("9999-12-31T23:59:59Z", None, "is too far from now"),
        ("9999-12-31T23:59:59-14:00", None, "is too far from now"),
    ],
)
def test_what_could_mean_two_moments_or_none_is_refused(
    text: str, zone: ZoneInfo | None, words: str
) -> None:
    with pytest.raises(ValueError, match="'") as refusal:
        read_moment(text, zone, NOW)
    assert words in str(refusal.value)


zones = st.sampled_from(
    ["Europe/Zurich", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "Australia/Lord_Howe"]
)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2037, 1, 1)), zones)  # noqa: DTZ001
def test_a_local_time_is_taken_only_when_it_is_there_exactly_once(
    local: datetime, name: str
) -> None:
    zone = ZoneInfo(name)
    there = {
        moment.replace(tzinfo=timezone(offset)).astimezone(UTC)
        for moment in [local]
        for minutes in range(-14 * 60, 15 * 60, 15)
        for offset in [timedelta(minutes=minutes)]
        if moment.replace(tzinfo=timezone(offset)).astimezone(zone).replace(tzinfo=None) == moment
    }
    try:
        read = {read_moment(local.isoformat(), zone, NOW)}
    except ValueError:
        assert len(there) != 1
    else:
        assert read == there


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(2000, 1, 1)), zones)  # noqa: DTZ001
def test_what_is_written_is_the_moment_it_was(moment: datetime, name: str) -> None:
    assert write_moment(moment.astimezone(ZoneInfo(name))) == write_moment(moment)
    assert datetime.fromisoformat(write_moment(moment)) == moment
    try:
        shown = show_moment(moment, ZoneInfo(name))
    except OverflowError:
        return
    assert abs(datetime.fromisoformat(shown) - moment) < timedelta(milliseconds=1)
