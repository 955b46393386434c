"""A demo's seconds are counted from its first quote."""

from dataclasses import replace
from pathlib import Path

from flotilla.demo.plan import DemoPlan

_PLAN = DemoPlan(data_dir=Path("data"), state_dir=Path("state"), duration_s=20, drawdown_at_s=8)


def test_prices_are_not_moved_before_anything_quotes() -> None:
    assert not _PLAN.shock_due(None, 1_000.0)


def test_prices_are_moved_so_long_after_the_first_quote_and_not_before() -> None:
    assert not _PLAN.shock_due(100.0, 107.9)
    assert _PLAN.shock_due(100.0, 108.0)


def test_nothing_is_moved_unless_asked() -> None:
    assert not replace(_PLAN, drawdown_at_s=None).shock_due(100.0, 1_000.0)


def test_a_demo_that_never_quotes_ends_and_one_without_a_duration_does_not() -> None:
    assert (_PLAN.longest_s or 0) > 20
    assert replace(_PLAN, duration_s=None).longest_s is None
