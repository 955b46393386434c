"""Funding, deposits and withdrawals of 01.xyz: signs, lasting ids, and pages."""

from decimal import Decimal
from typing import Any

import pytest

from desk.errors import Unresolved
from desk.payments import Payment, PaymentKind
from tests.venues.conformance.stage import Stage
from tests.venues.zo.harness import zo_harness
from tests.venues.zo.scripted import ACCOUNT_ID, SYMBOL, ScriptedVenue, running, scripted_venue
from venues.zo.simulator.settings import FundingShape, Reads

_FUNDING, _DEPOSITS, _WITHDRAWALS = (
    f"/account/{ACCOUNT_ID}/history/{what}" for what in ("funding", "deposit", "withdrawal")
)
_AT = "2026-09-10T11:00:00.25Z"
_AT_MS = 1_789_038_000_250
_FLAT = {"time": _AT, "actionId": 77, "marketId": 0, "positionSize": -0.5, "fundingPnl": 0.125}
_OBJECT = {
    "time": _AT,
    "fundingRate": 0.0001,
    "fundingSize": 0.5,
    "side": "ask",
    "fundingIndexChange": None,
    "fundingPnl": 0.125,
    "market": {"market_id": 0, "market_symbol": SYMBOL},
}
_MOVED = {
    "time": _AT,
    "actionId": "9007199254740993",
    "accountId": ACCOUNT_ID,
    "tokenId": 0,
    "amount": 250.5,
    "balance": 1250.5,
}


def _page(*items: object, after: object = None) -> dict[str, object]:
    return {"items": list(items), "nextStartInclusive": after}


def _say(scripted: ScriptedVenue, **pages: object) -> None:
    for path, name in ((_FUNDING, "funding"), (_DEPOSITS, "deposits"), (_WITHDRAWALS, "out")):
        scripted.say(path, pages.get(name, _page()))


async def _told(scripted: ScriptedVenue, since_ms: int = 0) -> list[Payment]:
    async with running(scripted, hold=False) as venue:
        return list(await venue.account.payments(since_ms))


@pytest.mark.parametrize("row", [_FLAT, _OBJECT])
async def test_funding_is_what_the_account_received_in_either_shape(row: dict[str, Any]) -> None:
    async with scripted_venue() as scripted:
        _say(scripted, funding=_page(row))
        assert await _told(scripted) == [
            Payment(
                venue="zo",
                account="main",
                payment_id=f"funding-0-{_AT_MS}",
                kind=PaymentKind.FUNDING,
                amount=Decimal("0.125"),
                paid_at_ms=_AT_MS,
                symbol=SYMBOL,
            )
        ]


async def test_deposits_and_withdrawals_carry_a_sign_and_the_venues_ids() -> None:
    async with scripted_venue() as scripted:
        _say(
            scripted,
            deposits=_page({**_MOVED, "eventIndex": 3}),
            out=_page({**_MOVED, "fee": 1, "destPubkey": None}, {**_MOVED, "actionId": 5}),
        )
        told = {one.payment_id: one for one in await _told(scripted)}
    assert {name: one.amount for name, one in told.items()} == {
        "deposit-9007199254740993-3": Decimal("250.5"),
        "withdrawal-9007199254740993": Decimal("-250.5"),
        "withdrawal-5": Decimal("-250.5"),
    }
    assert {one.kind for one in told.values()} == {PaymentKind.TRANSFER}
    assert {one.paid_at_ms for one in told.values()} == {_AT_MS}


async def test_other_tokens_are_no_quote_currency() -> None:
    async with scripted_venue() as scripted:
        _say(scripted, deposits=_page({**_MOVED, "tokenId": 1, "eventIndex": 3}))
        assert await _told(scripted) == []


async def test_ids_outlast_another_shape_and_another_page_size() -> None:
    rows = [{**_FLAT, "marketId": n} for n in (2, 1, 0)]
    async with scripted_venue() as scripted:
        _say(scripted, funding=_page(*rows))
        whole = await _told(scripted)
        scripted.say(
            _FUNDING, _page(*rows[:2], after="b"), _page(rows[1], after="a"), _page(rows[2])
        )
        assert await _told(scripted) == whole
        assert [one.symbol for one in whole] == [SYMBOL, "1", "2"]
        targets = scripted.seen[_FUNDING][1:]
    assert [target.rpartition("startInclusive=")[2] for target in targets[1:]] == ["b", "a"]
    assert all("since=1970-01-01T00%3A00%3A00.000Z" in target for target in targets)


async def test_two_rows_of_one_market_and_moment_are_both_told() -> None:
    first, second = _FLAT, {**_FLAT, "fundingPnl": -0.5}
    async with scripted_venue() as scripted:
        _say(scripted, funding=_page(second, first))
        told = {one.payment_id: one.amount for one in await _told(scripted)}
        assert told == {
            f"funding-0-{_AT_MS}": Decimal("0.125"),
            f"funding-0-{_AT_MS}-2": Decimal("-0.5"),
        }


async def test_what_was_before_is_left_out_though_the_venue_lists_it() -> None:
    async with scripted_venue() as scripted:
        _say(scripted, funding=_page(_FLAT))
        assert await _told(scripted, _AT_MS + 1) == []
        assert len(await _told(scripted, _AT_MS)) == 1
        assert "since=2026-09-10T11%3A00%3A00.251Z" in scripted.seen[_FUNDING][0]


@pytest.mark.parametrize(
    "row", [{**_FLAT, "marketId": None}, {**_FLAT, "time": "noon"}, {"time": _AT, "marketId": 0}]
)
async def test_an_unreadable_row_is_no_answer(row: dict[str, Any]) -> None:
    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:
        _say(scripted, funding=_page(row))
        with pytest.raises(Unresolved):
            await venue.account.payments(0)


async def test_pages_without_an_end_are_given_up() -> None:
    async with scripted_venue() as scripted:
        _say(scripted, funding=_page(_FLAT, after="again"))
        async with running(scripted, hold=False, rate={"requests_per_min": 60_000}) as venue:
            with pytest.raises(Unresolved, match="pages"):
                await venue.account.payments(0)
        assert len(scripted.seen[_FUNDING]) < 1_000


@pytest.mark.parametrize("shape", list(FundingShape))
async def test_payments_are_the_engines_however_the_venue_is_read(shape: FundingShape) -> None:
    async with zo_harness(reads=Reads(funding_shape=shape, page=2)) as harness:
        await Stage(harness).still()
        harness.levers.hold(1_000)
        for turn in range(1, 4):
            harness.levers.pay_funding(Decimal(turn) / 10_000)
            harness.levers.deposit(Decimal(10 * turn))
            harness.levers.withdraw(Decimal(turn))
        told = sorted(one.amount for one in await harness.venue.account.payments(0))
        booked = sorted(one.amount for one in harness.levers.payments())
        # The venue writes ten decimals.
        assert all(
            abs(one - other) < Decimal("1e-9") for one, other in zip(told, booked, strict=True)
        )
