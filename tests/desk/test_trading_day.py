"""Every moment is in exactly one trading day, in every zone, on days of 23, 24 and 25 hours."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.trading_day import DayRule, moment, read_start, read_zone

HOUR_MS = 3_600_000
ZONES = (
    "UTC",
    "Europe/Zurich",
    "America/New_York",
    "Australia/Lord_Howe",  # clocks move by half an hour
    "Asia/Kathmandu",
    "Pacific/Apia",  # a day was left out
    "America/Sao_Paulo",  # midnight itself was skipped
)

rules = st.builds(
    lambda start, zone: DayRule(start=start, zone=read_zone(zone)),
    st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    st.sampled_from(ZONES),
)
moments = st.integers(min_value=946_684_800_000, max_value=4_102_444_800_000)


def ms(*parts: int, zone: str = "UTC") -> int:
    return int(datetime(*parts, tzinfo=ZoneInfo(zone)).timestamp()) * 1000  # type: ignore[arg-type, misc]


@given(rules, moments)
def test_a_moment_is_in_its_day_and_days_follow_each_other(rule: DayRule, at_ms: int) -> None:
    day = rule.day_at(at_ms)
    assert day.begins_ms <= at_ms < day.ends_ms
    assert rule.day_at(day.begins_ms) == day
    assert rule.day_at(day.ends_ms - 1) == day
    assert rule.day_at(day.ends_ms).begins_ms == day.ends_ms
    assert rule.day_at(day.begins_ms - 1).ends_ms == day.begins_ms


@given(rules, moments)
def test_a_day_begins_at_its_time_unless_clocks_skip_it(rule: DayRule, at_ms: int) -> None:
    begins_ms = rule.day_at(at_ms).begins_ms
    local = datetime.fromtimestamp(begins_ms / 1000, UTC).astimezone(rule.zone)
    shown = local.time().replace(fold=0)
    wall = datetime.combine(local.date(), rule.start, rule.zone)
    skipped = wall.astimezone(UTC).astimezone(rule.zone).time() != rule.start
    assert shown == rule.start or skipped


@given(rules, moments)
def test_days_last_about_a_day(rule: DayRule, at_ms: int) -> None:
    day = rule.day_at(at_ms)
    assert 22 * HOUR_MS <= day.ends_ms - day.begins_ms <= 26 * HOUR_MS


@pytest.mark.parametrize(
    ("noon", "hours"),
    [((2026, 3, 29, 12), 23), ((2026, 6, 1, 12), 24), ((2026, 10, 25, 12), 25)],
)
def test_days_of_changing_clocks(noon: tuple[int, ...], hours: int) -> None:
    day = DayRule(zone=read_zone("Europe/Zurich")).day_at(ms(*noon, zone="Europe/Zurich"))
    assert day.ends_ms - day.begins_ms == hours * HOUR_MS


def test_a_time_that_comes_twice_begins_the_day_once_at_its_first() -> None:
    rule = DayRule(start=time(2, 30), zone=read_zone("Europe/Zurich"))
    first = ms(2026, 10, 25, 0, 30)  # 02:30 in summer time; 02:30 in winter time is an hour later
    assert rule.day_at(first).begins_ms == first
    assert rule.day_at(first + HOUR_MS).begins_ms == first
    assert rule.day_at(first - 1).ends_ms == first


def test_the_boundary_of_the_default_is_midnight_utc() -> None:
    day = DayRule.parse().day_at(ms(2026, 11, 21, 17, 5))
    assert (moment(day.begins_ms), moment(day.ends_ms)) == (
        "2026-11-21 00:00 UTC",
        "2026-11-22 00:00 UTC",
    )


@pytest.mark.parametrize(
    "text", ["", "24:00", "7:30", "07:60", "0730", "07:30:00", "aa:bb", "\u0660\u0667:\u0663\u0660"]
)
def test_a_start_that_is_no_time_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a time of day; write it like 00:00"):
        read_start(text)


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../etc/passwd", "CETT"])
def test_a_zone_nobody_knows_is_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(ValueError, match=r"is no time zone this machine knows; write UTC or"):
        read_zone(name)


def test_a_day_and_a_zone_are_read() -> None:
    rule = DayRule.parse("17:00", "America/New_York")
    assert moment(rule.day_at(ms(2026, 7, 1, 12)).ends_ms) == "2026-07-01 21:00 UTC"
