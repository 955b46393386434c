"""Funding and transfers of X10: signs, ids, pages, and money that is still on its way."""

from decimal import Decimal
from typing import Any

import pytest

from desk.errors import OutOfReach, Unresolved
from desk.payments import Payment, PaymentKind
from tests.venues.x10.harness import settings, x10_harness
from tests.venues.x10.scripted import ScriptedX10, ok, running, scripted_x10
from venues.x10.simulator.settings import Payments

_PAID, _MOVED = "GET /user/funding/history", "GET /user/assetOperations"
_FUNDING = {
    "id": 1_981_340_771_614_720_123,
    "accountId": 3_137,
    "market": "BTC-USD",
    "positionId": 1_821_237_954_501_148_672,
    "side": "LONG",
    "size": "1.116",
    "value": "560.77401888",
    "markPrice": "502.48568",
    "fundingFee": "-0.0560774",
    "fundingRate": "0.0001",
    "paidTime": 2_000,
}
_OPERATION = {
    "id": "1816814506626514944",
    "type": "TRANSFER",
    "status": "COMPLETED",
    "amount": "-100.0000000000000000",
    "fee": "0",
    "asset": 1,
    "time": 3_000,
    "accountId": 3_004,
    "counterpartyAccountId": 7_349,
}


def _funding(**changes: object) -> dict[str, Any]:
    return {**_FUNDING, **changes}


def _operation(**changes: object) -> dict[str, Any]:
    return {**_OPERATION, **changes}


async def _told(
    scripted: ScriptedX10, since_ms: int = 0, fee_is: str = "received"
) -> list[Payment]:
    given = {"funding.fee_is": fee_is}
    async with running(scripted, hold=False, learn=False, rates=None, **given) as venue:
        return list(await venue.account.payments(since_ms))


async def _unread(scripted: ScriptedX10) -> str:
    """Why payments cannot be read."""
    async with running(scripted, hold=False, learn=False) as venue:
        with pytest.raises(Unresolved) as caught:
            await venue.account.payments(0)
        return str(caught.value)


async def test_both_histories_are_read_with_the_venues_own_ids() -> None:
    async with scripted_x10() as scripted:
        scripted.say(_PAID, ok([_FUNDING]))
        scripted.say(_MOVED, ok([_OPERATION]))
        paid, moved = await _told(scripted)
    assert paid == Payment(
        venue="x10",
        account="main",
        payment_id="funding-1981340771614720123",
        kind=PaymentKind.FUNDING,
        amount=Decimal("-0.0560774"),
        paid_at_ms=2_000,
        symbol="BTC-USD",
    )
    assert moved == Payment(
        venue="x10",
        account="main",
        payment_id="transfer-1816814506626514944",
        kind=PaymentKind.TRANSFER,
        amount=Decimal(-100),
        paid_at_ms=3_000,
    )


@pytest.mark.parametrize(
    ("told", "received"),
    [
        ({"type": "TRANSFER", "amount": "7"}, 7),
        ({"type": "CLAIM", "amount": "7"}, 7),
        ({"type": "DEPOSIT", "amount": "7"}, 7),
        ({"type": "SLOW_WITHDRAWAL", "amount": "7"}, -7),
        ({"type": "FAST_WITHDRAWAL", "amount": "-7"}, -7),
        ({"type": "WITHDRAWAL", "amount": "-7", "status": "READY_FOR_CLAIM"}, -7),
        ({"type": "BRIDGED", "amount": "-7"}, -7),
        ({"type": "DEPOSIT", "amount": "7", "status": "REJECTED"}, None),
        ({"type": "DEPOSIT", "amount": "7", "status": "IN_PROGRESS"}, None),
        ({"type": "DEPOSIT", "amount": "7", "status": "PONDERED"}, None),
        ({"type": "DEPOSIT", "amount": "7", "asset": 4}, None),
    ],
)
async def test_money_in_is_positive_and_what_is_not_surely_there_is_not_told(
    told: dict[str, object], received: int | None
) -> None:
    async with scripted_x10() as scripted:
        scripted.say(_MOVED, ok([_operation(**told)]))
        assert [one.amount for one in await _told(scripted)] == [received] * (received is not None)


async def test_money_on_its_way_is_told_once_it_arrived() -> None:
    async with scripted_x10() as scripted, running(scripted, hold=False, learn=False) as venue:
        scripted.say(_MOVED, ok([_operation(status="IN_PROGRESS")]))
        assert await venue.account.payments(3_000) == []
        scripted.say(_MOVED, ok([_operation()]))
        (late,) = await venue.account.payments(3_000)
        assert (late.paid_at_ms, late.amount) == (3_000, Decimal(-100))


async def test_one_kind_is_asked_for_by_itself() -> None:
    async with scripted_x10() as scripted, running(scripted, hold=False, learn=False) as venue:
        scripted.say(_PAID, ok([_FUNDING]))
        scripted.say(_MOVED, ok([_OPERATION]))
        for kind, path in ((PaymentKind.FUNDING, _PAID), (PaymentKind.TRANSFER, _MOVED)):
            scripted.seen.clear()
            assert {one.kind for one in await venue.account.payments(0, kind)} == {kind}
            assert list(scripted.seen) == [path]


@pytest.mark.parametrize(
    "contradiction",
    [
        {"fundingFee": "1.5"},
        {"fundingFee": "-1.5", "side": "SHORT"},
        {"fundingFee": "-1.5", "fundingRate": "-0.0001"},
        {"fundingFee": "NaN"},
        {"side": "SIDEWAYS"},
    ],
)
async def test_funding_of_an_impossible_sign_is_not_believed(
    contradiction: dict[str, object],
) -> None:
    async with scripted_x10() as scripted:
        scripted.say(_PAID, ok([_funding(**contradiction)]))
        assert "unreadable" in await _unread(scripted)


async def test_the_sentence_says_which_setting_turns_the_sign_around() -> None:
    async with scripted_x10() as scripted:
        scripted.say(_PAID, ok([_funding(fundingFee="1.5")]))
        assert "funding.fee_is to paid" in await _unread(scripted)
        (paid,) = await _told(scripted, fee_is="paid")
        assert paid.amount == Decimal("-1.5")


async def test_funding_at_no_rate_has_no_sign_to_contradict() -> None:
    async with scripted_x10() as scripted:
        scripted.say(_PAID, ok([_funding(fundingFee="0.5", fundingRate="0")]))
        assert [one.amount for one in await _told(scripted)] == [Decimal("0.5")]


async def test_pages_are_followed_until_a_time_is_reached_and_repeats_count_once() -> None:
    rows = [_funding(id=n, paidTime=1_000 * n) for n in range(1, 7)]
    async with scripted_x10() as scripted:
        pages = (ok([rows[5], rows[4]], 5), ok([rows[4], rows[3]], 4), ok([rows[2], rows[1]], 2))
        scripted.say(_PAID, *pages, ok([rows[0]], 1))
        told = await _told(scripted, 3_000)
        assert [one.paid_at_ms for one in told] == [3_000, 4_000, 5_000, 6_000]
        targets = [seen.target for seen in scripted.seen[_PAID]]
    assert len(targets) == 3
    assert all("startTime=3000" in target for target in targets)
    assert [target.rpartition("cursor=")[2] for target in targets[1:]] == ["5", "4"]


async def test_a_list_that_is_too_long_says_from_when_on_it_is_whole() -> None:
    page = [_funding(id=n, paidTime=n) for n in range(20_000, 19_000, -1)]
    pages = [
        ok(
            [
                {**one, "id": one["id"] - 1_000 * n, "paidTime": one["paidTime"] - 1_000 * n}
                for one in page
            ],
            20_000 - n,
        )
        for n in range(11)
    ]
    async with scripted_x10() as scripted, running(scripted, hold=False, learn=False) as venue:
        scripted.say(_PAID, *pages)
        with pytest.raises(OutOfReach) as caught:
            await venue.account.payments(0, PaymentKind.FUNDING)
        scripted.say(_PAID, *pages)
        told = await venue.account.payments(caught.value.reaches_ms, PaymentKind.FUNDING)
        assert len(told) == 9_001


async def test_a_list_that_never_ends_is_given_up() -> None:
    page = [_funding(id=n, paidTime=9_000) for n in range(1_000)]
    async with scripted_x10() as scripted:
        scripted.say(_PAID, *(ok(page, 10_000 - n) for n in range(11)))
        assert "history ends before" in await _unread(scripted)
        assert len(scripted.seen[_PAID]) == 10


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        (Payments(fee_is_paid=True), {"funding.fee_is": "paid"}),
        (Payments(withdrawals_signed=False), {}),
        (Payments(page=2), {}),
    ],
)
async def test_payments_are_the_engines_however_the_venue_is_read(
    given: Payments, setting: dict[str, object]
) -> None:
    async with x10_harness(settings(payments=given), **setting) as harness:
        harness.levers.hold(1_000)
        for turn in range(1, 4):
            harness.levers.pay_funding(Decimal(turn) / 10_000)
            harness.levers.deposit(Decimal(10 * turn))
            harness.levers.withdraw(Decimal(turn))
        told = await harness.venue.account.payments(0)
        booked = harness.levers.payments()
        assert sorted(one.amount for one in told) == sorted(one.amount for one in booked)


async def test_a_withdrawal_in_progress_is_no_payment_yet() -> None:
    slow = settings(payments=Payments(pending_s=3_600))
    async with x10_harness(slow) as harness:
        harness.levers.withdraw(Decimal(5))
        assert await harness.venue.account.payments(0) == []
