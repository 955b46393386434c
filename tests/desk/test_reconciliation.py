"""What counts as a difference between our books and a venue's, and what only looks like one."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.book_ports import AccountBooks, BookedOrder
from desk.identity import MarketId, OrderIdentity, Slot
from desk.instrument import Instrument
from desk.orders import Fill, Liquidity, VenueOrder
from desk.ownership import sort_orders
from desk.reconciliation import (
    Anchor,
    OrdersReading,
    Tolerance,
    authoritative,
    by_symbol,
    gap_ms,
    living,
    missed,
    orders_reading,
    overtaken,
    position_agrees,
    positions_apart,
    quantities,
    source_differences,
    standing_residual,
    steps_back,
    turns,
    twice,
)
from desk.sources import Authority, Source, SourceView
from desk.units import Side

MARKET = MarketId("ocx", "main", "BTC-PERP")
INSTRUMENT = Instrument(
    venue="ocx", symbol="BTC-PERP", tick_size=Decimal("0.5"), lot_size=Decimal("0.001")
)
ENGINE = Source(name="engine", authority=Authority.ENGINE)
ENDPOINT = Source(name="endpoint", authority=Authority.ENDPOINT)
STREAM = Source(name="stream", authority=Authority.STREAM)

keys = st.tuples(st.sampled_from(["A", "B"]), st.sampled_from(list("abcdefgh")))
some = st.frozensets(keys)
changes = st.lists(st.integers(-5, 5).filter(bool), max_size=8)


def our_id(level: int, epoch: int = 1) -> str:
    slot = Slot(Side.BUY, level)
    return OrderIdentity(tag=MARKET.tag, epoch=epoch, cycle=1, slot=slot).encode()


def order(client_order_id: str | None, symbol: str = "BTC-PERP") -> VenueOrder:
    return VenueOrder(
        symbol=symbol,
        side=Side.BUY,
        price=1,
        remaining=1,
        venue_order_id="v",
        client_order_id=client_order_id,
    )


def fill(lots: int, number: int = 0, at_ms: int = 0) -> Fill:
    return Fill(
        venue="ocx",
        account="main",
        symbol="BTC-PERP",
        trade_id=f"t{number}",
        side=Side.BUY if lots > 0 else Side.SELL,
        price=100,
        lots=abs(lots),
        liquidity=Liquidity.MAKER,
        fee=Decimal(0),
        fee_estimated=False,
        traded_at_ms=at_ms,
    )


def fills(lots: Sequence[int]) -> list[Fill]:
    return [fill(one, number) for number, one in enumerate(lots)]


def books(pnl: int = 0, transfers: int = 0, adjusted: int = 0) -> AccountBooks:
    return AccountBooks(
        positions={},
        orders=(),
        pnl=Decimal(pnl),
        transfers=Decimal(transfers),
        adjusted=Decimal(adjusted),
    )


def view(source: Source, equity: str | None = None, **positions: int) -> SourceView:
    return SourceView(
        source=source,
        positions=positions,
        asked_ns=0,
        equity=None if equity is None else Decimal(equity),
    )


# --- orders ------------------------------------------------------------------------------------


def test_orders_of_others_are_on_no_side() -> None:
    resting = sort_orders("ocx", "main", [order("by-hand"), order(None), order(our_id(0), "OTHER")])
    reading = orders_reading(resting, (), {"BTC-PERP", "OTHER"})
    assert reading == OrdersReading(listed=frozenset(), booked=frozenset())


def test_a_market_that_was_never_quoted_here_has_no_orders_of_ours() -> None:
    resting = sort_orders("ocx", "main", [order(our_id(0))])
    assert orders_reading(resting, (), ()).orphans == frozenset()
    assert orders_reading(resting, (), {"BTC-PERP"}).orphans == {("BTC-PERP", our_id(0))}


def test_what_rests_by_our_books_alone_is_a_ghost() -> None:
    booked = BookedOrder(symbol="BTC-PERP", client_order_id=our_id(1), sent_at_ms=0)
    reading = orders_reading({}, [booked], ())
    assert reading.ghosts == {("BTC-PERP", our_id(1))}


@given(some, some, some, some)
def test_only_what_both_readings_show_differs(
    listed: frozenset[tuple[str, str]],
    booked: frozenset[tuple[str, str]],
    listed_later: frozenset[tuple[str, str]],
    booked_later: frozenset[tuple[str, str]],
) -> None:
    first = OrdersReading(listed=listed, booked=booked)
    second = OrdersReading(listed=listed_later, booked=booked_later)
    both = twice(first, second)
    assert both.ghosts == first.ghosts & second.ghosts
    assert both.orphans == first.orphans & second.orphans
    assert both.known <= first.known & second.known


def test_an_order_below_the_newest_epoch_of_its_market_was_left_behind() -> None:
    old, new = ("BTC-PERP", our_id(0, 4)), ("BTC-PERP", our_id(0, 5))
    assert overtaken([old, new]) == {old}
    assert overtaken([old]) == frozenset()
    assert overtaken([old, ("ETH-PERP", our_id(0, 9))]) == frozenset()


def test_orders_of_the_epoch_that_quotes_and_of_newer_ones_live() -> None:
    old, now, next_ = (("BTC-PERP", our_id(0, epoch)) for epoch in (4, 5, 6))
    nobodys = ("ETH-PERP", our_id(0, 9))
    assert living([old, now, next_, nobodys], {"BTC-PERP": 5}) == {now, next_}


def test_ids_are_kept_by_market_in_order() -> None:
    assert by_symbol([("B", "2"), ("A", "9"), ("B", "1")]) == {"A": ("9",), "B": ("1", "2")}


# --- fills and positions -----------------------------------------------------------------------


def test_a_fill_is_missed_when_it_is_old_enough_and_not_booked() -> None:
    old, young, known = fill(1, 1, 100), fill(1, 2, 900), fill(1, 3, 100)
    assert missed([old, young, known], [known], until_ms=500) == (old,)


@given(st.integers(-20, 20), changes)
def test_a_position_read_at_any_moment_of_the_last_fills_agrees(
    start: int, lots: list[int]
) -> None:
    now = start + sum(lots)
    steps = steps_back(INSTRUMENT, fills(lots))
    for moment in range(len(lots) + 1):
        then = start + sum(lots[:moment])
        assert position_agrees(INSTRUMENT.quantity(now), INSTRUMENT.quantity(then), steps)


@given(st.integers(-20, 20), changes, st.integers(-30, 30))
def test_a_position_that_no_moment_explains_does_not_agree(
    start: int, lots: list[int], other: int
) -> None:
    ever = {start + sum(lots[:moment]) for moment in range(len(lots) + 1)}
    now, steps = start + sum(lots), steps_back(INSTRUMENT, fills(lots))
    agrees = position_agrees(INSTRUMENT.quantity(now), INSTRUMENT.quantity(other), steps)
    assert agrees == (other in ever)


def test_a_market_missing_on_one_side_is_flat_there() -> None:
    ours, theirs = {"A": Decimal(1)}, {"B": Decimal(2)}
    assert positions_apart(ours, theirs, ["C", "B", "A"]) == ("A", "B")
    assert positions_apart(ours, theirs, ["A"], {"A": [Decimal(1)]}) == ()


def test_lots_are_read_as_base_units_where_the_market_is_listed() -> None:
    assert quantities({"BTC-PERP": -3, "GONE": 1}, {"BTC-PERP": INSTRUMENT}) == {
        "BTC-PERP": Decimal("-0.003")
    }


@given(st.integers(1, 40), st.integers(1, 10))
def test_every_market_has_its_turn_in_as_few_runs_as_there_can_be(count: int, most: int) -> None:
    symbols = [f"S{number:02}" for number in range(count)]
    seen, last = [turns(symbols, "", most)], ""
    for _ in range((count - 1) // most):
        last = seen[-1][-1]
        seen.append(turns(symbols, last, most))
    assert all(len(one) == min(count, most) for one in seen)
    assert {symbol for one in seen for symbol in one} == set(symbols)


def test_a_turn_goes_on_behind_a_market_that_is_gone() -> None:
    assert turns(["A", "C", "D"], "B", 2) == ("C", "D")
    assert turns(["A", "C", "D"], "D", 2) == ("A", "C")


# --- sources -----------------------------------------------------------------------------------


def test_the_most_authoritative_source_is_right() -> None:
    views = [view(STREAM, BTC=1), view(ENGINE, BTC=3), view(ENDPOINT, BTC=3)]
    assert authoritative(views) is views[1]
    assert authoritative([]) is None
    (found,) = source_differences(views, equity_tolerance=Decimal(1))
    assert (found.symbol, found.right.source, found.wrong.source) == ("BTC", ENGINE, STREAM)
    assert "engine says 3 lots of BTC and stream 1 lots" in found.sentence


def test_sources_may_differ_by_what_was_traded_between_them() -> None:
    views = [view(ENDPOINT, BTC=3), view(STREAM, BTC=1)]
    assert source_differences(views, {"BTC": (0, 2, 5)}, equity_tolerance=Decimal(0)) == ()
    assert source_differences(views, {"BTC": (0, 5)}, equity_tolerance=Decimal(0)) != ()


def test_equities_may_differ_by_a_tolerance() -> None:
    views = [view(ENDPOINT, "100"), view(STREAM, "102")]
    assert source_differences(views, equity_tolerance=Decimal(2)) == ()
    (found,) = source_differences(views, equity_tolerance=Decimal("1.9"))
    assert found.symbol is None
    assert source_differences([views[0], view(STREAM)], equity_tolerance=Decimal(0)) == ()


# --- equity ------------------------------------------------------------------------------------


def test_equity_moves_with_pnl_transfers_and_adjustments_and_nothing_else() -> None:
    at_first = books(pnl=10, transfers=5, adjusted=1)
    anchor = Anchor.at(Decimal(1_000), at_first, 0)
    assert anchor.expected(at_first) == 1_000
    later = books(pnl=4, transfers=105)
    assert anchor.expected(later) == 1_000 - 6 + 100 - 1


def test_marks_may_be_off_by_a_share_of_what_is_held() -> None:
    tolerance = Tolerance(amount=Decimal(1), bps=Decimal(50))
    assert tolerance.allowed(Decimal(0), Decimal(0)) == 1
    assert tolerance.allowed(Decimal(10_000), Decimal(3)) == 1 + 50 + 3


def test_funding_that_nobody_tells_is_allowed_for_as_long_as_something_is_held() -> None:
    anchor = Anchor.at(Decimal(1_000), books(), 0)
    day_ms = 86_400_000
    held = anchor.until(day_ms, Decimal(10_000), Decimal(10))
    assert held.untold == 10
    assert held.until(3 * day_ms, Decimal(0), Decimal(10)).untold == 10
    assert held.until(0, Decimal(10_000), Decimal(10)).untold == 10, "whoever sets a clock back"
    assert anchor.until(day_ms, Decimal(10_000), Decimal(0)).untold == 0
    assert replace(held, untold=Decimal(0), seen_ms=0) == anchor


def test_an_anchor_is_taken_anew_once_a_day_and_only_for_funding_that_nobody_tells() -> None:
    day_ms, hour_ms = 86_400_000, 3_600_000
    start = Anchor.at(Decimal(1_000), books(), 0)
    held = start.until(day_ms, Decimal(10_000), Decimal(10))
    assert not held.due(day_ms + hour_ms - 1), "once an hour"
    assert held.due(day_ms + hour_ms)
    assert not start.until(hour_ms, Decimal(10_000), Decimal(10)).due(3 * hour_ms)
    assert not start.until(day_ms, Decimal(10_000), Decimal(0)).due(2 * day_ms), "all is told"
    now_ms = day_ms + hour_ms
    assert held.anew(Decimal("1010.1"), books(), now_ms) is None, "more than funding may have been"
    anew = held.anew(Decimal(991), books(pnl=1), now_ms)
    assert anew is not None
    assert anew == replace(Anchor.at(Decimal(991), books(pnl=1), now_ms), accepted=Decimal(-10))
    again = anew.until(3 * day_ms, Decimal(10_000), Decimal(10)).anew(
        Decimal(987), books(pnl=1), 3 * day_ms
    )
    assert again is not None
    assert again.accepted == -14, "the sum goes on"


@given(st.lists(st.integers(-30, 30), min_size=1, max_size=40))
def test_what_anchors_accept_never_exceeds_what_untold_funding_may_have_been(
    leaks: list[int],
) -> None:
    day_ms, equity = 86_400_000, Decimal(1_000)
    anchor = Anchor.at(equity, books(), 0)
    for day, leak in enumerate(leaks, 1):
        equity += leak
        anchor = anchor.until(day * day_ms, Decimal(10_000), Decimal(10))
        anchor = anchor.anew(equity, books(), day * day_ms) or anchor
        assert abs(anchor.accepted) <= 10 * day
        assert anchor.accepted == anchor.equity - 1_000, "the sum tells all that was accepted"


@given(changes, st.integers(0, 8), st.integers(-9, 9))
def test_trades_after_the_question_leave_nothing_and_wrong_books_leave_the_same(
    lots: list[int], before: int, wrong: int
) -> None:
    trades = [fill(one, number, number) for number, one in enumerate(lots)]
    asked_ms = trades[before - 1].traded_at_ms if 0 < before <= len(trades) else -1
    then = sum(one.side.sign * one.lots for one in trades if one.traded_at_ms <= asked_ms)
    left = standing_residual(
        INSTRUMENT,
        INSTRUMENT.quantity(sum(lots) + wrong),
        INSTRUMENT.quantity(then),
        trades,
        asked_ms,
    )
    assert left == INSTRUMENT.quantity(wrong)


@pytest.mark.parametrize(
    ("last", "began", "gap"), [(None, 10, 0), (0, 15, 0), (0, 37, 0), (0, 38, 38)]
)
def test_a_gap_is_more_than_two_runs_long(last: int | None, began: int, gap: int) -> None:
    assert gap_ms(last, began, 15) == gap
