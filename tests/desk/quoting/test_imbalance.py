"""The imbalance style: wider when the book is lopsided, leaning against what we hold, exact."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.book import Book
from desk.instrument import Instrument
from desk.market import BookSnapshot
from desk.quoting.decide import QuoteModel, QuoteTarget, decide
from desk.quoting.parameters import QuoteParameters, QuoteStyle, Sizing
from desk.quoting.view import Depth, View
from desk.units import Side
from tests.desk.quoting.markets import Case, cases, side_of

properties = settings(deadline=None, max_examples=200)
imbalance_cases = cases(QuoteStyle.IMBALANCE)

SOL = Instrument(
    venue="zo", symbol="SOLUSD", tick_size=Decimal("0.01"), lot_size=Decimal("0.001"), min_lots=10
)
SAMPLE = QuoteParameters(
    style=QuoteStyle.IMBALANCE,
    level_notional=Decimal(100),
    min_spread_bps=Decimal(15),
    max_spread_bps=Decimal(125),
)
"""The figures of the notes the style was asked for with."""
EVEN = Depth(bid_levels=5, ask_levels=5, bid_lots=500, ask_lots=500)
NOW = View(best_bid=19_999, best_ask=20_001, mid_x2=40_000, inventory=0, depth=EVEN)
CAP_LOTS = 25_000  # 5,000 of quote currency at the mid of 200


def prices(target: QuoteTarget, side: Side) -> list[int]:
    return [level.price for level in side_of(target, side)]


def weighed(case: Case, bid_lots: int, ask_lots: int) -> Case:
    """The same market with so much on either side."""
    depth = Depth(bid_levels=5, ask_levels=5, bid_lots=bid_lots, ask_lots=ask_lots)
    return replace(case, view=replace(case.view, depth=depth))


def of_figures(case: Case) -> tuple[Fraction, Fraction]:
    """Spread and skew as fractions of a price, from the formulas as they were asked for."""
    parameters, depth = case.parameters, case.view.depth
    assert depth is not None
    imbalance = Fraction(depth.bid_lots - depth.ask_lots, depth.bid_lots + depth.ask_lots)
    least, most = Fraction(parameters.min_spread_bps), Fraction(parameters.max_spread_bps)
    spread = least + abs(imbalance) * (most - least)
    moved = abs(case.share) > Fraction(parameters.skew_dead_band)
    skew = Fraction(parameters.skew_factor) * case.share if moved else Fraction(0)
    return Fraction(ceil(spread * 10**6), 10**10), skew


def test_a_balanced_book_is_quoted_at_the_least_spread() -> None:
    target = decide(NOW, SAMPLE, SOL)
    # 15 bps of 20,000 ticks are 30: level i is 15 * (i + 1) ticks from the mid.
    assert prices(target, Side.BUY) == [19_985, 19_970, 19_955]
    assert prices(target, Side.SELL) == [20_015, 20_030, 20_045]
    assert target.spread_bps == 15
    assert (target.skew_bps, target.reason) == (Decimal(0), "")
    # 100 / 199.85 = 0.50037 and 100 / 200.15 = 0.49962, down to the lot of 0.001.
    assert [level.lots for level in target.levels] == [500, 500, 501, 499, 499, 498]


@pytest.mark.parametrize(("bid_lots", "ask_lots"), [(750, 250), (250, 750)])
def test_half_an_imbalance_either_way_is_half_the_way_to_the_widest(
    bid_lots: int, ask_lots: int
) -> None:
    depth = replace(EVEN, bid_lots=bid_lots, ask_lots=ask_lots)
    target = decide(replace(NOW, depth=depth), SAMPLE, SOL)
    assert target.spread_bps == 70
    assert prices(target, Side.BUY)[0] == 19_930
    assert prices(target, Side.SELL)[0] == 20_070


def test_long_goes_down_and_short_goes_up() -> None:
    long = decide(replace(NOW, inventory=CAP_LOTS // 2), SAMPLE, SOL)
    short = decide(replace(NOW, inventory=-CAP_LOTS // 2), SAMPLE, SOL)
    # Half of 0.2 % is 10 bps, 20 ticks: the fair value is 19,980 or 20,020, and 7.5 bps of that
    # is 14.985 or 15.015.
    assert (prices(long, Side.BUY)[0], prices(long, Side.SELL)[0]) == (19_965, 20_000)
    assert (prices(short, Side.BUY)[0], prices(short, Side.SELL)[0]) == (20_000, 20_036)
    assert [long.skew_bps, short.skew_bps] == [Decimal(10), Decimal(-10)]
    # The ask of the long side would be 19,994.985, but may not take the bid of 19,999.
    unbound = decide(replace(NOW, inventory=CAP_LOTS // 2, best_bid=19_900), SAMPLE, SOL)
    assert prices(unbound, Side.SELL)[0] == 19_995


@pytest.mark.parametrize(
    ("summed", "deep", "seen"),
    [
        # Without ours the bids are 10 and 5 lots, the asks 8, 4 and 2.
        (1, 1, Depth(bid_levels=1, ask_levels=1, bid_lots=10, ask_lots=8)),
        (2, 1, Depth(bid_levels=2, ask_levels=2, bid_lots=15, ask_lots=12)),
        (1, 3, Depth(bid_levels=2, ask_levels=3, bid_lots=10, ask_lots=8)),
        (5, 2, Depth(bid_levels=2, ask_levels=3, bid_lots=15, ask_lots=14)),
    ],
)
def test_as_much_of_the_book_is_weighed_and_counted_as_asked_for(
    summed: int, deep: int, seen: Depth
) -> None:
    book = Book()
    snapshot = BookSnapshot(
        bids=[(100, 7), (99, 10), (98, 6)],
        asks=[(101, 9), (102, 4), (103, 3), (104, 2)],
        sequence=None,
        received_ns=1,
    )
    assert book.apply(snapshot) is None
    parameters = replace(SAMPLE, imbalance_levels=summed, min_book_levels=deep)
    model = QuoteModel.prepare(parameters, SOL)
    assert model.depth(book, {100: 7, 98: 1}, {101: 1, 103: 3}) == seen


@pytest.mark.parametrize("style", [QuoteStyle.SPREAD, QuoteStyle.TOUCH])
def test_other_styles_do_not_look_into_the_book(style: QuoteStyle) -> None:
    model = QuoteModel.prepare(replace(SAMPLE, style=style), SOL)
    assert model.depth(Book(), {}, {}) is None


def test_volatility_is_not_asked_for() -> None:
    assert len(decide(replace(NOW, sigma_bps=None), SAMPLE, SOL).levels) == 6


@given(imbalance_cases)
@properties
def test_prices_are_the_formula_rounded_away_from_the_market(case: Case) -> None:
    spread, skew = of_figures(case)
    fair = Fraction(case.view.mid_x2, 2) * (1 - skew)
    bids, asks = case.alone().prices()
    for level, (bid, ask) in enumerate(zip(bids, asks, strict=True)):
        distance = fair * spread * (level + 1) / 2
        assert bid == floor(fair - distance)
        assert ask == max(ceil(fair + distance), bids[0] + 1)


@given(imbalance_cases)
@properties
def test_the_spread_stays_between_its_bounds(case: Case) -> None:
    spread_bps = case.target.spread_bps
    assert spread_bps is not None
    assert case.parameters.min_spread_bps <= spread_bps <= case.parameters.max_spread_bps


@given(imbalance_cases, st.lists(st.integers(0, 1_000), min_size=2, max_size=8))
@properties
def test_a_more_lopsided_book_is_never_quoted_narrower(case: Case, tilts: list[int]) -> None:
    for sign in (1, -1):
        spreads = [
            weighed(case, 1_000 + sign * tilt, 1_000 - sign * tilt).target.spread_bps
            for tilt in sorted(tilts)
        ]
        assert all(a is not None and b is not None and a <= b for a, b in pairwise(spreads))


@given(imbalance_cases, st.integers(0, 10**6), st.integers(1, 10**6))
@properties
def test_which_side_is_heavier_does_not_matter(case: Case, one: int, other: int) -> None:
    assert weighed(case, one, other).prices() == weighed(case, other, one).prices()


@given(imbalance_cases, st.integers(1, 10**6))
@properties
def test_flat_and_balanced_quotes_are_symmetric_around_the_mid(case: Case, lots: int) -> None:
    bids, asks = weighed(case.alone().holding(0), lots, lots).prices()
    mirrored = [case.view.mid_x2 - bid for bid in bids]
    # Two sides nearer than a tick are kept apart by moving the ask.
    assert asks == [max(price, bids[0] + 1) for price in mirrored]


@given(imbalance_cases, st.integers(1, 4_000))
@properties
def test_long_leans_both_sides_down_and_short_both_up(case: Case, size: int) -> None:
    skew_bps = case.holding(size).target.skew_bps
    assert skew_bps >= 0
    assert case.holding(-size).target.skew_bps <= 0
    shift = skew_bps * case.view.mid_x2 / 20_000
    for flat, long, short in zip(
        *(case.alone().holding(held).prices() for held in (0, size, -size)), strict=True
    ):
        assert all(a <= b <= c for a, b, c in zip(long, flat, short, strict=True))
        # A bid moves by its share of the fair value's move: here nine tenths of it at the least.
        if shift >= 2:
            assert all(a < b < c for a, b, c in zip(long, flat, short, strict=True))


@given(imbalance_cases)
@properties
def test_the_dead_band_is_dead_and_ends_where_it_says(case: Case) -> None:
    flat = case.holding(0)
    band = Fraction(case.parameters.skew_dead_band)
    if abs(case.share) <= band:
        assert case.prices() == flat.prices()
        assert case.target.skew_bps == 0
    elif case.parameters.skew_factor > 0:
        assert case.target.skew_bps * case.view.inventory > 0


def test_exactly_the_dead_band_moves_nothing_and_a_lot_more_does() -> None:
    edge = CAP_LOTS // 20
    for sign in (1, -1):
        assert decide(replace(NOW, inventory=sign * edge), SAMPLE, SOL).skew_bps == 0
        assert decide(replace(NOW, inventory=sign * (edge + 1)), SAMPLE, SOL).skew_bps != 0


@given(imbalance_cases)
@properties
def test_beyond_the_cap_quotes_lean_no_further(case: Case) -> None:
    at_cap, beyond = case.holding(case.cap_lots), case.holding(3 * case.cap_lots)
    assert at_cap.prices() == beyond.prices()


@given(imbalance_cases)
@properties
def test_sizes_stay_inside_the_room_and_the_worth_asked_for(case: Case) -> None:
    worths = case.parameters.level_worths
    for side in Side:
        levels = side_of(case.target, side)
        room = case.cap_lots - side.sign * case.view.inventory
        assert sum(level.lots for level in levels) <= max(0, room)
        for level in levels:
            worth = case.instrument.notional(level.price, level.lots)
            assert worth <= worths[level.slot.level]


@given(imbalance_cases)
@properties
def test_no_quote_takes_whatever_the_skew(case: Case) -> None:
    view = case.view
    strong = replace(case, parameters=replace(case.parameters, skew_factor=Decimal("0.1")))
    for held in (-case.cap_lots, case.cap_lots):
        bids, asks = strong.holding(held).prices()
        assert max(bids) < min(view.best_ask, *asks)
        assert min(asks) > view.best_bid


@pytest.mark.parametrize(
    ("sizing", "lots"),
    [
        (Sizing.FIXED, [500, 500, 501]),
        # 10 % of 5,000 is 500: 2.5018, 2.5037 and 2.5056.
        (Sizing.PERCENTAGE, [2_501, 2_503, 2_505]),
        # 2,500, 1,500 and 1,000.
        (Sizing.TIERED, [12_509, 7_511, 5_011]),
    ],
)
def test_sizes_by_sizing(sizing: Sizing, lots: list[int]) -> None:
    target = decide(NOW, replace(SAMPLE, sizing=sizing), SOL)
    assert [level.lots for level in side_of(target, Side.BUY)][:2] == lots[:2]
    # Three tiers of the whole cap are a little more than the cap in lots, bought below the mid.
    room = CAP_LOTS - sum(lots[:2])
    assert side_of(target, Side.BUY)[2].lots == min(lots[2], room)


def test_a_level_under_the_minimum_is_skipped_and_said() -> None:
    tiers = (Decimal("0.5"), Decimal("0.0001"), Decimal("0.2"))
    target = decide(NOW, replace(SAMPLE, sizing=Sizing.TIERED, level_tiers=tiers), SOL)
    assert [level.slot.level for level in side_of(target, Side.BUY)] == [0, 2]
    assert target.reason == "buy 1: under minimum size; sell 1: under minimum size"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"depth": None}, "book: depth not known"),
        (
            {"depth": replace(EVEN, bid_levels=1)},
            "book: 1 bid levels of others, under min_book_levels 2",
        ),
        (
            {"depth": replace(EVEN, ask_levels=0, ask_lots=0)},
            "book: 0 ask levels of others, under min_book_levels 2",
        ),
        ({"best_bid": 20_001}, "book: crossed"),
        ({"best_bid": 20_002}, "book: crossed"),
        (
            {"best_bid": 19_499, "best_ask": 20_501},
            "book: 501.0 bps wide, over max_book_spread_bps 500",
        ),
    ],
)
def test_an_unfit_book_is_not_quoted_and_the_reason_says_which_check_failed(
    changes: dict[str, object], reason: str
) -> None:
    target = decide(replace(NOW, **changes), SAMPLE, SOL)  # type: ignore[arg-type]
    assert (target.levels, target.reason) == ((), reason)


def test_a_book_exactly_at_its_limits_is_fit() -> None:
    depth = replace(EVEN, bid_levels=2, ask_levels=2)
    edge = replace(NOW, best_bid=19_500, best_ask=20_500, depth=depth)
    assert len(decide(edge, SAMPLE, SOL).levels) == 6
