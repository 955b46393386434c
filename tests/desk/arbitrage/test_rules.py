"""Rules that contradict themselves say so."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from desk.arbitrage.rules import ArbitrageRules
from desk.flattening import Regime
from tests.desk.arbitrage.samples import RULES


def test_sound_rules_have_no_problems() -> None:
    assert RULES.problems() == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"max_units": Decimal(0)},
        {"max_capital": Decimal("NaN")},
        {"max_exposure": Decimal("Infinity")},
        {"max_age_ms": 0},
        {"max_skew_ms": 0},
        {"depth": 0},
        {"slippage_bps": Decimal(-1)},
        {"fast_slippage_bps": Decimal(10_000)},
        {"fast_slippage_bps": Decimal("NaN")},
        {"settlement_cost": Decimal(1)},
        {"min_edge": Decimal("-0.01")},
        {"min_edge": Decimal("NaN")},
    ],
)
def test_each_contradiction_names_its_field(changes: dict[str, Any]) -> None:
    (name,) = changes
    (sentence,) = replace(RULES, **changes).problems()
    assert sentence.startswith(f"{name}: ")


def test_the_caps_have_to_be_said() -> None:
    with pytest.raises(TypeError, match="max_units"):
        ArbitrageRules()  # type: ignore[call-arg]


def test_a_fast_market_never_has_the_smaller_budget() -> None:
    rules = replace(RULES, slippage_bps=Decimal(30), fast_slippage_bps=Decimal(20))
    assert rules.slippage(Regime.CALM) == rules.slippage(Regime.FAST) == Decimal("0.003")
    assert replace(rules, fast_slippage_bps=Decimal(50)).slippage(Regime.FAST) == Decimal("0.005")
