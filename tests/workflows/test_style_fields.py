"""The fields of a style arrive in the quote parameters, and contradict each other in sentences."""

from decimal import Decimal

import pydantic
import pytest
from temporalio.contrib.pydantic import pydantic_data_converter

from desk.quoting.parameters import QuoteParameters, QuoteStyle, Sizing
from workflows.messages import CarriedState, ParameterChange, StartMarket

TYPED: dict[str, object] = {
    "style": "imbalance",
    "sizing": "tiered",
    "level_percent": "7",
    "level_tiers": ["0.4", "0.2", "0.1"],
    "min_spread_bps": "15",
    "max_spread_bps": "90",
    "imbalance_levels": 8,
    "min_book_levels": 3,
    "max_book_spread_bps": "200",
    "skew_factor": "0.003",
    "skew_dead_band": "0.1",
}
MEANT = QuoteParameters(
    style=QuoteStyle.IMBALANCE,
    sizing=Sizing.TIERED,
    level_percent=Decimal(7),
    level_tiers=(Decimal("0.4"), Decimal("0.2"), Decimal("0.1")),
    min_spread_bps=Decimal(15),
    max_spread_bps=Decimal(90),
    imbalance_levels=8,
    min_book_levels=3,
    max_book_spread_bps=Decimal(200),
    skew_factor=Decimal("0.003"),
    skew_dead_band=Decimal("0.1"),
)
MARKET = {"venue": "zo", "symbol": "SOLUSD"}


def test_every_parameter_can_be_given_at_the_start_and_changed() -> None:
    parameters = set(QuoteParameters.__dataclass_fields__) - {"version"}
    assert parameters <= set(StartMarket.model_fields)
    assert parameters <= set(ParameterChange.model_fields)


async def test_what_is_typed_at_the_start_is_what_is_quoted_by() -> None:
    start = StartMarket.model_validate({**MARKET, **TYPED})
    assert start.parameters == MEANT
    payloads = await pydantic_data_converter.encode([start])
    assert await pydantic_data_converter.decode(payloads, [StartMarket]) == [start]


def test_the_same_can_be_changed_later() -> None:
    changed = ParameterChange.model_validate(TYPED).applied_to(QuoteParameters(version=4))
    assert changed == QuoteParameters(
        **{**{name: getattr(MEANT, name) for name in MEANT.__dataclass_fields__}, "version": 5}
    )


@pytest.mark.parametrize("text", ["0.4,0.2,0.1", "0.4, 0.2, 0.1"])
def test_tiers_may_be_written_in_one_line(text: str) -> None:
    start = StartMarket.model_validate({**MARKET, "level_tiers": text})
    assert start.parameters.level_tiers == MEANT.level_tiers


def test_parameters_written_before_this_style_are_complete() -> None:
    start = StartMarket.model_validate(MARKET)
    life = {"state": "quoting", "life_epoch": 1}
    written = start.model_dump(mode="json", exclude=set(TYPED) - {"min_spread_bps"})
    known = {key: written[key] for key in QuoteParameters.__dataclass_fields__ if key in written}
    assert CarriedState.model_validate({**life, "parameters": known}).parameters == (
        start.parameters
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"min_spread_bps": "91"}, "max_spread_bps: 90 is below min_spread_bps 91"),
        ({"levels": 4}, "level_tiers: 3 tiers for 4 levels"),
        ({"level_tiers": [0.5, "0.3", "0.2"]}, "0.5 is a binary fraction"),
        ({"level_tiers": "half"}, "level_tiers"),
        ({"sizing": "generous"}, "sizing"),
        (
            {"inventory_cap": "9000", "level_tiers": "0.9,0.05,0.05"},
            "level_tiers: 8100.0 exceeds max_order_notional 5000",
        ),
        (
            {"levels": 2, "max_spread_bps": "500"},
            "the outermost level can be 531.5 bps from the mid, not within collar_bps 500",
        ),
    ],
)
def test_contradictions_are_refused_at_the_start(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(pydantic.ValidationError) as refusal:
        StartMarket.model_validate({**MARKET, **TYPED, **changes})
    assert sentence in str(refusal.value)
