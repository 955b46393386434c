"""`Approved` comes from the gate and from nowhere else."""

from typing import Any

import pytest

from desk.risk.approval import Approved
from desk.risk.gate import review
from tests.desk.risk.samples import batch, context, quote


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
