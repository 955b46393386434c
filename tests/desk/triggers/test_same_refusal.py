"""A request is the same by what it asks for, not by its name."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.identity import Slot
from desk.orders import NewOrder, RejectReason, TimeInForce
from desk.triggers.same_refusal import MOST, SameRefusal
from desk.units import Side

INVALID = RejectReason.INVALID


def order(name: int = 0, price: int = 100, lots: int = 5) -> NewOrder:
    return NewOrder(
        client_order_id=str(name),
        slot=Slot(Side.BUY, 0),
        side=Side.BUY,
        price=price,
        lots=lots,
    )


def test_the_third_of_the_same_is_the_third() -> None:
    seen = SameRefusal()
    assert [seen.refused(order(number), INVALID) for number in range(3)] == [1, 2, MOST]


@pytest.mark.parametrize(
    "other",
    [
        {"price": 101},
        {"lots": 6},
        {"side": Side.SELL},
        {"post_only": False},
        {"reduce_only": True},
        {"time_in_force": TimeInForce.IOC},
    ],
)
def test_what_differs_in_anything_asked_for_is_another_request(other: dict[str, object]) -> None:
    seen = SameRefusal()
    seen.refused(order(1), INVALID)
    seen.refused(order(2), INVALID)
    assert seen.refused(replace(order(3), **other), INVALID) == 1  # type: ignore[arg-type]


def test_another_place_of_the_ladder_makes_no_difference() -> None:
    seen = SameRefusal()
    seen.refused(order(1), INVALID)
    assert seen.refused(replace(order(2), slot=Slot(Side.BUY, 3)), INVALID) == 2


def test_another_reason_is_counted_by_itself() -> None:
    seen = SameRefusal()
    seen.refused(order(1), INVALID)
    assert seen.refused(order(2), RejectReason.OTHER) == 1
    assert seen.refused(order(3), INVALID) == 2


def test_an_accepted_order_clears_its_request_alone() -> None:
    seen = SameRefusal()
    for number in range(2):
        seen.refused(order(number), INVALID)
        seen.refused(order(10 + number, price=99), INVALID)
    seen.accepted(order(5))
    assert seen.refused(order(6), INVALID) == 1
    assert seen.refused(order(16, price=99), INVALID) == 3


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.booleans()), max_size=60))
def test_it_counts_as_a_plain_list_would(steps: list[tuple[int, int, bool]]) -> None:
    """Orders by (name, price); each is told of as refused or accepted, some twice over."""
    seen, plain = SameRefusal(), dict[int, list[int]]()
    for name, price, taken in steps:
        if taken:
            plain.pop(price, None)
            seen.accepted(order(name, price=price))
            continue
        names = plain.setdefault(price, [])
        if not names or names[-1] != name:
            names.append(name)
        assert seen.refused(order(name, price=price), INVALID) == len(names)


def test_what_is_remembered_is_bounded_and_the_oldest_goes_first() -> None:
    seen = SameRefusal()
    for price in range(1, 400):
        seen.refused(order(price, price=price), INVALID)
    assert seen.refused(order(1_000, price=1), INVALID) == 1
    assert seen.refused(order(1_001, price=399), INVALID) == 2
