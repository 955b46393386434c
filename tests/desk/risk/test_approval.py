"""`Approved` comes from the gate and from nowhere else."""

from dataclasses import replace
from typing import Any

import pytest

from desk.risk.approval import Approved, send_by_ns
from desk.risk.gate import review
from desk.units import NS_PER_S
from tests.desk.risk.samples import batch, context, leave, quote


@pytest.mark.parametrize("seal", [None, True, object(), "SEAL"])
def test_approval_cannot_be_forged(seal: Any) -> None:
    with pytest.raises(TypeError, match=r"desk\.risk\.gate alone"):
        Approved(batch(quote()), seal=seal)


def test_approval_cannot_be_made_without_a_seal() -> None:
    maker: Any = Approved
    with pytest.raises(TypeError):
        maker(batch(quote()))


def test_the_gate_hands_back_the_very_batch_it_judged() -> None:
    sent = batch(quote())
    answer = review(sent, context())
    assert isinstance(answer, Approved)
    assert answer.value is sent


def test_orders_may_leave_only_within_the_margin_of_a_lease() -> None:
    """A session stops a sixth of its lease of 3 s early, so nothing leaves after the lease."""
    by_ns = send_by_ns(batch(quote(), leave()), 7 * NS_PER_S)
    assert by_ns is not None
    assert 7 * NS_PER_S < by_ns <= 7 * NS_PER_S + 3 * NS_PER_S // 6


def test_a_batch_that_only_takes_risk_away_may_leave_whenever_it_can() -> None:
    assert send_by_ns(batch(leave(), leave(level=1)), 7) is None
    assert send_by_ns(batch(cancels=("a",)), 7) is None
    assert send_by_ns(batch(quote(reduce_only=True)), 7) is not None


def test_an_exit_that_is_worth_something_only_now_leaves_now_or_not_at_all() -> None:
    assert send_by_ns(replace(batch(leave()), at_once=True), 7) is not None
