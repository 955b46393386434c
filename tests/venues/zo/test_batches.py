"""A batch loses nothing on its way into atomics, and its outcome never says too much."""

from hypothesis import given
from hypothesis import strategies as st

from desk.identity import Slot
from desk.orders import Batch, NewOrder, OutcomeKind, RejectReason
from desk.units import Side
from venues.zo.batches import Progress, Step, Target, outcome_of, steps_of
from venues.zo.schema import nord_pb2 as pb


def _order(number: int) -> NewOrder:
    return NewOrder(
        client_order_id=f"o{number}",
        slot=Slot(Side.BUY, number),
        side=Side.BUY,
        price=100,
        lots=10,
    )


COUNTS = st.integers(0, 12)


@given(COUNTS, COUNTS, st.integers(1, 10))
def test_steps_are_the_fewest_in_order_and_cancels_come_first(
    cancels: int, orders: int, size: int
) -> None:
    targets = [Target(f"c{number}", number) for number in range(cancels)]
    new = [_order(number) for number in range(orders)]
    steps = steps_of(targets, new, size)
    assert len(steps) == -(-(cancels + orders) // size)
    assert [one for step in steps for one in step.cancels] == targets
    assert [one for step in steps for one in step.orders] == new
    assert all(1 <= len(step.cancels) + len(step.orders) <= size for step in steps)
    first_order = next((i for i, step in enumerate(steps) if step.orders), len(steps))
    assert not any(step.cancels for step in steps[first_order + 1 :])


@given(st.lists(st.sampled_from(["executed", "untouched", "open"]), max_size=5))
def test_old_orders_are_called_gone_only_when_all_are(fates: list[str]) -> None:
    batch = Batch(
        batch_id="b",
        symbol="S",
        orders=tuple(_order(number) for number in range(len(fates))),
        cancels=tuple(f"c{number}" for number in range(len(fates))),
    )
    progress = Progress(batch, 1)
    for number, fate in enumerate(fates):
        step = Step((Target(f"c{number}", number),), (batch.orders[number],))
        if fate == "executed":
            progress.executed(step, ())
        elif fate == "untouched":
            progress.untouched(step, RejectReason.OTHER, "no")
        else:
            progress.open_ended(step, None, "unknown")
    outcome = progress.outcome()
    if "open" in fates:
        assert outcome.old_gone is None
    else:
        assert outcome.old_gone is (bool(fates) and "untouched" not in fates)
    for fate, told in zip(fates, outcome.orders, strict=True):
        assert (told.kind is OutcomeKind.UNRESOLVED) == (fate == "open")


def _result(
    *, posted: int | None, fills: tuple[int, ...] = (), named: int | None = 5
) -> pb.PlaceOrderResult:
    result = pb.PlaceOrderResult()
    if posted is not None:
        result.posted.order_id = 77
        result.posted.size = posted
    for size in fills:
        result.fills.add().size = size
    if named is not None:
        result.client_order_id = named
    return result


def test_a_receipt_tells_what_rests_and_what_was_filled() -> None:
    order = _order(1)
    rests = outcome_of(order, 5, _result(posted=10))
    partly = outcome_of(order, 5, _result(posted=4, fills=(1, 5), named=None))
    whole = outcome_of(order, 5, _result(posted=None, fills=(10,)))
    nothing = outcome_of(order, 5, _result(posted=None))
    strange = outcome_of(order, 5, _result(posted=10, named=6))
    accepted = OutcomeKind.ACCEPTED
    assert (rests.kind, rests.venue_order_id, rests.filled) == (accepted, "77", 0)
    assert (partly.kind, partly.venue_order_id, partly.filled) == (accepted, "77", 6)
    assert (whole.kind, whole.venue_order_id, whole.filled) == (accepted, None, 10)
    assert (nothing.kind, nothing.reason) == (OutcomeKind.REJECTED, RejectReason.NOT_FILLED)
    assert strange.kind is OutcomeKind.UNRESOLVED
