"""When a trading day begins is a setting; a bad one is told in a sentence that names it."""

import pytest

from desk.errors import ConfigurationFault
from desk.trading_day import DayRule, moment
from infra.settings import load_settings

NOON_MS = 1_782_907_200_000  # 2026-07-01 12:00 UTC


def test_days_begin_at_midnight_utc_unless_said_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().days() == DayRule()
    monkeypatch.setenv("FLOTILLA_DAY_START", "17:00")
    monkeypatch.setenv("FLOTILLA_DAY_ZONE", "America/New_York")
    day = load_settings().days().day_at(NOON_MS)
    assert moment(day.ends_ms) == "2026-07-01 21:00 UTC"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("FLOTILLA_DAY_START", "noon", "'noon' is not a time of day"),
        ("FLOTILLA_DAY_START", "24:00", "'24:00' is not a time of day"),
        ("FLOTILLA_DAY_ZONE", "Middle/Earth", "'Middle/Earth' is no time zone"),
    ],
)
def test_a_day_nobody_can_tell_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationFault) as fault:
        load_settings()
    assert str(fault.value).startswith(f"{name} {words}")
