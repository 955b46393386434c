"""V-3xx: an outcome is never more certain than what the venue said, and refusals have reasons."""

from decimal import Decimal

import pytest

from desk.errors import Refused, Unresolved
from desk.orders import BatchOutcome, OutcomeKind, RejectReason, TimeInForce
from desk.units import Side
from tests.venues.conformance.harness import Harness, Target, Trouble, skip_without, trouble
from tests.venues.conformance.stage import Stage, eventually, heard_end


def _kinds(outcome: BatchOutcome) -> set[OutcomeKind]:
    return {order.kind for order in outcome.orders}


def _refused_for(outcome: BatchOutcome, reason: RejectReason) -> None:
    assert {order.reason for order in outcome.orders} == {reason}, outcome
    assert _kinds(outcome) == {OutcomeKind.REJECTED}


def _waits(harness: Harness, told_s: float | None, asked_s: float) -> None:
    assert told_s is not None
    assert told_s == asked_s if harness.tells_retry_after else told_s > 0


class OutcomeCases:
    @pytest.mark.parametrize(
        ("kind", "applied"),
        [
            pytest.param(Trouble.RESPONSE_LOST, True, id="v310-answer-lost"),
            pytest.param(Trouble.REQUEST_LOST, False, id="v311-request-lost"),
            pytest.param(Trouble.TRUNCATED_BODY, True, id="v312-answer-cut-short"),
            pytest.param(Trouble.NOT_JSON, True, id="v313-answer-unreadable"),
            pytest.param(Trouble.ERROR_BEFORE, False, id="v320-error-before"),
            pytest.param(Trouble.ERROR_AFTER, True, id="v321-error-after"),
        ],
    )
    async def test_v310_an_unknown_outcome_is_unresolved_and_later_found_out(
        self, harness: Harness, kind: Trouble, applied: bool
    ) -> None:
        stage = Stage(harness)
        orders = await stage.ladder()
        await trouble(harness, kind, Target.ORDERS, count=stage.calls(orders))
        outcome = await stage.send(*orders)
        assert _kinds(outcome) == {OutcomeKind.UNRESOLVED}
        assert outcome.unresolved
        names = {order.client_order_id for order in orders}
        await stage.rests(names if applied else ())
        skip_without("finds_by_client_id", has=harness.venue.capabilities.finds_by_client_id)

        async def found() -> set[str]:
            find = harness.venue.execution.find
            return {name for name in names if await find(harness.instrument, name) is not None}

        await eventually(found, lambda seen: seen == (names if applied else set()))

    async def test_v314_an_unresolved_replace_says_nothing_of_the_old_ladder(
        self, harness: Harness
    ) -> None:
        skip_without("atomic_ladder", has=harness.venue.capabilities.atomic_ladder)
        stage = Stage(harness)
        await stage.place(*await stage.ladder())
        await trouble(harness, Trouble.RESPONSE_LOST, Target.ORDERS)
        outcome = await stage.send(*await stage.ladder(), replace_all=True)
        assert outcome.old_gone is None

    async def test_v315_nothing_is_sent_again_by_itself(self, harness: Harness) -> None:
        stage = Stage(harness)
        lost = await stage.ladder()
        await trouble(harness, Trouble.REQUEST_LOST, Target.ORDERS, count=stage.calls(lost))
        await stage.send(*lost)
        await stage.place(*(later := await stage.ladder()))
        assert await stage.really_resting() == {order.client_order_id for order in later}

    @pytest.mark.parametrize("kind", [Trouble.RESPONSE_LOST, Trouble.ERROR_AFTER])
    async def test_v322_a_lost_cancel_all_is_unresolved_and_safe_to_repeat(
        self, harness: Harness, kind: Trouble
    ) -> None:
        stage = Stage(harness)
        await stage.place(*await stage.ladder())
        await trouble(harness, kind, Target.CANCELS)
        with pytest.raises(Unresolved):
            await harness.venue.execution.cancel_all(harness.instrument)
        assert (await harness.venue.execution.cancel_all(harness.instrument)).confirmed
        await stage.rests(())

    async def test_v330_a_rate_limit_is_refused_with_the_time_to_wait(
        self, harness: Harness
    ) -> None:
        stage = Stage(harness)
        orders = await stage.ladder()
        count = stage.calls(orders)
        await trouble(harness, Trouble.RATE_LIMITED, Target.ORDERS, delay_s=7, count=count)
        outcome = await stage.send(*orders)
        _refused_for(outcome, RejectReason.RATE_LIMITED)
        _waits(harness, outcome.retry_after_s, 7)
        assert outcome.old_gone is False
        assert await stage.really_resting() == set()

    async def test_v331_a_rate_limited_cancel_is_refused_with_the_time_to_wait(
        self, harness: Harness
    ) -> None:
        await trouble(harness, Trouble.RATE_LIMITED, Target.CANCELS, delay_s=2)
        with pytest.raises(Refused) as refusal:
            await harness.venue.execution.cancel_all(harness.instrument)
        assert refusal.value.reason is RejectReason.RATE_LIMITED
        _waits(harness, refusal.value.retry_after_s, 2)

    async def test_v332_a_rate_limit_never_stops_cancel_all(self, harness: Harness) -> None:
        stage = Stage(harness)
        await stage.place(*await stage.ladder())
        limited = await stage.ladder()
        count = stage.calls(limited)
        await trouble(harness, Trouble.RATE_LIMITED, Target.ORDERS, delay_s=60, count=count)
        await stage.send(*limited)
        assert (await harness.venue.execution.cancel_all(harness.instrument)).confirmed
        await stage.rests(())

    async def test_v340_too_little_margin_is_refused_as_such(self, harness: Harness) -> None:
        stage = Stage(harness)
        bid, _ = await stage.touch()
        balance = await harness.venue.account.balance()
        worth = harness.instrument.notional(bid, 1)
        lots = int(balance.equity * 140 / worth) + 1
        outcome = await stage.send(stage.order(Side.BUY, bid - 40, lots))
        _refused_for(outcome, RejectReason.MARGIN)
        assert await stage.really_resting() == set()

    async def test_v341_a_margin_rejection_of_a_ladder_is_refused_as_such(
        self, harness: Harness
    ) -> None:
        stage = Stage(harness)
        orders = await stage.ladder()
        await trouble(harness, Trouble.MARGIN_REJECT, Target.ORDERS, count=stage.calls(orders))
        outcome = await stage.send(*orders)
        _refused_for(outcome, RejectReason.MARGIN)

    async def test_v350_a_post_only_order_that_would_take_is_refused(
        self, harness: Harness
    ) -> None:
        stage = Stage(harness)
        _, ask = await stage.still()
        async with stage.account() as ear:
            order = stage.order(Side.BUY, ask + 2)
            outcome = await stage.send(order)
            if _kinds(outcome) == {OutcomeKind.ACCEPTED}:
                assert harness.venue.capabilities.pushes_order_updates
                update = await heard_end(ear, order)
                assert update.reason is RejectReason.POST_ONLY
            else:
                _refused_for(outcome, RejectReason.POST_ONLY)
        await stage.rests(())
        assert await harness.fills() == []

    async def test_v360_an_id_used_twice_rests_once(self, harness: Harness) -> None:
        stage = Stage(harness)
        (order, *_) = await stage.ladder(1)
        await stage.place(order)
        outcome = await stage.send(order)
        assert {one.reason for one in outcome.orders} == {RejectReason.DUPLICATE}
        # What rests may be this very order, so "rejected" alone would be too much to say.
        assert _kinds(outcome) <= {OutcomeKind.REJECTED, OutcomeKind.UNRESOLVED}
        assert len(await harness.open_orders()) == 1

    @pytest.mark.parametrize(
        ("kind", "reason"),
        [
            (Trouble.SESSION_EXPIRED, RejectReason.AUTH),
            (Trouble.IP_FORBIDDEN, RejectReason.FORBIDDEN),
        ],
    )
    async def test_v370_lost_permission_is_a_definite_no(
        self, harness: Harness, kind: Trouble, reason: RejectReason
    ) -> None:
        stage = Stage(harness)
        orders = await stage.ladder()
        await trouble(harness, kind, Target.ORDERS, count=3 * stage.calls(orders))
        outcome = await stage.send(*orders)
        _refused_for(outcome, reason)
        assert await stage.really_resting() == set()

    async def test_v380_fees_and_balance_are_figures_one_can_reckon_with(
        self, harness: Harness
    ) -> None:
        balance = await harness.venue.account.balance()
        assert balance.equity >= balance.available > 0
        assert abs(harness.instrument.maker_fee_bps) < 100
        assert Decimal(0) <= harness.instrument.taker_fee_bps < 100

    async def test_v381_what_is_held_is_in_the_balance(self, harness: Harness) -> None:
        stage = Stage(harness)
        assert (await harness.venue.account.balance()).exposure == 0
        bid, ask = await stage.still()
        order = stage.order(Side.BUY, ask + 5, time_in_force=TimeInForce.IOC, post_only=False)
        await stage.send(order)
        held = sum(fill.lots for fill in await harness.fills())
        assert held > 0
        low, high = (harness.instrument.notional(price, held) for price in (bid - 5, ask + 5))

        async def exposure() -> Decimal:
            return (await harness.venue.account.balance()).exposure or Decimal(0)

        assert low <= await eventually(exposure, lambda worth: worth > 0) <= high
