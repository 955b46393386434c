"""Legs that vanish or fill in part: only the crowd gives way, and it is on record."""

from decimal import Decimal
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from desk.units import Side
from tests.venues.simulation.exchange import BUY, SELL, SYMBOL, Exchange, TimeInForce, ask, exchange
from venues.simulation.faults import Fault, FaultKind, FaultPlan, Site
from venues.simulation.leg_faults import arrive
from venues.simulation.orders import OrderKind, OrderReport

HOUSE = "crowd"
IOC = TimeInForce.IOC


def staged(*faults: Fault) -> tuple[Exchange, FaultPlan]:
    x = exchange()
    x.engine.open_account(HOUSE, Decimal(0), house=True)
    plan = FaultPlan(x.clock, Random(1))
    for fault in faults:
        plan.add(fault)
    x.engine.set_levels(HOUSE, SYMBOL, [(SELL, 1000, 10), (SELL, 1001, 20), (BUY, 990, 15)])
    return x, plan


def send(
    x: Exchange, plan: FaultPlan, side: Side, price: int | None, lots: int, **more: object
) -> OrderReport:
    given = {"time_in_force": IOC, **more}
    if price is None:
        given["kind"] = OrderKind.MARKET
    request = ask(side, price, lots, **given)
    arrive(x.engine, plan, Site(), "ann", request)
    return x.engine.submit("ann", request)


def left(x: Exchange) -> list[tuple[int, int, str]]:
    return [
        (one["lots"], one["left"], one["cause"])
        for one in x.engine.events()
        if one["event"] == "CrowdLeft"
    ]


def test_a_leg_vanishes_once_and_only_within_the_limit() -> None:
    x, plan = staged(Fault(kind=FaultKind.LEG_VANISHES, market=SYMBOL))
    assert send(x, plan, BUY, 1000, 5, client_order_id="c1").filled == 0
    assert x.engine.book(SYMBOL)[1] == [(1001, 20)]
    assert left(x) == [(10, 0, "leg_vanishes")]
    assert send(x, plan, BUY, 1001, 5).filled == 5
    (told,) = [one for one in x.engine.events() if one["event"] == "CrowdLeft"]
    assert (told["account"], told["client_order_id"], told["side"]) == ("ann", "c1", "sell")


def test_a_leg_can_vanish_for_good_and_for_one_side_only() -> None:
    fault = Fault(kind=FaultKind.LEG_VANISHES, side=BUY, count=None)
    x, plan = staged(fault)
    for _ in range(3):
        x.engine.set_levels(HOUSE, SYMBOL, [(SELL, 1000, 10)])
        assert send(x, plan, BUY, 1000, 5).filled == 0
    assert send(x, plan, SELL, 990, 5).filled == 5
    assert len(left(x)) == 3


def test_an_order_that_may_rest_meets_nothing_and_another_market_neither() -> None:
    x, plan = staged(Fault(kind=FaultKind.LEG_VANISHES, market="ELSEWHERE"))
    assert send(x, plan, BUY, 1000, 5).filled == 5
    x, plan = staged(Fault(kind=FaultKind.LEG_VANISHES))
    assert send(x, plan, BUY, 1000, 5, time_in_force=TimeInForce.GTC).filled == 5
    assert send(x, plan, BUY, None, 5).filled == 0
    assert left(x) == [(25, 0, "leg_vanishes")]


def test_a_leg_fills_in_part_and_the_share_is_of_the_order() -> None:
    x, plan = staged(Fault(kind=FaultKind.LEG_FILLS_IN_PART, fraction=0.3))
    report = send(x, plan, BUY, 1001, 20)
    assert (report.filled, report.remaining) == (6, 0)
    assert left(x) == [(24, 6, "leg_fills_in_part")]


@given(
    fraction=st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]),
    lots=st.integers(1, 60),
    theirs=st.lists(st.tuples(st.integers(1000, 1003), st.integers(1, 20)), max_size=3),
    limit=st.integers(999, 1003),
)
def test_customers_never_give_way_and_the_crowd_never_leaves_more_than_the_share(
    fraction: float, lots: int, theirs: list[tuple[int, int]], limit: int
) -> None:
    x, plan = staged(Fault(kind=FaultKind.LEG_FILLS_IN_PART, fraction=fraction))
    for price, size in theirs:
        x.order("bob", SELL, price, size)
    reachable = sum(size for price, size in theirs if price <= limit)
    before = sum(size for price, size in x.engine.book(SYMBOL)[1] if price <= limit)
    report = send(x, plan, BUY, limit, lots)
    share = round(lots * fraction)
    assert report.filled == min(lots, before, max(share, reachable))
    resting = sum(one.remaining for one in x.engine.open_orders("bob"))
    sold = sum(trade.lots for trade in x.engine.trades("bob"))
    assert resting + sold == sum(size for _, size in theirs)
