"""Legs that do not show one moment: refused, or taken smaller."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.arbitrage.freshness import LegBook, Moment, Unfit, moment
from desk.arbitrage.sets import outcome_set
from desk.arbitrage.verdicts import PassReason
from desk.book import Book
from desk.units import NS_PER_MS
from tests.desk.arbitrage.samples import NOW, RULES, outcome, outcomes, seen

TWO = outcome_set("E", [outcome(0, 2), outcome(1, 2, venue="zo")]).legs
RULED = replace(RULES, max_age_ms=1_000, max_skew_ms=400)


def aged(*ages_ms: int) -> list[LegBook]:
    return [seen([(1, 1)], [(2, 1)], NOW - age * NS_PER_MS) for age in ages_ms]


@pytest.mark.parametrize(
    ("ages_ms", "share"),
    [
        ((0, 0), Fraction(1)),
        ((100, 300), Fraction(1)),  # half of the skew
        ((0, 300), Fraction(1, 2)),
        ((350, 0), Fraction(1, 4)),
        ((999, 1_000), Fraction(1)),
    ],
)
def test_skew_takes_from_the_size(ages_ms: tuple[int, int], share: Fraction) -> None:
    found = moment(TWO, aged(*ages_ms), RULED, NOW, {})
    assert isinstance(found, Moment)
    assert found.share == share
    assert found.skew_ns == abs(ages_ms[0] - ages_ms[1]) * NS_PER_MS


@pytest.mark.parametrize(
    ("ages_ms", "reason", "sentence"),
    [
        ((0, 400), PassReason.SKEWED, "zo/main/E-1 was heard 400 ms before"),
        ((900, 0), PassReason.SKEWED, "ocx/main/E-0 was heard 900 ms before"),
        ((0, 1_001), PassReason.STALE_LEG, "zo/main/E-1 has not changed for 1001 ms"),
        ((-401, 0), PassReason.STALE_LEG, "ocx/main/E-0 is 401 ms ahead of our clock"),
    ],
)
def test_a_stale_leg_is_no_leg(ages_ms: tuple[int, int], reason: PassReason, sentence: str) -> None:
    found = moment(TWO, aged(*ages_ms), RULED, NOW, {})
    assert isinstance(found, Unfit)
    assert found.reason is reason
    assert sentence in found.sentence


def test_a_book_without_a_snapshot_is_stale() -> None:
    found = moment(TWO, [aged(0)[0], LegBook(book=Book(), heard_ns=NOW)], RULED, NOW, {})
    assert isinstance(found, Unfit)
    assert found.reason is PassReason.STALE_LEG


def test_a_heartbeat_confirms_a_quiet_book_but_never_an_old_one() -> None:
    quiet = replace(aged(900)[0], heard_ns=NOW)
    fresh = aged(0)[0]
    assert isinstance(moment(TWO, [fresh, quiet], RULED, NOW, {}), Moment)
    dead = replace(aged(1_100)[0], heard_ns=NOW)
    found = moment(TWO, [fresh, dead], RULED, NOW, {})
    assert isinstance(found, Unfit)
    assert found.reason is PassReason.STALE_LEG


def test_a_venues_offset_moves_its_stamps() -> None:
    late = {"zo": 300 * NS_PER_MS}
    level = moment(TWO, aged(300, 0), RULED, NOW, late)
    assert isinstance(level, Moment)
    assert level.skew_ns == 0
    apart = moment(TWO, aged(0, 100), RULED, NOW, late)
    assert isinstance(apart, Unfit)
    assert apart.reason is PassReason.SKEWED
    old = moment(TWO, aged(0, 701), RULED, NOW, late)
    assert isinstance(old, Unfit)
    assert old.reason is PassReason.STALE_LEG


@given(st.lists(st.integers(0, 1_200), min_size=3, max_size=3), st.integers(0, 500))
def test_an_older_leg_never_makes_more_of_a_size(ages: list[int], more: int) -> None:
    legs = outcomes(count=3).legs
    before = moment(legs, aged(*ages), RULED, NOW, {})
    oldest = ages.index(max(ages))
    older = [age + more * (index == oldest) for index, age in enumerate(ages)]
    after = moment(legs, aged(*older), RULED, NOW, {})
    if isinstance(before, Unfit):
        assert isinstance(after, Unfit)
    elif isinstance(after, Moment):
        assert 0 < after.share <= before.share <= 1
