"""Rounding never favours a quote: bids down, asks up, sizes towards zero; the grid is exact."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.instrument import Instrument
from desk.units import Side
from tests.desk.quoting.markets import instruments

amounts = st.decimals(Decimal(0), Decimal(10) ** 6, places=9)
properties = settings(deadline=None, max_examples=150)


@given(instruments(), amounts)
@properties
def test_prices_round_away_from_the_market_by_less_than_a_tick(
    instrument: Instrument, price: Decimal
) -> None:
    bid = instrument.price(instrument.price_ticks(price, Side.BUY))
    ask = instrument.price(instrument.price_ticks(price, Side.SELL))
    assert bid <= price <= ask
    assert price - bid < instrument.tick_size
    assert ask - price < instrument.tick_size


@given(instruments(), amounts)
@properties
def test_sizes_never_grow(instrument: Instrument, quantity: Decimal) -> None:
    kept = instrument.quantity(instrument.lots(quantity))
    assert kept <= quantity < kept + instrument.lot_size
    assert instrument.lots(-quantity) == -instrument.lots(quantity)


@given(instruments(), st.integers(1, 10**9), st.integers(-(10**9), 10**9))
@properties
def test_what_is_on_the_grid_stays(instrument: Instrument, ticks: int, lots: int) -> None:
    price, quantity = instrument.price(ticks), instrument.quantity(lots)
    assert {instrument.price_ticks(price, side) for side in Side} == {ticks}
    assert instrument.exact_ticks(price) == ticks
    assert instrument.exact_lots(quantity) == instrument.lots(quantity) == lots


def test_what_is_off_the_grid_is_refused_by_name() -> None:
    instrument = Instrument(
        venue="paper", symbol="BTC", tick_size=Decimal("0.5"), lot_size=Decimal("0.01")
    )
    with pytest.raises(ValueError, match="BTC is not a multiple"):
        instrument.exact_ticks(Decimal("10.3"))
    with pytest.raises(ValueError, match="BTC is not a multiple"):
        instrument.exact_lots(Decimal("0.015"))


def test_a_rebate_is_a_negative_fee() -> None:
    instrument = Instrument(
        venue="paper",
        symbol="BTC",
        tick_size=Decimal("0.5"),
        lot_size=Decimal("0.01"),
        maker_fee_bps=Decimal(-1),
        taker_fee_bps=Decimal(5),
    )
    assert instrument.notional(200, -300) == 300
    assert instrument.fee(200, -300, maker=True) == Decimal("-0.03")
    assert instrument.fee(200, 300, maker=False) == Decimal("0.15")
