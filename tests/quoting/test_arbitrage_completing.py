"""Complete sets whose legs are several trades' are one trade's in the end, and nothing is lost."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from desk.arbitrage_records import TradeStage
from quoting.arbitrage.accounts import Account, accounts_of
from quoting.arbitrage.completing import complete
from tests.quoting.test_arbitrage_accounts import MARKETS, NOBODY, A, B, booked, money, trade, whole
from tests.quoting.test_arbitrage_money import Legs, accounts, fills

_STAGES = st.sampled_from([TradeStage.HEDGING, TradeStage.BALANCED, TradeStage.SETTLED])
_TRADES = st.lists(st.tuples(fills(), fills()), max_size=7)


def brought_together(*trades: Account) -> tuple[Account, ...]:
    found = accounts_of(trades, NOBODY).trades
    complete(found)
    return tuple(found)


def test_a_leg_filled_late_completes_the_next_trade_whose_own_was_traded_back() -> None:
    late = trade(1, booked(2, "-0.8"), booked(0, "0"), stage=TradeStage.SETTLED)
    mended = trade(2, booked(0, "-0.04"), booked(2, "-1"), stage=TradeStage.HEDGING)
    brought_together(late, mended)
    assert (late.units, mended.units) == money(0, 2)
    assert (late.edge(Decimal(1)), mended.edge(Decimal(1))) == money(0, "0.16")
    assert sum(part.amount for part in mended.locked()) == Decimal("1.8")
    assert not late.locked()
    assert not late.holds
    assert mended.payout == 0


def test_a_trade_that_only_held_part_of_it_is_open_before_a_newer_one_that_is_settled() -> None:
    kept = trade(1, booked(3, "-1.2"), booked(0, "0"))
    settled = trade(2, booked(0, "0"), booked(2, "-1"), stage=TradeStage.SETTLED)
    brought_together(kept, settled)
    assert (kept.units, settled.units, kept.left[A]) == (*money(2, 0), 3)


def test_whoever_has_such_sets_keeps_them_whatever_a_newer_trade_holds() -> None:
    late = trade(1, booked(2, "-0.8"), booked(0, "0"), stage=TradeStage.SETTLED)
    keeper = trade(2, booked(0, "0"), booked(2, "-1"))
    newest = trade(3, booked(6, "-2.4"), booked(5, "-2.5"))
    brought_together(late, keeper, newest)
    assert [one.units for one in (late, keeper, newest)] == list(money(0, 2, 5))
    completed = trade(3, booked(6, "-2.4"), booked(6, "-3"))
    again = brought_together(
        trade(1, booked(2, "-0.8"), booked(0, "0"), stage=TradeStage.SETTLED),
        trade(2, booked(0, "0"), booked(2, "-1")),
        completed,
    )
    assert [one.units for one in again] == list(money(0, 2, 6))


def test_a_complete_trade_is_left_as_it_is() -> None:
    late = trade(1, booked(2, "-0.8"), booked(0, "0"))
    mended = trade(2, booked(0, "-0.04"), booked(2, "-1"))
    newest = whole(3, 5, "-4.7")
    brought_together(late, mended, newest)
    assert [one.units for one in (late, mended, newest)] == list(money(2, 0, 5))
    assert newest.passed == 0


def test_what_a_person_has_stays_the_persons() -> None:
    theirs = trade(1, booked(2, "-0.8"), booked(0, "0"), stage=TradeStage.HANDED_OVER)
    ours = trade(2, booked(0, "0"), booked(2, "-1"))
    brought_together(theirs, ours)
    assert (theirs.left, ours.left) == ({A: 2}, {B: 2})


@given(legs=_TRADES, stages=st.lists(_STAGES, min_size=7, max_size=7))
def test_all_that_is_complete_is_counted_and_no_money_is_made_or_lost(
    legs: Legs, stages: list[TradeStage]
) -> None:
    given_in = [
        trade(epoch, *each, stage=stage)
        for epoch, (each, stage) in enumerate(zip(legs, stages, strict=False), start=1)
    ]
    found = brought_together(*given_in)
    held = [sum(one.left.get(market, 0) for one in found) for market in MARKETS]
    assert held == [max(0, sum(each[place].lots for each in legs)) for place in range(2)]
    assert sum(one.units for one in found) == min(held, default=0)
    before = accounts_of(accounts(legs), NOBODY).trades
    assert sum(one.edge(Decimal(0)) for one in found) == edges_unpaid(before)
    assert all(lots >= 0 for one in found for lots in one.left.values())


def edges_unpaid(trades: tuple[Account, ...]) -> Decimal:
    return sum((one.edge(Decimal(0)) for one in trades), Decimal(0))
