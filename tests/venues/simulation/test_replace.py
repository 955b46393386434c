import pytest

from desk.orders import RejectReason
from tests.venues.simulation.exchange import BUY, SELL, SYMBOL, Exchange, ask, exchange
from venues.simulation.orders import (
    CancelScope,
    OnReject,
    OrderRequest,
    OrderSource,
    RejectMode,
)
from venues.simulation.rules import EngineRules


def quote(side: object, price: int, lots: int, **more: object) -> OrderRequest:
    return ask(side, price, lots, source=OrderSource.QUOTE, post_only=True, **more)  # type: ignore[arg-type]


def prices(x: Exchange, account: str = "ann") -> list[int]:
    return [order.price for order in x.engine.open_orders(account)]


def test_the_new_ladder_may_stand_where_the_old_one_did() -> None:
    x = exchange()
    x.engine.replace("ann", SYMBOL, [quote(BUY, 990, 1), quote(SELL, 1000, 1)], tag="one")
    report = x.engine.replace("ann", SYMBOL, [quote(BUY, 1005, 1), quote(SELL, 1010, 1)])
    assert report.accepted
    assert len(report.cancelled_ids) == 2
    assert prices(x) == [1005, 1010]


def test_quotes_only_leaves_other_orders_alone() -> None:
    x = exchange()
    x.order("ann", BUY, 900, 1)
    x.engine.replace("ann", SYMBOL, [quote(BUY, 990, 1)])
    x.engine.replace("ann", SYMBOL, [quote(BUY, 991, 1)])
    assert prices(x) == [900, 991]
    x.engine.replace("ann", SYMBOL, [], cancel_scope=CancelScope.ALL_ON_MARKET)
    assert prices(x) == []


def test_keep_adds_to_the_ladder() -> None:
    x = exchange()
    x.engine.replace("ann", SYMBOL, [quote(BUY, 990, 1)])
    x.engine.replace("ann", SYMBOL, [quote(BUY, 991, 1)], keep=True)
    assert prices(x) == [990, 991]


@pytest.mark.parametrize(
    ("mode", "on_reject", "after"),
    [
        (RejectMode.PER_LEVEL, OnReject.KEEP_OLD, [991]),
        (RejectMode.BATCH, OnReject.KEEP_OLD, [990]),
        (RejectMode.BATCH, OnReject.CANCEL_OLD, []),
    ],
)
def test_one_bad_level_refuses_itself_or_the_ladder(
    mode: RejectMode, on_reject: OnReject, after: list[int]
) -> None:
    x = exchange()
    x.order("bob", SELL, 1000, 1)
    x.engine.replace("ann", SYMBOL, [quote(BUY, 990, 1)])
    report = x.engine.replace(
        "ann",
        SYMBOL,
        [quote(BUY, 991, 1), quote(BUY, 1000, 1)],
        reject_mode=mode,
        on_reject=on_reject,
    )
    assert prices(x) == after
    assert report.reports[1].reason is RejectReason.POST_ONLY
    if mode is RejectMode.BATCH:
        assert report.reports[0].reason is RejectReason.OTHER


def test_a_kept_ladder_keeps_its_place_in_the_queue() -> None:
    x = exchange()
    x.engine.replace("ann", SYMBOL, [quote(SELL, 1000, 1)])
    x.order("bob", SELL, 1000, 1)
    refused = x.engine.replace("ann", SYMBOL, [quote(SELL, 1000, 0)])
    assert not refused.accepted
    x.order("cat", BUY, 1000, 1)
    assert x.engine.position("ann", SYMBOL).lots == -1


def test_a_replaced_order_goes_to_the_back_of_the_queue() -> None:
    x = exchange()
    x.engine.replace("ann", SYMBOL, [quote(SELL, 1000, 1)])
    x.order("bob", SELL, 1000, 1)
    x.engine.replace("ann", SYMBOL, [quote(SELL, 1000, 1)])
    x.order("cat", BUY, 1000, 1)
    assert x.engine.position("bob", SYMBOL).lots == -1


def test_a_ladder_that_crosses_itself_is_caught() -> None:
    x = exchange()
    report = x.engine.replace("ann", SYMBOL, [quote(SELL, 1000, 1), quote(BUY, 1001, 1)])
    assert [each.accepted for each in report.reports] == [True, False]
    twice = [quote(BUY, 900, 1, client_order_id="x"), quote(BUY, 901, 1, client_order_id="x")]
    report = x.engine.replace("ann", SYMBOL, twice)
    assert report.reports[1].reason is RejectReason.DUPLICATE


@pytest.mark.parametrize(("after_release", "accepted"), [(True, True), (False, False)])
def test_margin_of_the_old_ladder_is_free_for_the_new_one_if_the_venue_says_so(
    after_release: bool, accepted: bool
) -> None:
    x = exchange(collateral=1, rules=EngineRules(margin_after_release=after_release))
    assert x.engine.replace("ann", SYMBOL, [quote(BUY, 1000, 90)]).accepted
    report = x.engine.replace("ann", SYMBOL, [quote(BUY, 999, 90)])
    assert report.accepted is accepted
    assert prices(x) == [999 if accepted else 1000]


def test_levels_of_one_ladder_share_the_margin() -> None:
    x = exchange(collateral=1)
    report = x.engine.replace(
        "ann", SYMBOL, [quote(BUY, 990, 60), quote(BUY, 980, 60), quote(SELL, 1010, 60)]
    )
    assert [each.reason for each in report.reports] == [None, RejectReason.MARGIN, None]


def test_a_level_for_another_market_is_invalid_and_a_taking_level_trades() -> None:
    x = exchange()
    x.order("bob", SELL, 1000, 1)
    stray = OrderRequest(symbol="ELSE", side=BUY, price=1, lots=1)
    report = x.engine.replace("ann", SYMBOL, [ask(BUY, 1000, 2), stray])
    assert report.reports[0].filled == 1
    assert report.reports[1].reason is RejectReason.INVALID
