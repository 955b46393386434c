"""Our own limits: orders and cancels a second, requests a minute with a share for cancels."""

from decimal import Decimal

from desk.orders import OutcomeKind, RejectReason
from desk.ports import Venue
from tests.support.rate_model import HandClock, ModelShares
from tests.venues.zo.scripted import (
    INSTRUMENT,
    batch,
    error,
    name,
    resting,
    running,
    scripted_venue,
)
from tests.venues.zo.vectors import WALLET_SECRET
from venues._transport.rate_limit import RateBudget
from venues._transport.secret import Secret
from venues.zo import ZoConfig
from venues.zo.limits import Limits
from venues.zo.schema import nord_pb2 as pb


def _limits(clock: HandClock, **settings: int) -> Limits:
    config = ZoConfig(
        base_url="http://127.0.0.1:1",
        wallet_key=Secret(WALLET_SECRET),
        rate_headroom=Decimal(0),
        **settings,  # type: ignore[arg-type]
    )
    law = config.request_law(shared=False)
    requests = RateBudget(clock=clock, capacity=law.capacity, reserved=law.reserved)
    return Limits(config=config, requests=requests, clock=clock)


def test_a_batch_is_taken_whole_or_not_at_all() -> None:
    clock = HandClock()
    limits = _limits(clock, orders_per_s=10, cancels_per_s=20)
    assert limits.take(orders=8, cancels=0, requests=2) == 0
    assert limits.take(orders=3, cancels=0, requests=1) > 0
    assert limits.take(orders=2, cancels=20, requests=6) == 0
    assert limits.take(orders=0, cancels=1, requests=1) > 0
    clock.forward(1.0)
    assert limits.take(orders=10, cancels=20, requests=8) == 0


def test_orders_leave_the_cancels_their_share_of_the_minute() -> None:
    clock = HandClock()
    limits = _limits(clock, orders_per_s=1_000, requests_per_min=30, reserve_for_cancel=10)
    taken = 0
    while limits.take(orders=1, cancels=0, requests=1) == 0:
        taken += 1
    assert taken == 20
    for _ in range(10):
        assert limits.take(orders=0, cancels=1, requests=1) == 0
    assert limits.take(orders=0, cancels=1, requests=1) > 0


async def test_a_shared_budget_that_is_away_stops_orders_and_never_a_cancel_all() -> None:
    shares = ModelShares(HandClock())
    shares.away = "before"
    async with scripted_venue() as scripted, running(scripted, rates=shares) as venue:
        scripted.orders = [resting(1)]
        outcome = await venue.execution.send(batch(1, 1), INSTRUMENT)
        assert await _cleared(venue)
        kinds = [len(one.atomic.actions) for one in scripted.placed()]
    assert outcome.orders[0].message.startswith("not sent: the rate budget")
    assert kinds == [1]


async def test_without_budget_the_cancels_of_a_batch_go_alone() -> None:
    rate = {"orders_per_s": 6, "cancels_per_s": 6}
    async with (
        scripted_venue() as scripted,
        running(scripted, rate=rate, max_batch_orders=6) as venue,
    ):
        await venue.execution.send(batch(1, 6), INSTRUMENT)
        before = len(scripted.placed())
        old = tuple(name(1, level) for level in range(6))
        outcome = await venue.execution.send(batch(2, 6, cancels=old), INSTRUMENT)
        later = [one.atomic.actions for one in scripted.placed()[before:]]
    kinds = [[one.WhichOneof("kind") for one in actions] for actions in later]
    assert kinds == [["cancel_order"] * 4, ["cancel_order"] * 2]
    assert {one.kind for one in outcome.orders} == {OutcomeKind.REJECTED}
    assert {one.reason for one in outcome.orders} == {RejectReason.RATE_LIMITED}
    assert outcome.old_gone is True
    assert outcome.retry_after_s is not None


async def test_without_budget_a_failed_cancel_of_a_batch_is_told_as_it_is() -> None:
    rate = {"orders_per_s": 1, "cancels_per_s": 1}
    for code, old_gone in ((pb.Error.MARKET_FROZEN, False), (pb.Error.DROPPED, None)):
        async with (
            scripted_venue() as scripted,
            running(scripted, rate=rate, max_batch_orders=1) as venue,
        ):
            await venue.execution.send(batch(1, 1), INSTRUMENT)
            scripted.receipts = [error(code)]
            outcome = await venue.execution.send(batch(2, 1, cancels=(name(1),)), INSTRUMENT)
        assert outcome.old_gone is old_gone
        assert outcome.orders[0].reason is RejectReason.RATE_LIMITED
        assert outcome.retry_after_s is not None


async def _cleared(venue: Venue) -> bool:
    return (await venue.execution.cancel_all(INSTRUMENT)).confirmed
