"""Cancels go out whatever we believe of the rate budget; what we read never takes their share."""

import pytest

from desk.orders import RejectReason
from tests.support.rate_model import HandClock, ModelShares
from tests.venues.x10.scripted import INSTRUMENT, batch, quote, running, scripted_x10
from venues._transport.rate_limit import RateBudget, RequestKind
from venues.x10.pacing import count_cancel, count_read


def test_a_read_past_the_orders_share_is_counted_and_not_held_back() -> None:
    budget = RateBudget(clock=HandClock(), capacity=10, reserved=4)
    for _ in range(8):
        count_read(budget)
    assert budget.spent() == 8
    assert budget.take(RequestKind.ORDER) > 0
    for _ in range(5):
        count_cancel(budget)
    assert budget.spent() == 13


@pytest.mark.parametrize("shared", [False, True])
async def test_our_own_reads_hold_no_cancel_back(shared: bool) -> None:
    rate = {"per_min": 12, "headroom": 0, "reserve_for_cancel": 2}
    rates = ModelShares(HandClock()) if shared else None
    async with scripted_x10() as scripted, running(scripted, rate=rate, rates=rates) as venue:
        for _ in range(30):
            await venue.account.open_orders(INSTRUMENT)
        assert (await venue.execution.cancel(INSTRUMENT, "a")).confirmed
        outcome = await venue.execution.send(batch(quote(), cancels=("b",)), INSTRUMENT)
        assert [one.target.partition("=")[2] for one in scripted.seen["DELETE /user/order"]] == [
            "a",
            "b",
        ]
        assert outcome.orders[0].reason is RejectReason.RATE_LIMITED, "reads do count"
