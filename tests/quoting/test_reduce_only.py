"""Under a kill that forbids new risk, only what reduces is shown, and never more than there is."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from desk.permit import Permit
from desk.records import Kill, KillEffect
from desk.units import NS_PER_S, Side
from quoting.actions import ClearAll, SendBatch
from quoting.inbox import Cleared
from quoting.loop import MarketLoop
from quoting.progress import LatencySamples
from tests.quoting.builders import (
    INSTRUMENT,
    account,
    book,
    change,
    fill,
    make_loop,
    permit,
    quoting_loop,
    sent,
)

SOFT = Kill(
    scope="loss:market:ocx/main/BTC-PERP",
    reason="60 lost since the start of the day",
    by="daily loss",
    at_ms=0,
    effect=KillEffect.REDUCE,
)
SAID = (
    "only reducing, by loss:market:ocx/main/BTC-PERP, set by daily loss: "
    "60 lost since the start of the day"
)


def reason(loop: MarketLoop) -> str:
    return loop.progress(LatencySamples()).reason


def cleared(loop: MarketLoop, second: int) -> None:
    loop.apply(Cleared(verified=True, attempts=1, message="", at_ns=second * NS_PER_S))


def holding(lots: int, given: Permit) -> MarketLoop:
    """A loop that holds so many lots by the venue's word and by its fills."""
    loop = make_loop(given=given)
    side = Side.BUY if lots > 0 else Side.SELL
    loop.apply(account(NS_PER_S, lots, (fill("a", side, 600_000, abs(lots)),) if lots else ()))
    loop.apply(book(NS_PER_S))
    return loop


def test_what_rests_goes_at_once_and_then_only_the_reducing_side_comes_back() -> None:
    given = permit()
    loop, batch = quoting_loop(given=given)
    lots = batch.orders[0].lots
    loop.apply(change(2 * NS_PER_S, lots, fill("a", Side.BUY, batch.orders[0].price, lots)))
    given.kills = (SOFT,)
    assert [type(one) for one in loop.decide(2 * NS_PER_S)] == [ClearAll]
    cleared(loop, 3)
    loop.apply(book(3 * NS_PER_S))
    only = sent(loop.decide(3 * NS_PER_S))
    assert {order.side for order in only.orders} == {Side.SELL}
    assert sum(order.lots for order in only.orders) == lots
    assert reason(loop) == SAID


def test_when_flat_nothing_is_shown_and_the_session_goes_on() -> None:
    given = permit()
    loop, _ = quoting_loop(given=given)
    given.kills = (SOFT,)
    assert [type(one) for one in loop.decide(2 * NS_PER_S)] == [ClearAll]
    cleared(loop, 3)
    for second in (3, 4, 5):
        loop.apply(book(second * NS_PER_S, mid=600_000 + 100 * second))
        assert loop.decide(second * NS_PER_S) == []
    assert reason(loop) == SAID


def test_both_sides_come_back_when_it_ends() -> None:
    given = replace(permit(), kills=(SOFT,))
    loop = holding(0, given)
    assert loop.decide(NS_PER_S) == []
    given.kills = ()
    assert {order.side for order in sent(loop.decide(NS_PER_S)).orders} == {Side.BUY, Side.SELL}


@given(st.integers(-60, 60))
def test_all_of_it_together_never_passes_zero(lots: int) -> None:
    loop = holding(lots, replace(permit(), kills=(SOFT,)))
    orders = [
        order
        for action in loop.decide(NS_PER_S)
        if isinstance(action, SendBatch)
        for order in action.approved.value.orders
    ]
    assert bool(orders) == bool(lots)
    assert all(order.side.sign * lots < 0 for order in orders)
    assert sum(order.lots for order in orders) == min(abs(lots), 30)


def test_what_the_fills_do_not_confirm_is_not_reduced() -> None:
    loop = make_loop(given=replace(permit(), kills=(SOFT,)))
    loop.apply(account(NS_PER_S, 40))
    loop.apply(book(NS_PER_S))
    assert loop.decide(NS_PER_S) == []


def test_what_is_under_the_venues_least_size_stays() -> None:
    least = replace(INSTRUMENT, min_notional=Decimal(300))
    loop = holding(4, replace(permit(), kills=(SOFT,)))
    loop._refusals._instrument = least
    assert loop.decide(NS_PER_S) == []
    loop = holding(6, replace(permit(), kills=(SOFT,)))
    loop._refusals._instrument = least
    assert sum(order.lots for order in sent(loop.decide(NS_PER_S)).orders) == 6
