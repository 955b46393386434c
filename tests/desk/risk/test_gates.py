"""Every gate passes at its limit, denies one step beyond, and says the limit and the value."""

from dataclasses import replace
from decimal import Decimal

import pytest

from desk.orders import TimeInForce
from desk.risk.gate import DenialReason
from desk.units import NS_PER_MS, Side
from desk.working import WorkingState
from tests.desk.risk.samples import (
    INSTRUMENT,
    MID,
    approved,
    batch,
    context,
    denial,
    leave,
    limits,
    quote,
    rests,
)

LIVE = [state for state in WorkingState if state is not WorkingState.CLOSED]


def test_order_size_is_bounded_for_quotes_and_exits() -> None:
    given = context(limits=limits(max_order_quantity=Decimal(21)), position=50)
    assert approved(batch(quote(lots=10)), given)
    denied = denial(batch(quote(lots=11)), given)
    assert (denied.reason, denied.limit, denied.value) == (DenialReason.SIZE, 21, 22)
    assert denied.client_order_id == quote().client_order_id
    assert denial(batch(leave(lots=11)), given).reason is DenialReason.SIZE


def test_order_notional_is_bounded_at_the_orders_own_price() -> None:
    given = context(limits=limits(max_order_notional=Decimal(999 * 7)), position=50)
    assert approved(batch(quote(price=999, lots=7)), given)
    denied = denial(batch(quote(price=1_000, lots=7)), given)
    assert (denied.reason, denied.limit, denied.value) == (DenialReason.NOTIONAL, 6_993, 7_000)
    assert denial(batch(leave(lots=7)), given).reason is DenialReason.NOTIONAL


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("state", LIVE)
def test_position_counts_everything_that_may_still_fill(side: Side, state: WorkingState) -> None:
    # 100 lots at the mid are worth the limit.
    given = context(position=40 * side.sign, working=(rests(quote(side, lots=30), state),))
    assert approved(batch(quote(side, lots=30, cycle=2)), given)
    denied = denial(batch(quote(side, lots=31, cycle=2)), given)
    assert (denied.reason, denied.limit) == (DenialReason.POSITION, 100_000)
    assert denied.value == 101_000


def test_position_counts_orders_that_the_batch_replaces() -> None:
    old = quote(lots=60)
    given = context(working=(rests(old),))
    ladder = batch(quote(lots=41, cycle=2), replace_all=True)
    assert denial(ladder, given).reason is DenialReason.POSITION
    single = batch(quote(lots=41, cycle=2, replaces=old.client_order_id))
    assert denial(single, given).reason is DenialReason.POSITION


def test_position_counts_only_what_remains_and_nothing_closed() -> None:
    partly = rests(quote(lots=60), remaining=10)
    closed = rests(quote(lots=60, level=1), WorkingState.CLOSED)
    given = context(working=(partly, closed))
    assert approved(batch(quote(lots=90, cycle=2)), given)
    assert not approved(batch(quote(lots=91, cycle=2)), given)


@pytest.mark.parametrize("side", Side)
def test_position_beyond_the_limit_may_come_back(side: Side) -> None:
    given = context(position=150 * side.sign)
    back = side.opposite
    pair = [quote(back, MID, 100, level=level) for level in (0, 1)]
    assert approved(batch(*pair), given)
    assert not approved(batch(*pair, quote(back, MID, 51, level=2)), given)
    assert approved(batch(leave(back, lots=100)), given)
    assert denial(batch(quote(side)), given).reason is DenialReason.POSITION


@pytest.mark.parametrize("side", Side)
def test_collar_holds_in_both_directions(side: Side) -> None:
    given = context()
    for price, beyond in ((990, 989), (1_010, 1_011)):
        assert approved(batch(quote(side, price)), given)
        denied = denial(batch(quote(side, beyond)), given)
        assert (denied.reason, denied.limit, denied.value) == (DenialReason.COLLAR, 100, 110)


def test_collar_is_exact_at_half_ticks() -> None:
    given = context(mid_x2=2_001, limits=limits(collar_bps=Decimal(15)))
    assert approved(batch(quote(price=999)), given)
    assert approved(batch(quote(price=1_002)), given)
    assert not approved(batch(quote(price=998)), given)
    assert not approved(batch(quote(price=1_003)), given)


def test_collar_holds_exits_and_denies_everything_without_a_mid() -> None:
    assert denial(batch(leave(price=989)), context(position=1)).reason is DenialReason.COLLAR
    denied = denial(batch(quote()), context(mid_x2=0))
    assert (denied.reason, denied.value) == (DenialReason.COLLAR, None)


def test_old_book_stops_quotes_and_not_exits() -> None:
    age = 5_000 * NS_PER_MS
    assert approved(batch(quote()), context(book_age_ns=age))
    denied = denial(batch(quote()), context(book_age_ns=age + 1))
    assert (denied.reason, denied.limit, denied.value) == (DenialReason.STALE_BOOK, 5_000, 5_001)
    assert denial(batch(quote()), context(book_age_ns=None)).value is None
    assert approved(batch(leave()), context(book_age_ns=None))


def test_silent_account_stops_quotes_and_not_exits() -> None:
    age = 40_000 * NS_PER_MS
    assert approved(batch(quote()), context(account_age_ns=age))
    denied = denial(batch(quote()), context(account_age_ns=age + 1))
    assert (denied.reason, denied.limit) == (DenialReason.STALE_ACCOUNT, 40_000)
    assert denied.value == 40_001
    assert denial(batch(quote()), context(account_age_ns=None)).value is None
    assert approved(batch(leave()), context(account_age_ns=None))


def test_one_quote_in_a_batch_of_exits_is_held_to_the_rules_of_quotes() -> None:
    mixed = batch(leave(level=1), quote(Side.SELL, 1_005))
    assert approved(mixed, context())
    assert denial(mixed, context(book_age_ns=None)).reason is DenialReason.STALE_BOOK


def test_an_exit_is_known_by_reduce_only_and_never_by_its_id_alone() -> None:
    blind = context(book_age_ns=None)
    resting_exit = replace(leave(price=1_001), time_in_force=TimeInForce.GTC)
    assert approved(batch(resting_exit), blind)
    assert not approved(batch(replace(resting_exit, reduce_only=False)), blind)
    assert not approved(batch(replace(leave(), reduce_only=False)), blind)
    foreign = replace(resting_exit, client_order_id="by-hand")
    assert not approved(batch(foreign), blind)


def test_rate_counts_the_batch_and_keeps_a_reserve_for_exits() -> None:
    pair = batch(quote(), quote(Side.SELL))
    assert approved(pair, context(orders_last_minute=98))
    denied = denial(pair, context(orders_last_minute=99))
    assert (denied.reason, denied.limit, denied.value) == (DenialReason.RATE, 100, 101)
    mixed = batch(leave(level=1), quote(Side.SELL, 1_005))
    assert denial(mixed, context(orders_last_minute=99)).limit == 100
    assert approved(batch(leave()), context(orders_last_minute=109))
    denied = denial(batch(leave()), context(orders_last_minute=110))
    assert (denied.reason, denied.limit, denied.value) == (DenialReason.RATE, 110, 111)


def test_quotes_of_one_batch_must_not_cross() -> None:
    assert approved(batch(quote(price=999), quote(Side.SELL, 1_000)), context())
    denied = denial(batch(quote(price=1_000), quote(Side.SELL, 1_000)), context())
    assert (denied.reason, denied.limit, denied.value) == (DenialReason.SELF_CROSS, 1_000, 1_000)


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("state", LIVE)
def test_quotes_must_not_cross_what_may_rest(side: Side, state: WorkingState) -> None:
    given = context(working=(rests(quote(side.opposite, 1_000), state),), position=5)
    assert approved(batch(quote(side, 1_000 - side.sign)), given)
    denied = denial(batch(quote(side, 1_000)), given)
    assert denied.reason is DenialReason.SELF_CROSS
    assert denied.client_order_id == quote(side).client_order_id
    assert not approved(batch(leave(side, 1_000)), given)


@pytest.mark.parametrize("state", LIVE)
def test_only_resting_orders_count_as_taken_away_by_the_batch(state: WorkingState) -> None:
    old = quote(Side.SELL, 1_000)
    given = context(working=(rests(old, state),))
    gone = state is WorkingState.RESTING
    assert approved(batch(quote(price=1_000), replace_all=True), given) is gone
    assert approved(batch(quote(price=1_000), cancels=(old.client_order_id,)), given) is gone
    stands_in = quote(Side.SELL, 1_001, cycle=2, replaces=old.client_order_id)
    assert approved(batch(quote(price=1_000), stands_in), given) is gone


def test_client_order_ids_are_used_once() -> None:
    once = quote()
    denied = denial(batch(once, replace(once, price=998)), context())
    assert denied.reason is DenialReason.DUPLICATE
    for state in WorkingState:
        given = context(working=(rests(once, state),))
        assert denial(batch(replace(once, price=998)), given).reason is DenialReason.DUPLICATE


def test_nonsense_is_denied() -> None:
    bounded = replace(
        INSTRUMENT, min_lots=5, min_notional=Decimal("4995.5"), band_low=995, band_high=1_005
    )
    given = context(limits=limits(bounded))
    assert approved(batch(quote(price=1_000, lots=5)), given)
    for order, reason, limit, value in (
        (quote(price=999, lots=5), DenialReason.MIN_NOTIONAL, Decimal("4995.5"), 4_995),
        (quote(price=1_000, lots=4), DenialReason.MIN_SIZE, 5, 4),
        (quote(price=1_000, lots=0), DenialReason.LOTS, 1, 0),
        (quote(price=0, lots=5), DenialReason.PRICE, 1, 0),
        (quote(price=994, lots=9), DenialReason.BAND, 995, 994),
        (quote(Side.SELL, 1_006, 9), DenialReason.BAND, 1_005, 1_006),
        (leave(lots=-1), DenialReason.LOTS, 1, -1),
        (replace(quote(lots=9), side=Side.SELL), DenialReason.SLOT, Side.BUY, Side.SELL),
    ):
        denied = denial(batch(order), given)
        assert (denied.reason, denied.limit, denied.value) == (reason, limit, value)
    for price in (995, 1_005):
        assert approved(batch(quote(price=price, lots=6)), given)


def test_a_remainder_below_the_minimum_can_be_closed() -> None:
    bounded = replace(INSTRUMENT, min_lots=5, min_notional=Decimal(5_000))
    assert approved(batch(leave(lots=1)), context(limits=limits(bounded), position=1))


def test_limits_of_another_market_judge_nothing() -> None:
    denied = denial(batch(quote(), symbol="ETH-PERP"), context())
    assert (denied.reason, denied.limit, denied.value) == (
        DenialReason.MARKET,
        "BTC-PERP",
        "ETH-PERP",
    )


def test_one_bad_order_denies_the_whole_ladder() -> None:
    ladder = [quote(price=MID - level, level=level) for level in range(1, 7)]
    assert approved(batch(*ladder), context())
    assert not approved(batch(*ladder, quote(price=1, level=9)), context())


def test_cancels_pass_when_nothing_else_would() -> None:
    worst = context(
        mid_x2=0, book_age_ns=None, account_age_ns=None, position=10**9, orders_last_minute=10**9
    )
    assert approved(batch(cancels=("fabcdefg-1-1-b0",)), worst)
    assert approved(batch(replace_all=True), worst)
