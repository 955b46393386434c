"""Parameters that a market's own rules make pointless are refused before anything is sent."""

from dataclasses import replace
from decimal import Decimal

import pytest

from desk.instrument import Instrument
from desk.quoting.against_market import against_market
from desk.quoting.parameters import QuoteParameters, QuoteStyle, Sizing

MARKET = Instrument(
    venue="paper",
    symbol="BTC-PERP",
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
    min_notional=Decimal(100),
    maker_fee_bps=Decimal(2),
)
SOUND = QuoteParameters(spread_bps=Decimal(4), level_notional=Decimal(100))


def test_at_the_limits_nothing_is_said() -> None:
    assert against_market(SOUND, MARKET) == ()
    assert against_market(replace(SOUND, spread_bps=None), MARKET) == ()


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("spread_bps", {"spread_bps": Decimal("3.9")}),
        ("offset_divisor", {"style": QuoteStyle.TOUCH, "offset_divisor": 5_001}),
        ("min_spread_bps", {"style": QuoteStyle.IMBALANCE, "min_spread_bps": Decimal("3.9")}),
        ("level_notional", {"level_notional": Decimal(99)}),
        ("level_percent", {"sizing": Sizing.PERCENTAGE, "level_percent": Decimal(1)}),
    ],
)
def test_beyond_them_the_field_is_named(field: str, changes: dict[str, object]) -> None:
    (sentence,) = against_market(replace(SOUND, **changes), MARKET)  # type: ignore[arg-type]
    assert sentence.startswith(f"{field}: ")


def test_a_spread_that_the_style_does_not_use_is_not_judged() -> None:
    touch = replace(SOUND, style=QuoteStyle.TOUCH, spread_bps=Decimal(1), offset_divisor=400)
    assert against_market(touch, MARKET) == ()
