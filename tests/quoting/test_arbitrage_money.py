"""Whatever is bought, sold, let go and paid out: what trades came to is what the fills brought."""

import random
from collections.abc import Sequence
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from desk.arbitrage.obligation import Booked
from desk.identity import MarketId
from quoting.arbitrage.accounts import Account, accounts_of
from tests.quoting.test_arbitrage_accounts import A, B, booked, trade

_CASH = st.decimals(Decimal("0.0001"), Decimal(1_000), places=7)
_FEE = st.decimals(Decimal(0), Decimal(1), places=7)


@st.composite
def fills(draw: st.DrawFn, least: int = -12) -> Booked:
    """Of one leg: bought for cash, sold for cash, or traded back at a loss; fees are in it."""
    lots = draw(st.integers(least, 12))
    cash, fee = draw(_CASH), draw(_FEE)
    return booked(lots, (-cash if lots > 0 else cash if lots < 0 else 0) - fee)


_TRADES = st.lists(st.tuples(fills(), fills()), max_size=7)
_OTHERS = st.lists(fills(), max_size=4)
Legs = Sequence[tuple[Booked, Booked]]


def accounts(legs: Legs) -> list[Account]:
    return [trade(epoch, *each) for epoch, each in enumerate(legs, start=1)]


@given(legs=_TRADES, one=_OTHERS, two=_OTHERS, paid_out=st.booleans(), order=st.randoms())
def test_all_trades_and_what_none_explains_are_the_cash_of_all_fills(
    legs: Legs, one: list[Booked], two: list[Booked], paid_out: bool, order: random.Random
) -> None:
    given_in = accounts(legs)
    order.shuffle(given_in)
    found = accounts_of(given_in, {A: one, B: two}, paid_out=paid_out)
    brought = sum((account.edge(Decimal(0)) for account in found.trades), Decimal(0))
    cash = sum((each.cash for pair in (*legs, one, two) for each in pair), Decimal(0))
    assert brought + found.loose == cash, "to the last digit"
    assert all(lots >= 0 for account in found.trades for lots in account.left.values())


@given(legs=_TRADES, paid=st.tuples(_CASH, _CASH))
def test_nothing_that_the_venue_paid_is_lost_while_a_trade_has_lots_of_the_leg(
    legs: Legs, paid: tuple[Decimal, Decimal]
) -> None:
    before = accounts_of(accounts(legs), {A: (), B: ()})
    held = {market: _held(before.trades, market) for market in (A, B)}
    executed = {
        market: (booked(-(held[market] or 3), cash),)
        for market, cash in zip((A, B), paid, strict=True)
    }
    after = accounts_of(accounts(legs), executed, paid_out=True)
    lost = sum((cash for market, cash in zip((A, B), paid, strict=True) if not held[market]), 0)
    assert after.loose == lost
    assert all(not account.holds for account in after.trades)
    gained = sum((account.payout for account in after.trades), Decimal(0))
    assert gained - sum((one.payout for one in before.trades), Decimal(0)) == sum(paid) - lost


@given(legs=_TRADES)
def test_lots_left_are_those_bought_and_not_sold(legs: Legs) -> None:
    found = accounts_of(accounts(legs), {A: (), B: ()})
    for place, market in enumerate((A, B)):
        net = sum(each[place].lots for each in legs)
        assert _held(found.trades, market) == max(0, net)


@given(legs=_TRADES)
def test_whoever_bought_later_has_sold_nothing_before_the_earlier_one_sold_all(legs: Legs) -> None:
    found = accounts_of(accounts(legs), {A: (), B: ()})
    for market in (A, B):
        holders = [one for one in found.trades if market in one.left]
        touched = [one.left[market] < one.booked[market].lots for one in holders]
        last = max((place for place, hit in enumerate(touched) if hit), default=0)
        assert all(one.left[market] == 0 for one in holders[:last])


def _held(trades: Sequence[Account], market: MarketId) -> int:
    return sum(one.left.get(market, 0) for one in trades)
