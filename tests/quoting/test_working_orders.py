"""The table of our orders follows the outcome policy and never forgets what may still fill."""

from decimal import Decimal

from desk.identity import OrderIdentity, Slot
from desk.orders import (
    Batch,
    BatchOutcome,
    Fill,
    Liquidity,
    NewOrder,
    OrderOutcome,
    OutcomeKind,
    RejectReason,
)
from desk.units import Side
from desk.working import WorkingState
from quoting.working_orders import WorkingOrders


def order(cycle: int, side: Side = Side.BUY, level: int = 0, price: int = 100) -> NewOrder:
    slot = Slot(side, level)
    identity = OrderIdentity(tag="abcdefg", epoch=1, cycle=cycle, slot=slot)
    return NewOrder(client_order_id=identity.encode(), slot=slot, side=side, price=price, lots=10)


def ladder(cycle: int) -> Batch:
    return Batch(
        batch_id=str(cycle),
        symbol="BTC-PERP",
        orders=(order(cycle), order(cycle, Side.SELL, price=110)),
        replace_all=True,
    )


def answer(
    batch: Batch, kind: OutcomeKind, *, old_gone: bool | None, reason: RejectReason | None = None
) -> BatchOutcome:
    return BatchOutcome(
        batch_id=batch.batch_id,
        orders=tuple(
            OrderOutcome(client_order_id=item.client_order_id, kind=kind, reason=reason)
            for item in batch.orders
        ),
        old_gone=old_gone,
        sent_ns=1,
    )


def fill(side: Side, price: int, lots: int, trade_id: str = "t") -> Fill:
    return Fill(
        venue="ocx",
        account="main",
        symbol="BTC-PERP",
        trade_id=trade_id,
        side=side,
        price=price,
        lots=lots,
        liquidity=Liquidity.MAKER,
        fee=Decimal(0),
        fee_estimated=True,
        traded_at_ms=1,
    )


def states(table: WorkingOrders) -> list[WorkingState]:
    return [item.state for item in table.open]


def resting(cycle: int) -> tuple[WorkingOrders, Batch]:
    table, batch = WorkingOrders(), ladder(cycle)
    table.sent(batch)
    table.answered(batch, answer(batch, OutcomeKind.ACCEPTED, old_gone=True), 0)
    return table, batch


def test_sent_orders_count_at_once() -> None:
    table, batch = WorkingOrders(), ladder(1)
    table.sent(batch)
    assert states(table) == [WorkingState.IN_FLIGHT] * 2
    assert table.busy


def test_a_replaced_ladder_may_fill_until_the_venue_says_it_is_gone() -> None:
    table, _ = resting(1)
    new = ladder(2)
    table.sent(new)
    assert sorted(states(table)) == sorted(
        [WorkingState.CANCELLING] * 2 + [WorkingState.IN_FLIGHT] * 2
    )
    table.answered(new, answer(new, OutcomeKind.ACCEPTED, old_gone=True), 0)
    assert states(table) == [WorkingState.RESTING] * 2


def test_an_unknown_outcome_leaves_everything_unresolved() -> None:
    table, _ = resting(1)
    new = ladder(2)
    table.sent(new)
    table.answered(new, answer(new, OutcomeKind.UNRESOLVED, old_gone=None), 0)
    assert states(table) == [WorkingState.UNRESOLVED] * 4
    assert table.unresolved
    table.cleared()
    assert not table.open


def test_a_refusal_that_changed_nothing_leaves_the_old_ladder_resting() -> None:
    table, _ = resting(1)
    new = ladder(2)
    table.sent(new)
    table.answered(
        new,
        answer(new, OutcomeKind.REJECTED, old_gone=False, reason=RejectReason.RATE_LIMITED),
        0,
    )
    assert states(table) == [WorkingState.RESTING] * 2


def test_a_duplicate_id_means_ask_the_venue() -> None:
    table, batch = WorkingOrders(), ladder(1)
    table.sent(batch)
    table.answered(
        batch,
        answer(batch, OutcomeKind.REJECTED, old_gone=None, reason=RejectReason.DUPLICATE),
        0,
    )
    assert table.unresolved


def test_an_order_missing_from_the_answer_is_unresolved() -> None:
    table, batch = WorkingOrders(), ladder(1)
    table.sent(batch)
    table.answered(batch, BatchOutcome(batch_id="1", orders=(), old_gone=True, sent_ns=1), 0)
    assert table.unresolved


def test_a_fill_without_ids_is_matched_by_side_and_price() -> None:
    table, _ = resting(1)
    table.filled(fill(Side.BUY, 100, 4))
    assert [item.remaining for item in table.open] == [6, 10]
    table.filled(fill(Side.BUY, 100, 6))
    assert [item.order.side for item in table.open] == [Side.SELL]
    assert table.unattributed == 0


def test_a_fill_heard_before_the_answer_closes_the_order_for_good() -> None:
    table, batch = WorkingOrders(), ladder(1)
    table.sent(batch)
    table.filled(fill(Side.BUY, 100, 10))
    table.answered(batch, answer(batch, OutcomeKind.ACCEPTED, old_gone=True), 0)
    assert [item.order.side for item in table.open] == [Side.SELL]


def test_a_late_fill_of_a_cancelled_order_is_still_ours() -> None:
    table, _ = resting(1)
    table.cleared()
    table.filled(fill(Side.SELL, 110, 10))
    assert table.unattributed == 0
    table.filled(fill(Side.SELL, 999, 1))
    assert table.unattributed == 1


def test_a_nameless_fill_that_may_be_a_replaced_orders_ends_nothing_before_the_venue_is_asked() -> (
    None
):
    table, _ = resting(1)
    second = ladder(2)
    bid = second.orders[0].client_order_id
    table.sent(second)
    table.answered(second, answer(second, OutcomeKind.ACCEPTED, old_gone=True), 5)
    table.take_gone()
    table.filled(fill(Side.BUY, 100, 10))
    assert table.take_gone() == []
    assert table.to_ask(6, 100) == (bid,)
    assert [item.remaining for item in table.open] == [10, 10], "it may rest whole"
    table.settled(bid, 7, resting=True)
    assert states(table) == [WorkingState.RESTING] * 2
    table.filled(fill(Side.BUY, 100, 10, "t2"))
    table.settled(bid, 8, resting=False)
    assert table.take_gone() == [(bid, "not at the venue")]


def test_a_nameless_fill_takes_no_order_away_that_the_venue_has_not_answered_for() -> None:
    table, _ = resting(1)
    second = ladder(2)
    table.answered(ladder(1), answer(ladder(1), OutcomeKind.ACCEPTED, old_gone=True), 0)
    table.cleared()
    table.take_gone()
    table.sent(second)
    table.filled(fill(Side.BUY, 100, 10))
    assert table.take_gone() == []
    assert table.to_ask(6, 100) == (), "it may not be booked yet, and would not be found"
    table.answered(second, answer(second, OutcomeKind.ACCEPTED, old_gone=True), 7)
    assert states(table) == [WorkingState.RESTING] * 2


def test_an_audit_names_ghosts_and_orphans() -> None:
    table, batch = resting(1)
    ids = [item.client_order_id for item in batch.orders]
    assert table.differs_from(ids) == ""
    assert table.differs_from(ids[:1]) == "1 ghost, 0 orphan orders"
    assert table.differs_from([*ids, None]) == "0 ghost, 1 orphan orders"


def test_where_fills_name_their_orders_a_nameless_one_is_no_other_orders() -> None:
    table, batch = WorkingOrders(named=True), ladder(1)
    table.sent(batch)
    table.answered(batch, answer(batch, OutcomeKind.ACCEPTED, old_gone=True), 0)
    table.filled(fill(Side.BUY, 100, 10))
    assert states(table) == [WorkingState.RESTING] * 2
    assert table.unattributed == 1
