"""One outcome set: the edge to the last lot, and every bound on the size."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from desk.arbitrage.freshness import LegBook
from desk.arbitrage.outcomes import OutcomeModel
from desk.arbitrage.rules import ArbitrageRules
from desk.arbitrage.sets import OutcomeSet
from desk.arbitrage.verdicts import Aim, Opportunity, Passed, PassReason, Verdict
from desk.flattening import Regime
from desk.units import NS_PER_MS, Side
from tests.desk.arbitrage.samples import NOW, RULES, asked, outcomes, seen

THREE = outcomes()


def look(
    books: list[LegBook], one: OutcomeSet = THREE, rules: ArbitrageRules = RULES, **more: Any
) -> Verdict:
    return OutcomeModel.prepare(one, rules).evaluate(books, now_ns=NOW, **more)


def taken(*arguments: Any, **more: Any) -> Opportunity:
    found = look(*arguments, **more)
    assert isinstance(found, Opportunity), found
    return found


def passed(*arguments: Any, **more: Any) -> Passed:
    found = look(*arguments, **more)
    assert isinstance(found, Passed), found
    assert found.sentence.startswith("E: ")
    return found


def test_asks_that_sum_below_one_are_bought_whole() -> None:
    found = taken(asked([(30, 10)], [(31, 12)], [(32, 20)]))
    assert (found.name, found.aim, found.currency) == ("E", Aim.TAKE, "USDC")
    assert found.units == 10
    assert found.edge == Decimal("0.07")
    assert found.gain == Decimal("0.70")
    assert found.capital == Decimal("9.30")
    assert [(leg.side, leg.lots, leg.limit, leg.shown) for leg in found.legs] == [
        (Side.BUY, 10, 30, 10),
        (Side.BUY, 10, 31, 12),
        (Side.BUY, 10, 32, 20),
    ]
    assert [leg.cost for leg in found.legs] == [Decimal(3), Decimal("3.1"), Decimal("3.2")]


@pytest.mark.parametrize(("third", "edge"), [(39, True), (40, False)])
def test_an_edge_of_exactly_the_least_is_taken(third: int, edge: bool) -> None:
    found = look(asked([(30, 10)], [(30, 10)], [(third, 10)]))
    assert isinstance(found, Opportunity) == edge
    if isinstance(found, Passed):
        assert found.reason is PassReason.NO_EDGE
        assert "brings 0.000000 after costs, below 0.01" in found.sentence


def test_depth_is_walked_while_the_last_unit_still_pays() -> None:
    found = taken(asked([(30, 4), (31, 4), (40, 9)], [(30, 7), (38, 2)], [(30, 100)]))
    # 4 units at 0.90, 3 at 0.91, 1 at 0.99; the next would cost 1.08.
    assert found.units == 8
    assert [leg.limit for leg in found.legs] == [31, 38, 30]
    assert found.edge == Decimal("0.01")
    assert found.gain == Decimal(4) * Decimal("0.1") + 3 * Decimal("0.09") + Decimal("0.01")
    assert [leg.shown for leg in found.legs] == [8, 9, 100]


def test_fees_of_each_leg_are_in_the_edge() -> None:
    fee = {"taker_fee_bps": Decimal(200)}
    found = taken(asked([(30, 10)], [(30, 10)], [(30, 10)]), outcomes(fee, {}, {}))
    assert found.edge == Decimal("0.094")
    assert [leg.fee for leg in found.legs] == [Decimal("0.06"), 0, 0]
    assert found.gain == Decimal("0.94")
    assert found.legs[0].locks == Decimal("3.06")
    costly = passed(asked([(33, 10)], [(33, 10)], [(32, 10)]), outcomes(fee, fee, fee))
    assert costly.reason is PassReason.NO_EDGE


def test_a_rebate_counts_in_the_edge_and_not_in_the_capital() -> None:
    rebate = {"taker_fee_bps": Decimal(-100)}
    found = taken(asked([(33, 10)], [(33, 10)], [(34, 10)]), outcomes(rebate, rebate, rebate))
    assert found.edge == Decimal("0.01")
    assert found.capital == Decimal(10)


def test_the_slippage_budget_is_spent_before_an_edge_is_one() -> None:
    rules = replace(RULES, slippage_bps=Decimal(1_000), fast_slippage_bps=Decimal(2_000))
    books = asked([(20, 10)], [(30, 10)], [(30, 10)])
    found = taken(books, rules=rules)
    assert [leg.limit for leg in found.legs] == [22, 33, 33]
    assert found.edge == Decimal("0.12")
    assert found.gain == Decimal(2)
    assert found.capital == Decimal("8.8")
    fast = taken(books, rules=rules, regime=Regime.FAST)
    assert [leg.limit for leg in fast.legs] == [24, 36, 36]
    thin = asked([(30, 10)], [(30, 10)], [(30, 10)])
    assert taken(thin, rules=rules).edge == Decimal("0.01")
    assert passed(thin, rules=rules, regime=Regime.FAST).reason is PassReason.NO_EDGE


def test_the_payout_may_cost_something() -> None:
    books = asked([(30, 10)], [(30, 10)], [(38, 10)])
    assert taken(books).edge == Decimal("0.02")
    costly = replace(RULES, settlement_cost=Decimal("0.015"))
    assert passed(books, rules=costly).reason is PassReason.NO_EDGE


def test_lot_sizes_meet_at_their_common_multiple() -> None:
    one = outcomes({"lot_size": Decimal(2)}, {"lot_size": Decimal(3)}, {"lot_size": Decimal("0.5")})
    found = taken(asked([(30, 10)], [(30, 5)], [(30, 100)]), one)
    assert found.units == 12
    assert [leg.lots for leg in found.legs] == [6, 4, 24]
    small = passed(asked([(30, 2)], [(30, 5)], [(30, 100)]), one)
    assert small.reason is PassReason.TOO_SMALL
    assert "a whole lot on every leg is 6" in small.sentence


@pytest.mark.parametrize(
    ("changes", "enough"),
    [
        ({"min_lots": 10}, True),
        ({"min_lots": 11}, False),
        ({"min_notional": Decimal(3)}, True),
        ({"min_notional": Decimal("3.01")}, False),
    ],
)
def test_minimums_of_each_venue_hold(changes: dict[str, Any], enough: bool) -> None:
    found = look(asked([(30, 10)], [(30, 10)], [(30, 10)]), outcomes({}, changes, {}))
    assert isinstance(found, Opportunity) == enough
    if isinstance(found, Passed):
        assert found.reason is PassReason.TOO_SMALL
        assert "ocx/main/E-1 takes" in found.sentence


def test_levels_outside_the_band_cannot_be_taken() -> None:
    one = outcomes({"band_high": 31}, {}, {})
    books = asked([(30, 4), (31, 4), (32, 4)], [(30, 20)], [(30, 20)])
    found = taken(books, one, replace(RULES, slippage_bps=Decimal(500)))
    assert (found.units, found.legs[0].limit) == (Decimal(8), 31)
    none = passed(asked([(32, 4)], [(30, 20)], [(30, 20)]), one)
    assert none.reason is PassReason.NO_SIDE
    assert "ocx/main/E-0 shows no asks" in none.sentence


@pytest.mark.parametrize(
    ("rules", "units"),
    [
        ({"max_units": Decimal("7.9")}, 7),
        ({"max_capital": Decimal("4.5")}, 5),
        ({"max_capital": Decimal("4.49")}, 4),
        ({"max_units": Decimal(10)}, 10),
    ],
)
def test_caps_make_it_smaller(rules: dict[str, Any], units: int) -> None:
    found = taken(asked([(30, 10)], [(30, 10)], [(30, 10)]), rules=replace(RULES, **rules))
    assert found.units == units


@pytest.mark.parametrize("rules", [{"max_units": Decimal("0.9")}, {"max_capital": Decimal("0.8")}])
def test_caps_that_leave_nothing_say_so(rules: dict[str, Any]) -> None:
    books = asked([(30, 10)], [(30, 10)], [(30, 10)])
    found = passed(books, rules=replace(RULES, **rules))
    assert found.reason is PassReason.CAPPED
    assert next(iter(rules)) in found.sentence


def test_the_worst_half_filled_case_is_counted_and_capped() -> None:
    books = [seen([(bid, 100)], [(30, 10)]) for bid in (29, 27, 24)]
    rules = replace(RULES, fast_slippage_bps=Decimal(0))
    # Legs lose 1, 3 and 6 cents a unit when sold back; two of them can be stranded.
    assert taken(books, rules=rules).exposure == 10 * Decimal("0.09")
    assert taken(books, rules=replace(rules, max_exposure=Decimal("0.45"))).units == 5
    none = passed(books, rules=replace(rules, max_exposure=Decimal("0.08")))
    assert none.reason is PassReason.EXPOSURE


def test_what_nobody_bids_for_is_lost_whole() -> None:
    books = [seen([(29, 4)], [(30, 10)]), seen([], [(30, 10)]), seen([(30 - 1, 100)], [(30, 10)])]
    found = taken(books)
    # Leg 0: 3.00 paid, 4 units sold at 0.29. Leg 1: all of 3.00. Leg 2 loses least and is spared.
    assert found.exposure == Decimal("1.84") + Decimal("3.00")


def test_trading_back_is_counted_with_the_larger_budget() -> None:
    rules = replace(RULES, fast_slippage_bps=Decimal(1_000))
    books = [seen([(20, 100)], [(30, 1)]) for _ in range(3)]
    assert taken(books, rules=rules).exposure == 2 * (Decimal("0.30") - Decimal("0.18"))


@pytest.mark.parametrize(("skew_ms", "units"), [(250, 10), (300, 8), (375, 5), (499, 0)])
def test_skew_of_the_legs_takes_from_the_size(skew_ms: int, units: int) -> None:
    books = asked([(30, 10)], [(30, 10)])
    books.append(seen([(1, 1)], [(30, 10)], NOW - skew_ms * NS_PER_MS))
    found = look(books)
    if units:
        assert isinstance(found, Opportunity)
        assert (found.units, found.skew_ns) == (Decimal(units), skew_ms * NS_PER_MS)
    else:
        assert isinstance(found, Passed)
        assert found.reason is PassReason.SKEWED


def test_a_stale_leg_and_an_empty_side_are_passed() -> None:
    old = seen([(1, 1)], [(30, 10)], NOW - 6_000 * NS_PER_MS)
    assert passed([*asked([(30, 10)], [(30, 10)]), old]).reason is PassReason.STALE_LEG
    bare = seen([(1, 1)], [])
    assert passed([*asked([(30, 10)], [(30, 10)]), bare]).reason is PassReason.NO_SIDE


def bid_for(*levels: list[tuple[int, int]]) -> list[LegBook]:
    return [seen(one, [(99, 1_000_000)]) for one in levels]


def test_bids_that_sum_above_one_sell_what_is_held() -> None:
    books = bid_for([(36, 10)], [(35, 12), (34, 5)], [(34, 30)])
    found = taken(books, held=(20, 20, 20))
    assert found.aim is Aim.UNWIND
    # 10 at 1.05; the first leg shows no more.
    assert (found.units, found.edge, found.gain) == (Decimal(10), Decimal("0.05"), Decimal("0.5"))
    assert found.capital == 0
    assert [(leg.side, leg.lots, leg.limit) for leg in found.legs] == [
        (Side.SELL, 10, 36),
        (Side.SELL, 10, 35),
        (Side.SELL, 10, 34),
    ]


def test_never_more_is_sold_than_is_held_of_every_leg() -> None:
    books = bid_for([(36, 10)], [(35, 12)], [(34, 30)])
    assert taken(books, held=(20, 3, 9)).units == 3
    none = passed(books, held=(20, 0, 9))
    assert none.reason is PassReason.TOO_SMALL
    assert "0 complete units are held" in none.sentence
    assert passed(books, held=(20, -4, 9)).reason is PassReason.TOO_SMALL


def test_selling_pays_fees_and_saves_what_the_payout_would_cost() -> None:
    fee = {"taker_fee_bps": Decimal(100)}
    books = bid_for([(40, 10)], [(40, 10)], [(25, 10)])
    found = taken(books, outcomes(fee, fee, fee), held=(10, 10, 10))
    assert found.edge == Decimal("1.05") * Decimal("0.99") - 1
    saved = replace(RULES, settlement_cost=Decimal("0.02"))
    more = taken(books, outcomes(fee, fee, fee), saved, held=(10, 10, 10))
    assert more.edge == found.edge + Decimal("0.02")
    slow = replace(RULES, slippage_bps=Decimal(1_000))
    assert passed(books, rules=slow, held=(10, 10, 10)).reason is PassReason.NO_EDGE


def test_a_half_unwound_set_can_lose_what_buying_back_costs() -> None:
    books = [seen([(bid, 10)], [(50, 4)]) for bid in (40, 40, 40)]
    found = taken(books, held=(10, 10, 10))
    # Bought back: 4 at 0.50, the rest at no more than 1; sold for 4.00. Two legs of three.
    assert found.exposure == 2 * (Decimal(2) + 6 - 4)
