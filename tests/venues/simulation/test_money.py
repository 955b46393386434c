from decimal import Decimal

from desk.orders import RejectReason
from tests.venues.simulation.exchange import BUY, SELL, SYMBOL, Exchange, exchange
from venues.simulation.rules import MarkRules
from venues.simulation.views import Bucket

NO_MID = MarkRules(smoothing_ms=0, max_distance_bps=Decimal(10_000), max_spread_bps=Decimal(0))


def hold(x: Exchange, lots: int) -> None:
    """Ann goes long against Bob."""
    x.order("bob", SELL, 1000, lots)
    assert x.order("ann", BUY, 1000, lots).filled == lots


def wealth(x: Exchange) -> Decimal:
    equity = sum(
        (x.engine.balance(name).equity for name in ("ann", "bob", "cat")), start=Decimal(0)
    )
    return equity + x.engine.fees_collected + x.engine.insurance_fund


def test_margin_is_refused_with_the_amounts() -> None:
    x = exchange(collateral=1)
    report = x.order("ann", BUY, 1000, 150)
    assert report.reason is RejectReason.MARGIN
    assert {key: Decimal(value) for key, value in report.details.items()} == {
        "required": Decimal("1.5"),
        "available": Decimal(1),
    }


def test_resting_orders_bind_margin_on_the_larger_side_only() -> None:
    x = exchange(collateral=1)
    assert x.order("ann", BUY, 990, 60).accepted
    assert x.order("ann", SELL, 1010, 80).accepted
    assert x.engine.balance("ann").initial_margin == Decimal("0.8")
    assert not x.order("ann", BUY, 990, 60).accepted
    x.engine.cancel("ann")
    assert x.engine.balance("ann").available == 1


def test_an_order_that_reduces_is_taken_without_margin_to_spare() -> None:
    x = exchange(collateral=1, mark=NO_MID)
    hold(x, 90)
    x.engine.set_index(SYMBOL, Decimal(92))
    assert x.engine.balance("ann").available == 0
    assert x.order("ann", SELL, 1100, 90).accepted


def test_position_keeps_entry_and_realized_pnl() -> None:
    x = exchange()
    hold(x, 100)
    x.order("cat", BUY, 1010, 40)
    x.order("ann", SELL, 1010, 40)
    seen = x.engine.position("ann", SYMBOL)
    assert (seen.lots, seen.entry_price, seen.realized_pnl) == (60, Decimal(100), Decimal("0.04"))
    x.order("cat", BUY, 1010, 100)
    x.order("ann", SELL, 1010, 100)
    flipped = x.engine.position("ann", SYMBOL)
    assert (flipped.lots, flipped.entry_price) == (-40, Decimal(101))
    assert flipped.position_id != seen.position_id


def test_there_is_no_mark_without_a_fresh_index() -> None:
    x = exchange(mark=MarkRules(smoothing_ms=0, stale_ms=500))
    assert x.engine.mark(SYMBOL) == 100
    x.clock.pass_s(1)
    assert x.engine.mark(SYMBOL) is None
    x.engine.set_index(SYMBOL, Decimal(101))
    assert x.engine.mark(SYMBOL) == 101
    x.engine.set_index(SYMBOL, None)
    assert x.engine.mark(SYMBOL) is None


def test_the_mark_follows_a_healthy_near_book_and_smooths() -> None:
    x = exchange(mark=MarkRules(smoothing_ms=1_000))
    x.order("ann", BUY, 1001, 1)
    x.order("bob", SELL, 1003, 1)
    x.clock.pass_s(1)
    x.engine.tick()
    assert x.engine.mark(SYMBOL) == Decimal("100.1")
    x.engine.cancel("bob")
    x.order("bob", SELL, 1300, 1)
    for _ in range(200):
        x.clock.pass_s(1)
        x.engine.tick()
    assert x.engine.mark(SYMBOL) == 100


def test_funding_is_capped_and_moves_from_longs_to_shorts() -> None:
    x = exchange(mark=MarkRules(smoothing_ms=0), funding_cap_bps=Decimal(25))
    hold(x, 1_000)
    x.order("cat", BUY, 1003, 1)
    x.order("bob", SELL, 1005, 1)
    before = wealth(x), x.engine.balance("ann").collateral, x.engine.balance("bob").collateral
    for _ in range(301):
        x.clock.pass_s(1)
        x.engine.tick()
    paid = before[1] - x.engine.balance("ann").collateral
    got = x.engine.balance("bob").collateral - before[2]
    assert paid == got == Decimal(1) * Decimal("100.4") * Decimal("0.0025")
    assert wealth(x) == before[0]
    assert x.engine.funding(SYMBOL).last_rate == Decimal("0.0025")
    assert [each["account"] for each in x.engine.events() if each["event"] == "FundingPaid"] == [
        "ann",
        "bob",
    ]


def test_an_account_below_maintenance_is_closed_and_the_shortfall_insured() -> None:
    x = exchange(collateral=2, mark=NO_MID)
    x.engine.open_account("deep", Decimal(1_000_000))
    x.order("deep", SELL, 1000, 150)
    x.order("ann", BUY, 1000, 150)
    x.order("ann", BUY, 700, 1)
    x.order("deep", BUY, 800, 1_000)
    before = wealth(x) + x.engine.balance("deep").equity
    x.engine.set_index(SYMBOL, Decimal(80))
    x.engine.tick()
    assert x.engine.position("ann", SYMBOL).lots == 0
    assert x.engine.open_orders("ann") == []
    assert x.engine.balance("ann").equity == 0
    assert x.engine.insurance_fund < 1_000_000
    assert wealth(x) + x.engine.balance("deep").equity == before
    (told,) = [each for each in x.engine.events() if each["event"] == "Liquidated"]
    assert Decimal(told["shortfall"]) > 0


def test_liquidation_resumes_when_the_book_was_too_thin() -> None:
    x = exchange(collateral=2, mark=NO_MID)
    x.engine.open_account("deep", Decimal(1_000_000))
    x.order("deep", SELL, 1000, 150)
    x.order("ann", BUY, 1000, 150)
    x.engine.set_index(SYMBOL, Decimal(80))
    x.engine.tick()
    assert x.engine.position("ann", SYMBOL).lots == 150
    x.order("deep", BUY, 800, 1_000)
    x.engine.tick()
    assert x.engine.position("ann", SYMBOL).lots == 0


def test_expiry_cancels_and_settles_everybody_at_one_price() -> None:
    x = exchange(mark=NO_MID)
    hold(x, 100)
    x.order("cat", BUY, 900, 1)
    before = wealth(x)
    x.engine.set_index(SYMBOL, Decimal(105))
    x.engine.expire(SYMBOL)
    assert x.engine.position("ann", SYMBOL).realized_pnl == Decimal("0.5")
    assert x.engine.position("bob", SYMBOL).realized_pnl == Decimal("-0.5")
    assert x.engine.open_orders("cat") == []
    assert wealth(x) == before
    assert x.order("cat", BUY, 900, 1).reason is RejectReason.HALTED


def test_money_in_other_buckets_does_not_back_orders() -> None:
    x = exchange(collateral=1)
    assert (
        x.engine.treasury.move("ann", Bucket.PERPS, Bucket.WALLET, Decimal(2))
        is RejectReason.MARGIN
    )
    assert x.engine.treasury.move("ann", Bucket.PERPS, Bucket.WALLET, Decimal("0.5")) is None
    assert x.order("ann", BUY, 1000, 60).reason is RejectReason.MARGIN
    assert (
        x.engine.treasury.move("ann", Bucket.WALLET, Bucket.PERPS, Decimal(-1))
        is RejectReason.INVALID
    )
