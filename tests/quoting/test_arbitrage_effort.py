"""Which id a leg's first hedge has, by what the venue said of the order that fired."""

from typing import Any

import pytest

from desk.arbitrage_records import TradeFired
from desk.orders import OrderOutcome, OutcomeKind, RejectReason
from quoting.arbitrage.answers import Answer
from quoting.arbitrage.effort import Effort
from tests.quoting.test_arbitrage_accounts import whole
from tests.quoting.test_arbitrage_leg import leg

FIRED: TradeFired = whole(1, 4, "-3.8").trade.fired
LEG: Any = leg()


def after(kind: OutcomeKind, reason: RejectReason | None) -> frozenset[Any]:
    order = OrderOutcome(client_order_id="fired", kind=kind, reason=reason)
    return Effort.after(FIRED, [Answer(leg=LEG, order=order, receipt=None)]).unused


@pytest.mark.parametrize(
    "reason", [RejectReason.NOT_SENT, RejectReason.RATE_LIMITED, RejectReason.HALTED]
)
def test_an_id_the_venue_need_not_know_is_used_again(reason: RejectReason) -> None:
    assert after(OutcomeKind.REJECTED, reason) == {LEG.market}


def test_an_id_that_the_venue_has_had_is_left_behind() -> None:
    assert after(OutcomeKind.ACCEPTED, None) == frozenset()
    assert after(OutcomeKind.REJECTED, RejectReason.NOT_FILLED) == frozenset()


def test_what_nothing_was_heard_of_may_still_arrive() -> None:
    assert after(OutcomeKind.UNRESOLVED, None) == {LEG.market}
    nothing = Answer(leg=LEG, order=None, receipt=None)
    assert Effort.after(FIRED, [nothing]).unused == {LEG.market}
