"""Properties of sizing, against a slow and plain count of the same thing."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from desk.arbitrage.freshness import LegBook
from desk.arbitrage.outcomes import OutcomeModel
from desk.arbitrage.rules import ArbitrageRules
from desk.arbitrage.sets import OutcomeSet
from desk.arbitrage.verdicts import Opportunity, PlannedLeg
from desk.units import BPS, Level, Lots, Side
from tests.desk.arbitrage.samples import NOW, RULES, outcomes, seen

LOTS = [Decimal(1), Decimal(2), Decimal("0.5"), Decimal(3)]


@st.composite
def ladders(draw: st.DrawFn) -> tuple[list[Level], list[Level]]:
    """Bids below asks, in cents of a price."""
    prices = draw(st.lists(st.integers(1, 60), min_size=2, max_size=8, unique=True))
    prices.sort()
    cut = draw(st.integers(0, len(prices) - 1))
    sizes = st.integers(1, 20)
    bids = [(price, draw(sizes)) for price in reversed(prices[:cut])]
    return bids, [(price, draw(sizes)) for price in prices[cut:]]


@st.composite
def cases(draw: st.DrawFn) -> tuple[OutcomeSet, ArbitrageRules, list[LegBook]]:
    count = draw(st.integers(2, 4))
    same = draw(st.sampled_from(LOTS))
    mixed = draw(st.booleans())
    fees = st.decimals(-50, 300, places=1)
    one = outcomes(
        *(
            {
                "lot_size": draw(st.sampled_from(LOTS)) if mixed else same,
                "taker_fee_bps": draw(fees),
                "min_lots": draw(st.integers(1, 3)),
            }
            for _ in range(count)
        )
    )
    rules = replace(
        RULES,
        min_edge=draw(st.decimals(0, "0.05", places=3)),
        slippage_bps=draw(st.decimals(0, 600, places=0)),
        fast_slippage_bps=draw(st.decimals(0, 900, places=0)),
        settlement_cost=draw(st.decimals(0, "0.02", places=3)),
        max_units=Decimal(draw(st.integers(1, 60))),
        max_capital=Decimal(draw(st.integers(1, 60))),
        max_exposure=Decimal(draw(st.integers(1, 30))),
        depth=draw(st.integers(1, 8)),
    )
    books = [seen(*draw(ladders())) for _ in one.legs]
    return one, rules, books


def uncapped(rules: ArbitrageRules) -> ArbitrageRules:
    much = Decimal(10**9)
    return replace(rules, max_units=much, max_capital=much, max_exposure=much)


def price_of_lot(levels: tuple[Level, ...], number: Lots) -> int | None:
    """Price of the `number`-th lot, counted one by one."""
    for price, lots in levels:
        number -= lots
        if number <= 0:
            return price
    return None


def edge_of_step(
    one: OutcomeSet, rules: ArbitrageRules, books: list[LegBook], units: Fraction, step: int
) -> Fraction | None:
    """What the last unit of a step brings at worst; None where a leg has not so much."""
    left = 1 - Fraction(rules.settlement_cost)
    slippage = Fraction(rules.slippage_bps) / 10_000
    for leg, each in zip(one.legs, books, strict=True):
        lots = units * step / Fraction(leg.instrument.lot_size)
        assert lots.denominator == 1
        price = price_of_lot(each.book.levels(Side.SELL, rules.depth), int(lots))
        if price is None:
            return None
        fee = Fraction(leg.instrument.taker_fee_bps) / 10_000
        left -= Fraction(price, 100) * (1 + slippage) * (1 + fee)
    return left


def smallest_step(one: OutcomeSet) -> Fraction:
    units = Fraction(1, 2)
    while any((units / Fraction(leg.instrument.lot_size)).denominator > 1 for leg in one.legs):
        units += Fraction(1, 2)
    return units


@given(cases())
def test_every_unit_that_pays_is_taken_and_no_other(
    case: tuple[OutcomeSet, ArbitrageRules, list[LegBook]],
) -> None:
    one, rules, books = case
    rules = uncapped(rules)
    one = replace(
        one, legs=tuple(replace(x, instrument=replace(x.instrument, min_lots=1)) for x in one.legs)
    )
    units, steps = smallest_step(one), 0
    while True:
        edge = edge_of_step(one, rules, books, units, steps + 1)
        if edge is None or edge < Fraction(rules.min_edge):
            break
        steps += 1
    found = OutcomeModel.prepare(one, rules).evaluate(books, now_ns=NOW)
    assert isinstance(found, Opportunity) == (steps > 0)
    if isinstance(found, Opportunity):
        assert Fraction(found.units) == units * steps


def paid(leg: PlannedLeg, one: OutcomeSet, lots: Lots, price: int) -> Decimal:
    instrument = next(x.instrument for x in one.legs if x.market == leg.market)
    worth = instrument.notional(price, lots)
    return worth + worth * instrument.taker_fee_bps / BPS


@given(cases())
def test_a_taken_set_holds_what_it_promises(
    case: tuple[OutcomeSet, ArbitrageRules, list[LegBook]],
) -> None:
    one, rules, books = case
    found = OutcomeModel.prepare(one, rules).evaluate(books, now_ns=NOW)
    if not isinstance(found, Opportunity):
        return
    payout = found.units * (1 - rules.settlement_cost)
    for leg, own, each in zip(found.legs, one.legs, books, strict=True):
        instrument = own.instrument
        assert instrument.quantity(leg.lots) == found.units
        assert leg.lots >= instrument.min_lots
        within = [x for x in each.book.levels(Side.SELL) if x[0] <= leg.limit]
        assert sum(lots for _, lots in within) >= leg.shown >= leg.lots
    at_limit = sum(paid(leg, one, leg.lots, leg.limit) for leg in found.legs)
    shown = sum((leg.cost + leg.fee for leg in found.legs), Decimal(0))
    assert found.gain == payout - shown
    assert payout - at_limit == found.edge * found.units
    assert found.gain >= found.edge * found.units
    assert found.edge >= rules.min_edge
    assert found.units <= rules.max_units
    assert found.capital <= rules.max_capital
    assert found.capital >= max(at_limit, shown)
    assert 0 <= found.exposure <= rules.max_exposure


@given(cases(), st.data())
def test_no_half_filled_set_loses_more_than_was_counted(
    case: tuple[OutcomeSet, ArbitrageRules, list[LegBook]], data: st.DataObject
) -> None:
    one, rules, books = case
    found = OutcomeModel.prepare(one, rules).evaluate(books, now_ns=NOW)
    if not isinstance(found, Opportunity):
        return
    worst = Fraction(0)
    for count in range(1, len(found.legs)):
        for some in combinations(range(len(found.legs)), count):
            lots = {i: data.draw(st.sampled_from([found.legs[i].lots, 1])) for i in some}
            total = sum((lost(one, rules, books, found, i, lots[i]) for i in some), Fraction(0))
            worst = max(worst, total)
    whole = {i: leg.lots for i, leg in enumerate(found.legs)}
    full = max(
        sum(lost(one, rules, books, found, i, whole[i]) for i in some)
        for count in range(1, len(found.legs))
        for some in combinations(range(len(found.legs)), count)
    )
    assert worst <= Fraction(found.exposure)
    assert max(full, Fraction(0)) == Fraction(found.exposure)


def lost(
    one: OutcomeSet,
    rules: ArbitrageRules,
    books: list[LegBook],
    found: Opportunity,
    index: int,
    lots: Lots,
) -> Fraction:
    """Bought at the limit, sold back lot by lot at the budget below the bids."""
    instrument, leg = one.legs[index].instrument, found.legs[index]
    bids = books[index].book.levels(Side.BUY, rules.depth)
    got = sum(price_of_lot(bids, number) or 0 for number in range(1, lots + 1))
    back = Fraction(got) * (1 - Fraction(rules.worst_bps) / 10_000)
    fee = Fraction(instrument.taker_fee_bps) / 10_000
    unit = Fraction(instrument.tick_size * instrument.lot_size)
    return unit * (leg.limit * lots * (1 + fee) - back * (1 - fee))
