"""The adapter against answers written by hand: what it sends, and what it concludes."""

from dataclasses import replace
from decimal import Decimal

import pytest

from desk.errors import NotSent, Refused, Unresolved
from desk.orders import (
    OutcomeKind,
    RejectReason,
)
from desk.risk.approval import SEAL, Approved
from tests.venues.ocx.scripted import (
    INSTRUMENT,
    SYMBOL,
    Answer,
    ladder,
    running,
    scripted_venue,
)

BULK, CANCEL = "/perps/quotes/bulk", "/perps/orders/cancel-all"
A, R, U = OutcomeKind.ACCEPTED, OutcomeKind.REJECTED, OutcomeKind.UNRESOLVED


async def test_a_ladder_is_one_atomic_call_and_its_answer_is_read() -> None:
    async with scripted_venue() as scripted, running(scripted) as venue:
        scripted.say(
            BULK,
            Answer(
                body=b'{"orders":[{"clientOrderId":"c0","orderId":"v0","status":"open"},'
                b'{"clientOrderId":"c1","status":"rejected","error":"POST_ONLY_WOULD_TAKE"}]}'
            ),
        )
        outcome = await venue.execution.send(ladder(), INSTRUMENT)
        (sent,) = scripted.seen[BULK]
    assert sent.headers["x-api-key"] == "ocx_sk_x"
    assert sent.headers["content-type"] == "application/json"
    assert isinstance(sent.json, dict)
    assert (sent.json["cancelAll"], sent.json["quoteId"]) == (True, "q1")
    assert [level["price"] for level in sent.json["levels"]] == ["64250.00", "64249.99"]
    assert [order.kind for order in outcome.orders] == [A, R]
    assert outcome.orders[1].reason is RejectReason.POST_ONLY
    assert outcome.orders[0].venue_order_id == "v0"
    assert outcome.old_gone is True
    assert outcome.answered_ns is not None
    assert outcome.sent_ns <= outcome.answered_ns


@pytest.mark.parametrize(
    ("answer", "kind", "reason", "old_gone"),
    [
        (Answer(status=422, body=b'{"error":"INSUFFICIENT_MARGIN"}'), R, RejectReason.MARGIN, None),
        (Answer(status=404), R, RejectReason.UNKNOWN_MARKET, None),
        (Answer(status=400), R, RejectReason.INVALID, False),
        (Answer(status=401), R, RejectReason.AUTH, False),
        (Answer(status=403), R, RejectReason.FORBIDDEN, False),
        (Answer(status=409, body=b'{"error":"MARKET_HALTED"}'), R, RejectReason.HALTED, None),
        (Answer(status=409), U, RejectReason.DUPLICATE, None),
        (Answer(status=500), U, None, None),
        (Answer(status=503), U, None, None),
        (Answer(cut=True), U, None, None),
        (Answer(body=b"<html>"), U, None, None),
    ],
)
async def test_an_outcome_is_never_more_certain_than_the_answer(
    answer: Answer, kind: OutcomeKind, reason: RejectReason | None, old_gone: bool | None
) -> None:
    async with scripted_venue() as scripted, running(scripted) as venue:
        scripted.say(BULK, answer)
        outcome = await venue.execution.send(ladder(), INSTRUMENT)
        assert len(scripted.seen[BULK]) == 1
    assert {order.kind for order in outcome.orders} == {kind}
    assert {order.reason for order in outcome.orders} == {reason}
    assert outcome.old_gone is old_gone


async def test_a_rate_limit_holds_ladders_back_but_never_cancels() -> None:
    async with scripted_venue() as scripted, running(scripted) as venue:
        scripted.say(
            BULK, Answer(status=429, body=b'{"code":"ORDER_RATE_LIMIT","retryAfterMs":60000}')
        )
        scripted.say(CANCEL, Answer(body=b'{"cancelled":3}'))
        first = await venue.execution.send(ladder(), INSTRUMENT)
        second = await venue.execution.send(ladder(), INSTRUMENT)
        cancelled = await venue.execution.cancel_all(INSTRUMENT)
        assert len(scripted.seen[BULK]) == 1
        assert scripted.seen[CANCEL][0].json == {"marketId": SYMBOL}
    assert first.retry_after_s == 60
    assert first.old_gone is False
    assert second.retry_after_s is not None
    assert 0 < second.retry_after_s <= 60
    assert second.orders[0].message.startswith("not sent")
    assert (cancelled.confirmed, cancelled.cancelled) == (True, 3)


async def test_the_local_budget_keeps_a_share_for_cancels() -> None:
    rate = {"order_per_min": 3, "reserve_for_cancel": 1}
    async with scripted_venue() as scripted, running(scripted, rate=rate) as venue:
        for _ in range(4):
            outcome = await venue.execution.send(ladder(), INSTRUMENT)
        assert len(scripted.seen[BULK]) == 2
        assert outcome.retry_after_s is not None
        assert (await venue.execution.cancel(INSTRUMENT, "c1")).confirmed
        with pytest.raises(NotSent):
            await venue.execution.cancel(INSTRUMENT, "c1")
        assert (await venue.execution.cancel_all(None)).confirmed
        assert [one.json for one in scripted.seen[CANCEL]] == [
            {"marketId": SYMBOL, "clientOrderId": "c1"},
            {},
        ]


async def test_the_other_credential_is_tried_once_and_then_remembered() -> None:
    async with scripted_venue() as scripted, running(scripted, session_jwt="jwt") as venue:
        scripted.say(BULK, Answer(status=401), Answer())
        outcome = await venue.execution.send(ladder(), INSTRUMENT)
        again = await venue.execution.send(ladder(), INSTRUMENT)
        sent = scripted.seen[BULK]
    assert {order.kind for order in (*outcome.orders, *again.orders)} == {A}
    assert ["x-api-key" in one.headers for one in sent] == [True, False, False]
    assert sent[1].headers["cookie"] == "astra_session=jwt"


async def test_the_other_credential_is_not_tried_when_the_first_was_refused_too_late() -> None:
    async with scripted_venue() as scripted, running(scripted, session_jwt="jwt") as venue:
        scripted.say(BULK, Answer(status=401, slow_s=0.7), Answer())
        outcome = await venue.execution.send(ladder(), INSTRUMENT)
        assert len(scripted.seen[BULK]) == 1
    assert {order.reason for order in outcome.orders} == {RejectReason.NOT_SENT}


async def test_a_batch_that_is_refused_before_sending_changes_nothing() -> None:
    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:
        outcome = await venue.execution.send(ladder(), INSTRUMENT)
        assert not scripted.seen[BULK]
        assert outcome.old_gone is False
        assert outcome.orders[0].kind is R
        with pytest.raises(ValueError, match="at most"):
            venue.execution.send(ladder(levels=21), INSTRUMENT)


async def test_a_second_batch_of_a_market_in_flight_is_a_fault_of_the_caller() -> None:
    async with scripted_venue() as scripted, running(scripted) as venue:
        first = venue.execution.send(ladder(), INSTRUMENT)
        with pytest.raises(ValueError, match="in flight"):
            venue.execution.send(ladder(), INSTRUMENT)
        assert (await first).orders[0].kind is A


async def test_an_empty_ladder_is_a_cancel_of_its_market() -> None:
    async with scripted_venue() as scripted, running(scripted) as venue:
        empty = replace(ladder().value, orders=())
        outcome = await venue.execution.send(Approved(empty, seal=SEAL), INSTRUMENT)
        assert scripted.seen[CANCEL][0].json == {"marketId": SYMBOL}
        assert not scripted.seen[BULK]
    assert outcome.old_gone is True
    assert not outcome.unresolved


async def test_cancels_without_a_running_venue_find_their_way() -> None:
    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:
        assert (await venue.execution.cancel_all(None)).confirmed
        scripted.say(CANCEL, Answer(status=500), Answer(status=403), Answer(status=404))
        with pytest.raises(Unresolved):
            await venue.execution.cancel_all(None)
        with pytest.raises(Refused):
            await venue.execution.cancel_all(None)


async def test_an_order_the_venue_does_not_know_counts_as_cancelled() -> None:
    async with scripted_venue() as scripted, running(scripted) as venue:
        scripted.say(CANCEL, Answer(status=404, body=b'{"error":"UNKNOWN_ORDER"}'))
        assert (await venue.execution.cancel(INSTRUMENT, "c9")).confirmed


async def test_a_session_is_fetched_with_the_wallet_and_renewed_after_a_401() -> None:
    cookie = {"Set-Cookie": "astra_session=t0k; HttpOnly; Secure; Path=/"}
    async with scripted_venue() as scripted:
        scripted.say("/auth/nonce", Answer(body=b'{"nonce":"n1"}'), Answer(body=b'{"nonce":"n2"}'))
        scripted.say("/auth/siwe", Answer(headers=cookie))
        async with running(scripted, api_key=None, wallet_key="0x" + "11" * 32) as venue:
            scripted.say("/perps/balances", Answer(status=401), Answer(body=b'{"equity":"5"}'))
            scripted.say("/perps/positions", Answer(body=b"[]"))
            balance = await venue.account.balance()
            assert (await venue.execution.send(ladder(), INSTRUMENT)).orders[0].kind is A
        reads = scripted.seen["/perps/balances"]
        assert [one.headers["cookie"] for one in reads] == ["astra_session=t0k"] * 2
        messages = [one.json for one in scripted.seen["/auth/siwe"]]
    assert balance.equity == 5
    assert len(messages) == 2
    assert all(isinstance(one, dict) for one in messages)
    assert "Nonce: n1\n" in str(messages[0]["message"])  # type: ignore[index]
    assert "Nonce: n2\n" in str(messages[1]["message"])  # type: ignore[index]


async def test_fills_are_read_through_pages_that_share_a_millisecond() -> None:
    def page(*moments: int) -> Answer:
        rows = ",".join(
            f'{{"marketId":"{SYMBOL}","side":"buy","price":"1","quantity":"1","createdAt":{at},'
            '"fee":"0.1"}'
            for at in moments
        )
        return Answer(body=f"[{rows}]".encode())

    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:
        scripted.say("/perps/trades", page(5, 6, 7), page(7, 7, 8), page(8))
        fills = await venue.account.fills(INSTRUMENT, 5)
        asked = [one.target for one in scripted.seen["/perps/trades"]]
    assert [fill.traded_at_ms for fill in fills] == [5, 6, 7, 7, 8]
    assert len({fill.trade_id for fill in fills}) == 5
    assert [target.partition("from=")[2].partition("&")[0] for target in asked] == ["5", "7", "8"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(status=500), Unresolved),
        (Answer(body=b"oops"), Unresolved),
        (Answer(cut=True), Unresolved),
        (Answer(status=403), Refused),
    ],
)
async def test_reads_say_what_may_be_concluded(answer: Answer, error: type[Exception]) -> None:
    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:
        scripted.say("/perps/orders", answer)
        with pytest.raises(error):
            await venue.account.open_orders(None)


async def test_reads_of_an_unreachable_venue_were_not_sent() -> None:
    async with scripted_venue() as scripted:
        gone = scripted.base_url
    scripted.base_url = gone
    async with running(scripted, hold=False) as venue:
        with pytest.raises(NotSent):
            await venue.account.balance()


async def test_markets_come_with_the_accounts_fees_or_else_the_configured_ones() -> None:
    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:
        scripted.say(
            "/perps/markets",
            Answer(body=b'[{"id":"A","marketType":"perp","priceDecimals":1,"sizeDecimals":0}]'),
        )
        scripted.say("/perps/fees", Answer(body=b'{"makerBps":"-1"}'), Answer(status=404))
        (told,) = await venue.instruments()
        (silent,) = await venue.instruments()
        assert scripted.seen["/perps/fees"][0].headers["x-api-key"] == "ocx_sk_x"
    assert (told.maker_fee_bps, told.taker_fee_bps) == (Decimal(-1), Decimal(5))
    assert silent.maker_fee_bps == Decimal(2)


async def test_the_clock_is_compared_to_half_a_second() -> None:
    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:
        assert abs(await venue.clock_offset_ms()) <= 1_500
