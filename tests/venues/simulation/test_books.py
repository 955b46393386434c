"""Payments, tampering and the faults that set what a venue tells against what it holds."""

from dataclasses import dataclass, field
from decimal import Decimal
from random import Random

import pytest

from desk.orders import RejectReason
from desk.payments import PaymentKind
from tests.venues.simulation.exchange import BUY, SELL, SYMBOL, Exchange, exchange
from venues.simulation.clock import VenueClock
from venues.simulation.endpoint import told_balance, told_positions
from venues.simulation.engine import Engine
from venues.simulation.faults import Fault, FaultKind, FaultPlan, Site
from venues.simulation.untold import Untold
from venues.simulation.views import Bucket

HOUSE = "house"
RATE = Decimal("0.001")


@dataclass(slots=True)
class SmallVenue:
    """A `Stage` of one market and two customers."""

    engine: Engine
    faults: FaultPlan
    clock: VenueClock = field(init=False)

    def listed(self) -> list[str]:
        return self.engine.symbols()

    def expire(self, symbol: str) -> None:
        self.engine.expire(symbol)

    def accounts(self) -> list[str]:
        return ["ann", "bob"]


def held(lots: int = 100) -> Exchange:
    """Ann is long, Bob short; Cat is a stranger, and the house is there for tampering."""
    x = exchange()
    x.engine.open_account(HOUSE, Decimal(0), house=True)
    x.order("bob", SELL, 1000, lots)
    assert x.order("ann", BUY, 1000, lots).filled == lots
    return x


def venue(x: Exchange, *faults: Fault) -> SmallVenue:
    plan = FaultPlan(x.clock, Random(1))
    for fault in faults:
        plan.add(fault)
    return SmallVenue(engine=x.engine, faults=plan)


# --- payments ---------------------------------------------------------------------------------


def test_funding_is_one_payment_a_side_with_all_its_facts() -> None:
    x = held()
    x.engine.treasury.pay_funding(SYMBOL, RATE)
    (paid,), (got,) = (x.engine.treasury.payments(name) for name in ("ann", "bob"))
    assert paid.amount == -got.amount == -RATE * Decimal(100) * Decimal("0.1")
    assert (paid.kind, paid.symbol, paid.lots) == (PaymentKind.FUNDING, SYMBOL, 100)
    assert (paid.rate, paid.mark, got.lots) == (RATE, Decimal(100), -100)
    assert paid.position_id == x.engine.position("ann", SYMBOL).position_id
    told = [each for each in x.engine.events() if each["event"] == "FundingPaid"]
    assert [each["payment"] for each in told] == [paid.number, got.number]


def test_money_in_and_out_is_signed_and_told() -> None:
    x = held()
    before = x.engine.balance("ann").collateral
    x.engine.treasury.deposit("ann", Decimal(30))
    assert x.engine.treasury.withdraw("ann", Decimal(10)) is None
    x.engine.treasury.move("ann", Bucket.PERPS, Bucket.WALLET, Decimal(5))
    x.engine.treasury.deposit("ann", Decimal(7), Bucket.WALLET)
    payments = x.engine.treasury.payments("ann")
    assert [one.amount for one in payments] == [Decimal(30), Decimal(-10), Decimal(-5)]
    assert {one.kind for one in payments} == {PaymentKind.TRANSFER}
    assert x.engine.balance("ann").collateral == before + 15
    assert x.engine.balance("ann").wallet == 12
    told = [each for each in x.engine.events() if each["event"] == "MoneyMoved"]
    assert [Decimal(each["amount"]) for each in told] == [30, -10, -5]


@pytest.mark.parametrize("bucket", [Bucket.PERPS, Bucket.WALLET])
def test_no_more_is_paid_out_than_is_free(bucket: Bucket) -> None:
    x = exchange(collateral=10)
    x.order("ann", BUY, 1000, 900)
    treasury = x.engine.treasury
    assert treasury.withdraw("ann", Decimal(2), bucket) is RejectReason.MARGIN
    assert treasury.withdraw("ann", Decimal(0), bucket) is RejectReason.INVALID
    with pytest.raises(ValueError, match="amount"):
        treasury.deposit("ann", Decimal(-1), bucket)
    assert treasury.payments("ann") == []


def test_payments_are_read_from_a_moment_on_and_by_kind() -> None:
    x = held()
    for amount in (1, 2, 3):
        x.clock.pass_s(1)
        x.engine.treasury.deposit("ann", Decimal(amount))
        x.engine.treasury.pay_funding(SYMBOL, RATE)
    since_ms = x.clock.at_ns // 1_000_000 - 1_000
    read = x.engine.treasury.payments
    assert [one.amount for one in read("ann", since_ms, PaymentKind.TRANSFER)] == [2, 3]
    assert len(read("ann", since_ms)) == 4
    assert len(read("ann", kind=PaymentKind.FUNDING)) == 3


# --- behind the system's back -----------------------------------------------------------------


def test_a_position_can_change_without_any_trace_but_itself() -> None:
    x = held()
    before, equity = x.engine.events(), x.engine.balance("ann").equity
    x.engine.tampering.set_position("ann", SYMBOL, -40, against=HOUSE)
    assert x.engine.position("ann", SYMBOL).lots == -40
    assert x.engine.position(HOUSE, SYMBOL).lots == 140
    assert x.engine.balance("ann").equity == equity
    assert x.engine.events() == before
    assert len(x.engine.trades("ann")) == 1
    x.engine.tampering.set_position("ann", SYMBOL, 5, against=HOUSE, told=True)
    told = x.engine.events()[len(before) :]
    assert [(each["event"], each["lots"]) for each in told] == [("PositionChanged", 5)]


def test_orders_that_may_only_reduce_shrink_with_a_position_that_was_tampered_with() -> None:
    x = held()
    x.order("ann", SELL, 1100, 80, reduce_only=True)
    x.engine.tampering.set_position("ann", SYMBOL, 30, against=HOUSE)
    assert [order.remaining for order in x.engine.open_orders("ann")] == [30]


def test_money_can_go_without_any_trace() -> None:
    x = held()
    before, events = x.engine.balance("ann").collateral, x.engine.events()
    x.engine.tampering.move_balance("ann", Decimal(-12), against=HOUSE)
    assert x.engine.balance("ann").collateral == before - 12
    assert x.engine.treasury.payments("ann") == []
    assert x.engine.events() == events


# --- the endpoint against the engine ----------------------------------------------------------

HERE = Site(method="GET", path="/positions")


def lots_told(stage: SmallVenue, account: str) -> list[int]:
    return [view.lots for view in told_positions(stage, account, HERE)]


def test_without_a_fault_the_endpoint_says_what_the_engine_holds() -> None:
    x = held()
    stage = venue(x)
    assert told_positions(stage, "ann", HERE) == x.engine.positions("ann")
    assert told_balance(stage, "ann", HERE) == x.engine.balance("ann")


def test_the_endpoint_differs_for_a_while_and_for_one_account_only() -> None:
    x = held()
    differs = Fault(
        kind=FaultKind.ENDPOINT_DIFFERS,
        account="ann",
        market=SYMBOL,
        lots=-30,
        amount=Decimal("-2.5"),
        for_s=10,
    )
    stage = venue(x, differs)
    assert (lots_told(stage, "ann"), lots_told(stage, "bob")) == ([70], [-100])
    equity = x.engine.balance("ann").equity
    assert told_balance(stage, "ann", HERE).equity == equity - Decimal("2.5")
    assert told_balance(stage, "bob", HERE) == x.engine.balance("bob")
    assert x.engine.position("ann", SYMBOL).lots == 100
    x.clock.pass_s(10)
    assert lots_told(stage, "ann") == [100]
    assert told_balance(stage, "ann", HERE).equity == equity


def test_an_endpoint_may_invent_a_position_or_forget_one() -> None:
    x = held()
    for lots, account in ((-100, "ann"), (7, "cat")):
        fault = Fault(
            kind=FaultKind.ENDPOINT_DIFFERS, account=account, market=SYMBOL, lots=lots, path="/pos*"
        )
        stage = venue(x, fault)
        views = told_positions(stage, account, HERE)
        assert [(view.lots, bool(view.position_id)) for view in views] == (
            [] if account == "ann" else [(7, True)]
        )
        elsewhere = Site(method="GET", path="/portfolio")
        assert told_positions(stage, account, elsewhere) == x.engine.positions(account)


# --- fills no stream tells --------------------------------------------------------------------


def test_a_fill_is_kept_back_for_good_and_from_customers_only() -> None:
    x = exchange()
    stage = venue(x, Fault(kind=FaultKind.FILL_UNTOLD, skip=1, count=1))
    untold = Untold(x.engine, stage.faults, stage.accounts)
    untold.open()
    x.order("cat", SELL, 1000, 30)
    for _ in range(3):
        x.order("ann", BUY, 1000, 10)
    hidden = [untold.hides(trade.trade_id) for trade in x.engine.trades("ann")]
    assert hidden == [False, True, False]
    assert not any(untold.hides(trade.trade_id) for trade in x.engine.trades("cat"))
