"""Parameters that contradict each other are refused before anything is quoted by them."""

from decimal import Decimal

import pytest

from desk.quoting.parameters import QuoteParameters, QuoteStyle, Sizing


def problems(style: QuoteStyle, **changes: object) -> tuple[str, ...]:
    return QuoteParameters(style=style, **changes).problems()  # type: ignore[arg-type]


@pytest.mark.parametrize("style", QuoteStyle)
@pytest.mark.parametrize("sizing", Sizing)
def test_the_defaults_are_sound_in_every_style(style: QuoteStyle, sizing: Sizing) -> None:
    assert problems(style, sizing=sizing) == ()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"min_spread_bps": Decimal(20), "max_spread_bps": Decimal(10)},
            "max_spread_bps: 10 is below min_spread_bps 20",
        ),
        ({"min_spread_bps": Decimal(0)}, "min_spread_bps: 0 puts every level"),
        (
            {"levels": 4, "offset_divisor": 9, "max_spread_bps": Decimal(5000)}
            | {"level_tiers": (Decimal(1),)},
            "max_spread_bps: at 5000 the outermost of 4 bids would be at zero",
        ),
        ({"max_book_spread_bps": Decimal(0)}, "max_book_spread_bps: 0 is not above zero"),
        ({"imbalance_levels": 0}, "imbalance_levels: 0 is outside 1 to 100"),
        ({"min_book_levels": 0}, "min_book_levels: 0 is outside 1 to 100"),
        ({"skew_factor": Decimal("0.2")}, "skew_factor: 0.2 moves quotes by more than a tenth"),
        ({"skew_factor": Decimal("-0.1")}, "skew_factor: -0.1 is negative"),
        ({"skew_dead_band": Decimal(1)}, "skew_dead_band: 1 leaves no inventory"),
        ({"skew_dead_band": Decimal("-0.1")}, "skew_dead_band: -0.1 is negative"),
        ({"level_percent": Decimal(0)}, "level_percent: 0 is not above zero"),
        (
            {"sizing": Sizing.PERCENTAGE, "level_percent": Decimal(101)},
            "level_percent: a level of 5050.00 exceeds inventory_cap 5000",
        ),
        ({"level_tiers": (Decimal(0),)}, "level_tiers: a tier is not above zero"),
        ({"sizing": Sizing.TIERED, "levels": 4}, "level_tiers: 3 tiers for 4 levels"),
        (
            {"sizing": Sizing.TIERED, "levels": 1, "level_tiers": (Decimal("1.5"),)},
            "level_tiers: a level of 7500.0 exceeds inventory_cap 5000",
        ),
        ({"level_notional": Decimal(6000)}, "level_notional: 6000 exceeds inventory_cap 5000"),
    ],
)
def test_contradictions_name_the_field_and_the_remedy(
    changes: dict[str, object], sentence: str
) -> None:
    (problem,) = problems(QuoteStyle.IMBALANCE, **changes)
    assert problem.startswith(sentence)
    assert ";" in problem


def test_what_a_style_does_not_use_does_not_contradict_it() -> None:
    assert problems(QuoteStyle.SPREAD, min_spread_bps=Decimal(200)) == ()
    assert problems(QuoteStyle.TOUCH, spread_bps=Decimal("0.5")) == ()
    assert problems(QuoteStyle.IMBALANCE, spread_bps=Decimal("0.5")) == ()
    assert len(problems(QuoteStyle.SPREAD, spread_bps=Decimal("0.5"))) == 1
    small = {"inventory_cap": Decimal(100), "sizing": Sizing.PERCENTAGE}
    assert problems(QuoteStyle.SPREAD, **small) == ()


def test_more_tiers_than_levels_are_left_unused() -> None:
    parameters = QuoteParameters(sizing=Sizing.TIERED, levels=2)
    assert parameters.problems() == ()
    assert parameters.level_worths == (Decimal(2500), Decimal(1500))


def test_how_far_the_outermost_level_can_be() -> None:
    # Three halves of 125 bps from a fair value 20 bps above the mid: 1.002 * 1.01875 = 1.0207875.
    assert QuoteParameters(style=QuoteStyle.IMBALANCE).most_reach_bps == Decimal("207.875")
    assert QuoteParameters().most_reach_bps == 0
