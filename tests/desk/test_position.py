"""PnL adds up exactly, whatever the fills, and average cost splits it as an accountant would."""

from dataclasses import replace
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.instrument import Instrument
from desk.orders import Fill, Liquidity
from desk.position import Position, apply_fill, apply_funding
from desk.units import Side
from tests.desk.quoting.markets import instruments

UNIT = Instrument(venue="paper", symbol="TEST", tick_size=Decimal(1), lot_size=Decimal(1))
ZERO = Decimal(0)


def fill(side: Side, lots: int, price: int, fee: Decimal = ZERO) -> Fill:
    return Fill(
        venue="paper",
        account="main",
        symbol="TEST",
        trade_id="1",
        side=side,
        price=price,
        lots=lots,
        liquidity=Liquidity.MAKER,
        fee=fee,
        fee_estimated=False,
        traded_at_ms=0,
    )


def after(*fills: Fill, instrument: Instrument = UNIT) -> Position:
    position = Position.flat(instrument)
    for one in fills:
        position = apply_fill(position, one, instrument)
    return position


fees = st.decimals(Decimal(-5), Decimal(5), places=8)
fills = st.builds(fill, st.sampled_from(Side), st.integers(1, 10**6), st.integers(1, 10**7), fees)


@given(instruments(), st.lists(fills, max_size=30), st.lists(fees), st.integers(2, 2 * 10**7))
@settings(deadline=None, max_examples=150)
def test_pnl_is_cash_plus_holding_less_fees_plus_funding_to_the_last_digit(
    instrument: Instrument, history: list[Fill], payments: list[Decimal], mid_x2: int
) -> None:
    position = after(*history, instrument=instrument)
    for payment in payments:
        position = apply_funding(position, payment)
    with localcontext(prec=200):
        unit = instrument.tick_size * instrument.lot_size * instrument.multiplier
        held = sum(one.side.sign * one.lots for one in history)
        cash = -sum((one.side.sign * one.lots * one.price * unit for one in history), ZERO)
        paid = sum((one.fee for one in history), ZERO)
        expected = cash + held * mid_x2 * unit / 2 - paid + sum(payments, ZERO)
        split = position.realised + position.unrealised(mid_x2) - position.fees + position.funding
    assert (position.lots, position.cash, position.fees) == (held, cash, paid)
    assert position.pnl(mid_x2) == expected == split


@given(st.lists(fills, max_size=40))
@settings(deadline=None, max_examples=150)
def test_realised_is_that_of_the_average_cost_method(history: list[Fill]) -> None:
    held, average, realised = 0, Fraction(0), Fraction(0)
    for one in history:
        change = one.side.sign * one.lots
        closed = min(abs(held), one.lots) if held * change < 0 else 0
        realised += closed * (one.price - average) * (1 if held > 0 else -1)
        if held * change >= 0:
            average = (held * average + change * one.price) / (held + change)
        elif abs(change) > abs(held):
            average = Fraction(one.price)
        held += change
    position = after(*history)
    assert abs(Fraction(position.realised) - realised) < Fraction(1, 10**12)
    if position.average_price is None:
        assert held == 0
    else:
        assert abs(Fraction(position.average_price) - average) < Fraction(1, 10**12)


def test_passing_through_zero_closes_all_and_opens_at_the_new_price() -> None:
    position = after(fill(Side.BUY, 4, 100), fill(Side.SELL, 10, 130))
    assert (position.lots, position.average_price, position.realised) == (
        -6,
        Decimal(130),
        Decimal(120),
    )
    assert position.unrealised(2 * 125) == 30


def test_closing_part_leaves_the_average_price() -> None:
    position = after(fill(Side.SELL, 3, 90), fill(Side.SELL, 1, 110), fill(Side.BUY, 2, 80))
    assert (position.lots, position.average_price, position.realised) == (
        -2,
        Decimal(95),
        Decimal(30),
    )


def test_a_closed_position_has_no_cost_left() -> None:
    position = after(fill(Side.BUY, 3, 100), fill(Side.SELL, 1, 101), fill(Side.SELL, 2, 103))
    assert (position.lots, position.cost, position.average_price) == (0, ZERO, None)
    assert (position.realised, position.pnl(1)) == (Decimal(7), Decimal(7))


def test_fees_are_paid_and_funding_is_received() -> None:
    position = apply_funding(after(fill(Side.BUY, 1, 100, Decimal("0.5"))), Decimal(2))
    assert (position.fees, position.funding, position.pnl(200)) == (
        Decimal("0.5"),
        Decimal(2),
        Decimal("1.5"),
    )


def test_a_linear_contract_counts_lots_and_multiplier() -> None:
    instrument = replace(
        UNIT, tick_size=Decimal("0.5"), lot_size=Decimal("0.1"), multiplier=Decimal(2)
    )
    position = after(fill(Side.BUY, 10, 200), instrument=instrument)
    assert (position.cash, position.average_price) == (Decimal(-200), Decimal(100))
    assert position.unrealised(2 * 202) == 2


@given(st.lists(fills, max_size=20), st.integers(2, 2 * 10**7))
def test_a_position_resumed_from_sums_has_the_same_pnl(history: list[Fill], mid_x2: int) -> None:
    position = after(*history)
    resumed = Position.resumed(UNIT, lots=position.lots, cash=position.cash, fees=position.fees)
    assert resumed.pnl(mid_x2) == position.pnl(mid_x2)
    more = fill(Side.BUY, 7, 100)
    assert apply_fill(resumed, more, UNIT).pnl(mid_x2) == apply_fill(position, more, UNIT).pnl(
        mid_x2
    )


@pytest.mark.parametrize(
    "wrong", [replace(fill(Side.BUY, 1, 1), symbol="OTHER"), fill(Side.BUY, 0, 1)]
)
def test_a_fill_that_is_not_this_market_s_is_refused(wrong: Fill) -> None:
    with pytest.raises(ValueError, match="cannot be booked"):
        after(wrong)
