"""One order replaced by another: both or neither, and a refusal costs nothing."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.orders import RejectReason
from tests.venues.simulation.exchange import BUY, SELL, SYMBOL, Exchange, ask, exchange
from venues.simulation.engine import Engine
from venues.simulation.orders import OrderStatus
from venues.simulation.rules import SelfTrade


def _resting(world: Exchange, account: str, price: int, lots: int = 10) -> str:
    report = world.order(account, BUY, price, lots)
    assert report.order_id is not None
    return report.order_id


def _reasons(engine: Engine) -> list[str]:
    return [one["reason"] for one in engine.events() if one["event"] == "OrderCancelled"]


def test_the_new_order_takes_the_olds_place_in_the_book_and_not_in_the_queue() -> None:
    world = exchange()
    old = _resting(world, "ann", 990)
    _resting(world, "bob", 990)
    done = world.engine.swap("ann", old, ask(BUY, 990, 10))
    assert done.report.status is OrderStatus.OPEN
    assert done.old is not None
    assert done.old.order_id == old
    assert _reasons(world.engine) == ["replaced"]
    world.order("cat", SELL, 990, 10)
    assert [one.account for one in world.engine.trades("bob")] == ["bob"]


def test_a_refusal_leaves_the_old_order_first_in_its_queue() -> None:
    world = exchange(collateral=1_000)
    old = _resting(world, "ann", 990)
    _resting(world, "bob", 990)
    done = world.engine.swap("ann", old, ask(BUY, 991, 10_000_000))
    assert (done.report.reason, done.old) == (RejectReason.MARGIN, None)
    assert _reasons(world.engine) == []
    world.order("cat", SELL, 990, 10)
    assert len(world.engine.trades("ann")) == 1


@pytest.mark.parametrize("fatal", [True, False])
def test_a_crossing_post_only_order_takes_the_old_along_only_when_that_is_fatal(
    *, fatal: bool
) -> None:
    world = exchange()
    world.order("bob", SELL, 1000, 10)
    old = _resting(world, "ann", 990)
    reasons = [RejectReason.POST_ONLY] if fatal else []
    done = world.engine.swap("ann", old, ask(BUY, 1000, 10, post_only=True), fatal=reasons)
    assert done.report.reason is RejectReason.POST_ONLY
    assert (done.old is not None) is fatal
    assert len(world.engine.open_orders("ann")) == int(not fatal)
    assert _reasons(world.engine) == (["replace_failed"] if fatal else [])


def test_only_ones_own_resting_orders_can_be_replaced() -> None:
    world = exchange()
    old = _resting(world, "ann", 990)
    with pytest.raises(KeyError):
        world.engine.swap("bob", old, ask(BUY, 990, 10))
    world.engine.cancel("ann")
    with pytest.raises(KeyError):
        world.engine.swap("ann", old, ask(BUY, 990, 10))


@given(
    st.lists(
        st.tuples(st.integers(980, 1010), st.integers(1, 30), st.booleans()),
        min_size=1,
        max_size=30,
    )
)
def test_a_chain_of_swaps_never_rests_twice_and_keeps_the_books_right(
    asked: list[tuple[int, int, bool]],
) -> None:
    world = exchange()
    for price in (1001, 1005):
        world.order("bob", SELL, price, 15)
    current: str | None = None
    for price, lots, post_only in asked:
        request = ask(BUY, price, lots, post_only=post_only)
        if current is None:
            report = world.engine.submit("ann", request)
        else:
            report = world.engine.swap("ann", current, request).report
        resting = world.engine.open_orders("ann")
        assert len(resting) <= 1
        current = resting[0].order_id if resting else None
        assert current in {None, report.order_id}
    bids, _ = world.engine.book(SYMBOL)
    assert sum(lots for _, lots in bids) == sum(
        one.remaining for one in world.engine.open_orders("ann")
    )
    held = world.engine.position("ann", SYMBOL).lots
    assert held + world.engine.position("bob", SYMBOL).lots == 0


def test_an_order_can_be_turned_away_without_being_judged() -> None:
    world = exchange()
    report = world.engine.reject(
        "ann", ask(BUY, 990, 10, client_order_id="x"), RejectReason.OTHER, "because"
    )
    assert not report.accepted
    (event,) = world.engine.events()
    assert (event["event"], event["client_order_id"], event["message"]) == (
        "OrderRejected",
        "x",
        "because",
    )


@pytest.mark.parametrize(
    ("mode", "wide", "trades"),
    [
        (SelfTrade.CANCEL_OLDEST, True, 0),
        (SelfTrade.CANCEL_OLDEST, False, 1),
        (SelfTrade.NONE, True, 1),
        (None, True, 1),
    ],
)
def test_a_takers_own_rule_can_cover_all_accounts_of_its_owner(
    mode: SelfTrade | None, *, wide: bool, trades: int
) -> None:
    world = exchange()
    for name in ("one", "two"):
        world.engine.open_account(name, Decimal(1_000_000), owner="both")
    world.order("one", SELL, 1000, 10)
    world.order("two", BUY, 1000, 10, self_trade=mode, self_trade_wide=wide)
    assert len(world.engine.trades("two")) == trades


def test_a_chosen_margin_holds_for_its_account_and_market_alone() -> None:
    world = exchange(collateral=1_000)
    world.engine.set_initial_margin("ann", SYMBOL, Decimal("0.5"))
    # 0.1 a tick, 0.001 a lot: 10,000 lots at 1,000 ticks are worth 1,000.
    assert world.order("ann", BUY, 1000, 25_000).reason is RejectReason.MARGIN
    assert world.order("bob", BUY, 1000, 25_000).accepted
    world.engine.set_initial_margin("ann", SYMBOL, None)
    assert world.order("ann", BUY, 1000, 25_000).accepted
