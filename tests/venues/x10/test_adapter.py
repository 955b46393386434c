"""The adapter against answers written by hand: what it sends, and what it concludes."""

import asyncio
import time
from decimal import Decimal
from typing import Any

import pytest
from fast_stark_crypto import verify

from desk.errors import Refused, Unresolved
from desk.orders import OutcomeKind, RejectReason, TimeInForce
from tests.venues.ocx.scripted import Answer, Seen
from tests.venues.x10.scripted import (
    ACCOUNT,
    INSTRUMENT,
    KEY,
    MASS,
    ORDER,
    PRIVATE_KEY,
    SYMBOL,
    TIMER,
    batch,
    error,
    ok,
    quote,
    running,
    scripted_x10,
)
from venues._transport.secret import Secret
from venues.x10.signing import Amounts, Settlement, Signer

A, R, U = OutcomeKind.ACCEPTED, OutcomeKind.REJECTED, OutcomeKind.UNRESOLVED
_CANCEL = "DELETE /user/order"
_OPEN = "GET /user/orders"


def _sent(seen: Seen) -> dict[str, Any]:
    assert isinstance(seen.json, dict)
    return seen.json


def _signed_for(body: dict[str, Any]) -> bool:
    signer = Signer(private_key=Secret(PRIVATE_KEY), vault=10_002, domain="SN_SEPOLIA")
    stated, signature = body["debuggingAmounts"], body["settlement"]["signature"]
    hashed = signer.order_hash(
        Amounts(
            base=int(stated["syntheticAmount"]),
            quote=int(stated["collateralAmount"]),
            fee=int(stated["feeAmount"]),
        ),
        Settlement(
            synthetic_id=0x4254432D3600000000000000000000,
            synthetic_resolution=10**6,
            collateral_id=1,
            collateral_resolution=10**6,
        ),
        nonce=int(body["nonce"]),
        expiry_s=body["expiryEpochMillis"] // 1_000,
    )
    return verify(signer.public_key, hashed, int(signature["r"], 16), int(signature["s"], 16))


async def test_an_order_is_one_signed_call_with_everything_the_venue_asks_for() -> None:
    async with scripted_x10() as scripted, running(scripted) as venue:
        before_s = time.time()
        outcome = await venue.execution.send(batch(quote(replaces="old")), INSTRUMENT)
        (seen,) = scripted.seen[ORDER]
    body = _sent(seen)
    assert seen.headers["x-api-key"] == KEY
    assert seen.headers["user-agent"] == "flotilla"
    assert seen.headers["content-type"] == "application/json"
    expected = {
        "id": "c0",
        "market": SYMBOL,
        "type": "LIMIT",
        "side": "BUY",
        "qty": "0.00100",
        "price": "80000",
        "reduceOnly": False,
        "postOnly": True,
        "timeInForce": "GTT",
        "fee": "0.00025",
        "selfTradeProtectionLevel": "ACCOUNT",
        "cancelId": "old",
        "debuggingAmounts": {
            "collateralAmount": "-80000000",
            "feeAmount": "20000",
            "syntheticAmount": "1000",
        },
    }
    assert {name: body[name] for name in expected} == expected
    assert body["settlement"]["collateralPosition"] == "10002"
    assert body["expiryEpochMillis"] % 1_000 == 0
    assert 899 <= body["expiryEpochMillis"] / 1_000 - before_s <= 903
    assert 1 <= int(body["nonce"]) <= 2**31 - 1
    assert _signed_for(body)
    (order,) = outcome.orders
    assert (order.kind, order.venue_order_id) == (A, "2100000000000000001")
    assert order.replaced_gone is None
    assert outcome.old_gone is False
    assert outcome.answered_ns is not None
    assert outcome.sent_ns <= outcome.answered_ns


async def test_bytes_are_on_the_socket_when_send_returns() -> None:
    async with scripted_x10() as scripted, running(scripted) as venue:
        answer = venue.execution.send(batch(quote("a"), quote("b")), INSTRUMENT)
        await scripted.until(lambda: len(scripted.seen[ORDER]) == 2)
        assert {one.kind for one in (await answer).orders} == {A}


async def test_orders_of_a_batch_have_different_nonces_and_no_needless_fields() -> None:
    async with scripted_x10() as scripted, running(scripted) as venue:
        ioc = quote("b", time_in_force=TimeInForce.IOC, post_only=False)
        await venue.execution.send(batch(quote("a"), ioc), INSTRUMENT)
        bodies = {one["id"]: one for one in map(_sent, scripted.seen[ORDER])}
    assert bodies["a"]["nonce"] != bodies["b"]["nonce"]
    assert (bodies["b"]["timeInForce"], bodies["b"]["postOnly"]) == ("IOC", False)
    assert "cancelId" not in bodies["a"]


@pytest.mark.parametrize(
    ("answer", "kind", "reason", "gone"),
    [
        (error(1140), R, RejectReason.MARGIN, False),
        (error(1140, status=200), R, RejectReason.MARGIN, False),
        (error(1142), R, RejectReason.UNKNOWN_ORDER, True),
        (error(1142, status=422), R, RejectReason.UNKNOWN_ORDER, True),
        (error(1134), U, RejectReason.DUPLICATE, None),
        (error(1006), U, None, None),
        (error(500, status=500), U, None, None),
        (Answer(status=401), R, RejectReason.AUTH, False),
        (Answer(status=403), R, RejectReason.FORBIDDEN, False),
        (Answer(status=429), R, RejectReason.RATE_LIMITED, False),
        (Answer(status=503), U, None, None),
        (Answer(cut=True), U, None, None),
        (Answer(body=b"<html>"), U, None, None),
    ],
)
async def test_an_outcome_is_never_more_certain_than_the_answer(
    answer: Answer, kind: OutcomeKind, reason: RejectReason | None, gone: bool | None
) -> None:
    async with scripted_x10() as scripted, running(scripted) as venue:
        scripted.say(ORDER, answer)
        outcome = await venue.execution.send(batch(quote(replaces="old")), INSTRUMENT)
        assert len(scripted.seen[ORDER]) == 1
    (order,) = outcome.orders
    assert (order.kind, order.reason, order.replaced_gone) == (kind, reason, gone)


async def test_what_replaces_nothing_says_nothing_of_an_old_order() -> None:
    async with scripted_x10() as scripted, running(scripted) as venue:
        scripted.say(ORDER, error(1140))
        outcome = await venue.execution.send(batch(quote()), INSTRUMENT)
    assert outcome.orders[0].replaced_gone is None


async def test_a_time_out_is_unresolved() -> None:
    async with scripted_x10() as scripted, running(scripted, request_timeout_s=0.2) as venue:
        scripted.hold(ORDER)
        outcome = await venue.execution.send(batch(quote()), INSTRUMENT)
    assert outcome.orders[0].kind is U
    assert outcome.answered_ns is None


@pytest.mark.parametrize(
    "order",
    [
        quote(time_in_force=TimeInForce.FOK),
        quote(time_in_force=TimeInForce.IOC),
        quote('c"0'),
        quote("x" * 65),
        quote(replaces="a b"),
    ],
)
async def test_what_the_venue_cannot_take_is_not_sent(order: Any) -> None:
    async with scripted_x10() as scripted, running(scripted) as venue:
        outcome = await venue.execution.send(batch(order, quote("good")), INSTRUMENT)
        assert [_sent(one)["id"] for one in scripted.seen[ORDER]] == ["good"]
    refused, placed = outcome.orders
    assert (refused.kind, refused.reason) == (R, RejectReason.INVALID)
    assert refused.message.startswith("not sent")
    assert placed.kind is A


async def test_only_so_many_orders_are_in_flight_and_cancels_do_not_wait() -> None:
    async with scripted_x10() as scripted, running(scripted, max_in_flight=2) as venue:
        release = scripted.hold(ORDER)
        names = [f"c{number}" for number in range(5)]
        answer = asyncio.ensure_future(venue.execution.send(batch(*map(quote, names)), INSTRUMENT))
        await scripted.until(lambda: len(scripted.seen[ORDER]) == 2)
        assert (await venue.execution.cancel_all(INSTRUMENT)).confirmed
        assert (await venue.execution.cancel(INSTRUMENT, "c9")).confirmed
        assert len(scripted.seen[ORDER]) == 2
        release.set()
        outcome = await answer
        assert [_sent(one)["id"] for one in scripted.seen[ORDER]] == names
    assert [one.client_order_id for one in outcome.orders] == names
    assert {one.kind for one in outcome.orders} == {A}


async def test_signing_in_threads_sends_the_same_orders() -> None:
    async with scripted_x10() as scripted, running(scripted, sign_in_threads=2) as venue:
        outcome = await venue.execution.send(batch(quote("a"), quote("b")), INSTRUMENT)
        bodies = list(map(_sent, scripted.seen[ORDER]))
    assert {one.kind for one in outcome.orders} == {A}
    assert {body["id"] for body in bodies} == {"a", "b"}
    assert all(map(_signed_for, bodies))


async def test_an_unread_market_is_read_before_it_is_signed_for() -> None:
    async with scripted_x10() as scripted, running(scripted, learn=False) as venue:
        assert not scripted.seen["GET /info/markets"]
        outcome = await venue.execution.send(batch(quote()), INSTRUMENT)
        assert outcome.orders[0].kind is A
        scripted.say("GET /info/markets", ok([]))
    async with scripted_x10() as scripted, running(scripted, learn=False) as venue:
        scripted.say("GET /info/markets", ok([]))
        outcome = await venue.execution.send(batch(quote()), INSTRUMENT)
        assert not scripted.seen[ORDER]
    assert outcome.orders[0].reason is RejectReason.UNKNOWN_MARKET


async def test_named_cancels_go_first_and_their_end_is_heard_on_the_stream() -> None:
    async with scripted_x10() as scripted, running(scripted, cancel_grace_ms=5_000) as venue:
        answer = asyncio.ensure_future(
            venue.execution.send(batch(quote("new"), cancels=("old",)), INSTRUMENT)
        )
        await scripted.until(lambda: scripted.seen[ORDER])
        assert scripted.seen[_CANCEL][0].target.endswith("?externalId=old")
        ended = {"id": 1, "market": SYMBOL, "side": "BUY", "status": "CANCELLED", "qty": "0.001"}
        data = {"orders": [{**ended, "externalId": "old"}]}
        await scripted.feed(ACCOUNT, {"type": "ORDER", "seq": 1, "ts": 1, "data": data})
        outcome = await answer
    assert (outcome.old_gone, outcome.orders[0].kind) == (True, A)


@pytest.mark.parametrize(("listed", "gone"), [(False, True), (True, None)])
async def test_without_news_a_listing_says_whether_the_old_orders_are_gone(
    listed: bool, gone: bool | None
) -> None:
    async with scripted_x10() as scripted, running(scripted) as venue:
        old = {"id": 1, "market": SYMBOL, "side": "BUY", "status": "NEW", "qty": "0.001"}
        scripted.say(_OPEN, ok([{**old, "externalId": "old", "price": "1"}] if listed else []))
        outcome = await venue.execution.send(batch(cancels=("old",)), INSTRUMENT)
    assert outcome.old_gone is gone
    assert outcome.orders == ()


async def test_an_unknown_order_is_gone_without_asking() -> None:
    async with scripted_x10() as scripted, running(scripted) as venue:
        scripted.say(_CANCEL, error("NOT_FOUND", status=404))
        outcome = await venue.execution.send(batch(cancels=("old",)), INSTRUMENT)
        single = await venue.execution.cancel(INSTRUMENT, "old")
        assert not scripted.seen[_OPEN]
    assert outcome.old_gone is True
    assert (single.confirmed, single.cancelled) == (True, 0)


@pytest.mark.parametrize(("answer", "gone"), [(Answer(status=503), None), (error(1010), False)])
async def test_no_order_is_sent_when_its_cancels_fail(answer: Answer, gone: bool | None) -> None:
    async with scripted_x10() as scripted, running(scripted) as venue:
        scripted.say(_CANCEL, answer)
        outcome = await venue.execution.send(batch(quote(), cancels=("old",)), INSTRUMENT)
        assert not scripted.seen[ORDER]
    assert outcome.old_gone is gone
    assert outcome.orders[0].message.startswith("not sent: its cancels failed")


async def test_a_replaced_market_is_seen_empty_before_new_orders_go() -> None:
    old = {"id": 1, "market": SYMBOL, "side": "BUY", "status": "NEW", "qty": "1", "price": "1"}
    async with scripted_x10() as scripted, running(scripted) as venue:
        scripted.say(_OPEN, ok([old]), ok([]))
        outcome = await venue.execution.send(batch(quote(), replace_all=True), INSTRUMENT)
        assert scripted.seen[MASS][0].json == {"markets": [SYMBOL]}
        assert len(scripted.seen[_OPEN]) == 2
        assert (outcome.old_gone, outcome.orders[0].kind) == (True, A)
        scripted.say(_OPEN, ok([old]))
        outcome = await venue.execution.send(batch(quote(), replace_all=True), INSTRUMENT)
        assert len(scripted.seen[ORDER]) == 1
    assert (outcome.old_gone, outcome.orders[0].kind) == (None, R)


async def test_a_mass_cancel_has_exactly_one_selector() -> None:
    async with scripted_x10() as scripted, running(scripted) as venue:
        await venue.execution.cancel_all(INSTRUMENT)
        await venue.execution.cancel_all(None)
        assert [one.json for one in scripted.seen[MASS]] == [
            {"markets": [SYMBOL]},
            {"cancelAll": True},
        ]
        scripted.say(MASS, error(1010))
        with pytest.raises(Refused) as refusal:
            await venue.execution.cancel_all(None)
        assert refusal.value.reason is RejectReason.HALTED
        scripted.say(MASS, Answer(cut=True))
        with pytest.raises(Unresolved):
            await venue.execution.cancel_all(None)


async def test_cancels_work_without_a_running_venue() -> None:
    async with scripted_x10() as scripted, running(scripted, hold=False) as venue:
        assert (await venue.execution.cancel_all(None)).confirmed
        outcome = await venue.execution.send(batch(quote()), INSTRUMENT)
        assert not scripted.seen[ORDER]
    assert outcome.orders[0].message.startswith("not sent")


async def test_a_rate_limit_holds_orders_back_but_never_cancels() -> None:
    async with scripted_x10() as scripted, running(scripted) as venue:
        scripted.say(ORDER, Answer(status=429, headers={"Retry-After": "60"}))
        first = await venue.execution.send(batch(quote()), INSTRUMENT)
        second = await venue.execution.send(batch(quote("c1", replaces="c0")), INSTRUMENT)
        assert len(scripted.seen[ORDER]) == 1
        assert (await venue.execution.cancel_all(INSTRUMENT)).confirmed
        assert list(await venue.account.open_orders(INSTRUMENT)) == []
    assert first.retry_after_s == 60
    assert second.retry_after_s is not None
    assert 0 < second.retry_after_s <= 60
    (order,) = second.orders
    assert (order.reason, order.replaced_gone) == (RejectReason.RATE_LIMITED, False)


async def test_the_local_budget_keeps_a_share_for_cancels() -> None:
    rate = {"per_min": 12, "headroom": 0, "reserve_for_cancel": 2}
    async with scripted_x10() as scripted, running(scripted, hold=False, rate=rate) as venue:
        assert len(scripted.seen["GET /info/markets"]) == 1
        for _ in range(2):
            assert (await venue.execution.cancel(INSTRUMENT, "a")).confirmed
        outcome = await venue.execution.send(
            batch(*(quote(f"c{number}") for number in range(10))), INSTRUMENT
        )
        reasons = [one.reason for one in outcome.orders]
        # Two reads and two cancels are gone of twelve; two more are kept back.
        assert reasons.count(RejectReason.RATE_LIMITED) == 4
        # What is kept back is gone after two more; no cancel ever waits for that.
        for _ in range(4):
            assert (await venue.execution.cancel(INSTRUMENT, "a")).confirmed
        assert (await venue.execution.cancel_all(None)).confirmed
        assert len(scripted.seen[_CANCEL]) == 6


async def test_an_order_is_found_while_it_rests_and_only_then() -> None:
    call = "GET /user/orders/external/c0"
    order = {"id": 7, "market": SYMBOL, "side": "SELL", "qty": "0.001", "price": "90000"}
    async with scripted_x10() as scripted, running(scripted) as venue:
        scripted.say(call, ok([{**order, "status": "PARTIALLY_FILLED", "filledQty": "0.0004"}]))
        found = await venue.execution.find(INSTRUMENT, "c0")
        assert found is not None
        assert (found.remaining, found.price, found.venue_order_id) == (60, 90_000, "7")
        for gone in (ok([{**order, "status": "CANCELLED"}]), ok([]), error("NOT_FOUND", 404)):
            scripted.say(call, gone)
            assert await venue.execution.find(INSTRUMENT, "c0") is None
        scripted.say(call, Answer(status=500))
        with pytest.raises(Unresolved):
            await venue.execution.find(INSTRUMENT, "c0")


async def test_all_orders_are_listed_in_one_read_and_strangers_are_kept() -> None:
    one = {"id": 1, "side": "BUY", "status": "NEW", "qty": "0.001", "price": "80000"}
    async with scripted_x10() as scripted, running(scripted) as venue:
        scripted.say(
            _OPEN,
            ok(
                [
                    {**one, "market": SYMBOL, "externalId": "c0"},
                    {**one, "market": "STRANGE-USD", "status": "SOMETHING_NEW"},
                    {**one, "market": SYMBOL, "status": "CANCELLED"},
                ]
            ),
        )
        listed = await venue.account.open_orders(None)
        assert scripted.seen[_OPEN][0].target == "/api/v1/user/orders"
    assert [(order.symbol, order.client_order_id) for order in listed] == [
        (SYMBOL, "c0"),
        ("STRANGE-USD", None),
    ]
    assert [order.remaining for order in listed] == [100, 100_000]


async def test_a_missing_balance_is_zero_and_an_error_is_not() -> None:
    async with scripted_x10() as scripted, running(scripted) as venue:
        scripted.say("GET /user/balance", error("NOT_FOUND", 404))
        assert (await venue.account.balance()).equity == 0
        scripted.say("GET /user/balance", ok({"equity": "10.5", "availableForTrade": "9"}))
        balance = await venue.account.balance()
        assert (balance.equity, balance.available) == (Decimal("10.5"), Decimal(9))
        scripted.say("GET /user/balance", Answer(status=401))
        with pytest.raises(Refused):
            await venue.account.balance()


async def test_only_markets_with_an_open_order_book_may_be_quoted() -> None:
    from tests.venues.x10.scripted import MARKET  # noqa: PLC0415 - for this case alone

    changes: list[dict[str, object]] = [
        {"name": "A-USD"},
        {"name": "B-USD", "status": "REDUCE_ONLY"},
        {"name": "C-USD", "status": None, "active": False},
        {"name": "D-USD", "isRfq": True},
        {"name": "E-USD", "type": "SPOT"},
        {"name": "F-USD", "status": None},
    ]
    async with scripted_x10() as scripted, running(scripted, learn=False) as venue:
        scripted.say("GET /info/markets", ok([{**MARKET, **change} for change in changes]))
        scripted.say("GET /user/fees", Answer(status=403))
        listed = await venue.instruments()
    assert {"B-USD", "C-USD"} < {one.symbol for one in listed}, "they may still have to be left"
    offered = [one for one in listed if one.active]
    assert [one.symbol for one in offered] == ["A-USD", "F-USD"]
    assert {(one.tick_size, one.lot_size, one.min_lots) for one in offered} == {
        (Decimal(1), Decimal("0.00001"), 10)
    }
    assert {(one.maker_fee_bps, one.taker_fee_bps) for one in offered} == {
        (Decimal(0), Decimal("2.5"))
    }


async def test_fills_are_paged_back_to_the_time_asked_for() -> None:
    def trade(number: int) -> dict[str, object]:
        return {
            "id": 2**60 + number,
            "market": SYMBOL,
            "orderId": 5,
            "side": "SELL",
            "price": "80000",
            "qty": "0.001",
            "fee": "0.02",
            "createdTime": 1_000 + number,
            "isTaker": number % 2 == 0,
        }

    async with scripted_x10() as scripted, running(scripted, trades_page=3) as venue:
        scripted.say(
            "GET /user/trades",
            ok([trade(9), trade(8), trade(7)], 2**60 + 7),
            ok([trade(6), trade(5), trade(4)], 2**60 + 4),
            ok([trade(3)], 2**60 + 3),
            ok([]),
        )
        scripted.seen.clear()
        fills = await venue.account.fills(INSTRUMENT, 1_005)
        targets = [one.target for one in scripted.seen["GET /user/trades"]]
    assert [fill.traded_at_ms for fill in fills] == [1_005, 1_006, 1_007, 1_008, 1_009]
    assert fills[0].trade_id == str(2**60 + 5)
    assert (fills[0].fee, fills[0].fee_estimated) == (Decimal("0.02"), False)
    assert [one.partition("?")[2] for one in targets] == [
        f"market={SYMBOL}&limit=3",
        f"market={SYMBOL}&limit=3&cursor={2**60 + 7}",
    ]


async def test_the_timer_is_asked_for_once_in_a_third_of_its_time() -> None:
    async with scripted_x10() as scripted, running(scripted) as venue:
        assert venue.dead_man is not None
        started_ns = time.monotonic_ns()
        first = await venue.dead_man.keep("a")
        assert await venue.dead_man.keep("b") == first
        assert [one.target.partition("?")[2] for one in scripted.seen[TIMER]] == [
            "countdownTime=30"
        ]
        assert 29 * 10**9 < first - started_ns < 31 * 10**9
        assert await venue.dead_man.release("a") is False
        scripted.say(_OPEN, ok([{"id": 1, "market": "X", "side": "BUY", "status": "NEW",
                                 "qty": "1", "price": "1"}]))  # fmt: skip
        assert await venue.dead_man.release("b") is False
        scripted.say(_OPEN, ok([]))
        assert await venue.dead_man.release("b") is True
        assert scripted.seen[TIMER][-1].target.endswith("countdownTime=0")
        await venue.dead_man.keep("a")
        assert len(scripted.seen[TIMER]) == 3


async def test_a_timer_that_was_not_set_is_never_said_to_be() -> None:
    async with scripted_x10() as scripted, running(scripted, unit="milliseconds") as venue:
        assert venue.dead_man is not None
        for answer in (error(1010, status=200), error(1010), Answer(status=429)):
            scripted.say(TIMER, answer)
            with pytest.raises(Refused):
                await venue.dead_man.keep("a")
        scripted.say(TIMER, Answer(cut=True))
        with pytest.raises(Unresolved):
            await venue.dead_man.keep("a")
        scripted.say(TIMER, Answer(status=204))
        await venue.dead_man.keep("a")
        assert scripted.seen[TIMER][-1].target.endswith("countdownTime=30000")
        assert len(scripted.seen[TIMER]) == 5


_INFO = "GET /user/account/info"
_PUBLIC = "0x61c5e7e8339b7d56f197f54ea91b776776690e3232313de0f2ecbd0ef76f466"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (ok({"l2Key": _PUBLIC, "l2Vault": 10_002, "status": "ACTIVE"}), []),
        (ok({"l2Key": _PUBLIC, "l2Vault": "10002"}), []),
        (ok({"l2Key": _PUBLIC, "l2Vault": 7}), ["vault:"]),
        (ok({"l2Key": "0x1", "l2Vault": 10_002}), ["private_key:"]),
        (ok({"l2Key": "0x1", "l2Vault": 7, "status": "LOCKED"}), ["vault:", "private_key:", "acc"]),
        (Answer(status=401), ["api_key:"]),
        (Answer(status=403), ["api_key:"]),
    ],
)
async def test_a_diagnosis_names_the_setting_that_does_not_fit(
    answer: Answer, words: list[str]
) -> None:
    async with scripted_x10() as scripted, running(scripted) as venue:
        scripted.say(_INFO, answer)
        found = await venue.diagnose()
    assert len(found) == len(words), found
    assert all(text.startswith(word) for text, word in zip(found, words, strict=True))
    assert PRIVATE_KEY not in "".join(found)


async def test_a_diagnosis_that_cannot_be_made_says_so() -> None:
    async with scripted_x10() as scripted, running(scripted) as venue:
        scripted.say(_INFO, Answer(status=503))
        with pytest.raises(Unresolved):
            await venue.diagnose()


async def test_a_refused_signature_that_nothing_explains_is_of_another_domain() -> None:
    async with scripted_x10() as scripted, running(scripted) as venue:
        scripted.say(_INFO, ok({"l2Key": _PUBLIC, "l2Vault": 10_002}))
        scripted.say(ORDER, error(1101))
        outcome = await venue.execution.send(batch(quote()), INSTRUMENT)
        assert outcome.orders[0].reason is RejectReason.AUTH
        (found,) = await venue.diagnose()
    assert found.startswith("domain:")
    assert "SN_SEPOLIA" in found
