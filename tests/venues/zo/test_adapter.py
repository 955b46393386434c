"""The adapter against answers written by hand: what it sends, and what it concludes."""

import asyncio
from decimal import Decimal

import pytest

from desk.errors import Refused, Unresolved
from desk.orders import Batch, OutcomeKind, RejectReason, TimeInForce
from desk.risk.approval import SEAL, Approved
from tests.venues.zo.harness import SystemClock
from tests.venues.zo.scripted import (
    ACCOUNT_ID,
    INSTRUMENT,
    MARKET,
    SCHEMA,
    TAG,
    Answer,
    account,
    batch,
    error,
    name,
    receipt,
    resting,
    running,
    scripted_venue,
)
from tests.venues.zo.vectors import WALLET_ADDRESS
from venues.zo.client_ids import ClientIds
from venues.zo.schema import nord_pb2 as pb

A, R, U = OutcomeKind.ACCEPTED, OutcomeKind.REJECTED, OutcomeKind.UNRESOLVED


async def test_a_requote_goes_out_as_the_fewest_atomics_cancels_first() -> None:
    async with scripted_venue() as scripted, running(scripted, max_batch_orders=6) as venue:
        first = await venue.execution.send(batch(1, 3), INSTRUMENT)
        second = await venue.execution.send(
            batch(2, 3, cancels=(name(1, 0), name(1, 1), name(1, 2))), INSTRUMENT
        )
        placed = scripted.placed()
    assert [order.kind for order in (*first.orders, *second.orders)] == [A] * 6
    assert (first.old_gone, second.old_gone) == (False, True)
    kinds = [[one.WhichOneof("kind") for one in sent.atomic.actions] for sent in placed]
    cancel, place = "cancel_order", "trade_or_place"
    assert kinds == [[place] * 3, [cancel] * 3 + [place], [place] * 2]
    assert {sent.atomic.account_id for sent in placed} == {ACCOUNT_ID}
    gone = [one.cancel_order.order_id for one in placed[1].atomic.actions[:3]]
    assert [str(one) for one in gone] == [order.venue_order_id for order in first.orders]
    order = placed[0].atomic.actions[0].trade_or_place
    assert (order.limit.price, order.limit.size) == (640_000, 100)
    assert ClientIds().text(order.client_order_id, TAG) == name(1, 0)
    assert len({(sent.current_timestamp, sent.nonce) for sent in placed}) == len(placed)


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (error(pb.Error.DUPLICATE), U, RejectReason.DUPLICATE),
        (error(pb.Error.DROPPED), U, RejectReason.OTHER),
        (error(pb.Error.POST_ONLY_MUST_NOT_FILL_ANY_OPPOSITE_ORDERS), R, RejectReason.POST_ONLY),
        (error(pb.Error.RISK_OMF_LESS_THAN_OR_EQUAL_IMF), R, RejectReason.MARGIN),
        (error(pb.Error.TIMESTAMP_OUT_OF_THRESHOLD), R, RejectReason.OTHER),
        (error(pb.Error.ACTION_INVALID_NONCE), R, RejectReason.OTHER),
        (error(pb.Error.SESSION_NOT_FOUND), R, RejectReason.AUTH),
        (error(pb.Error.MARKET_FROZEN), R, RejectReason.HALTED),
        (error(pb.Error.REPEATED_ORDER_ID), R, RejectReason.DUPLICATE),
        (error(60_000), R, RejectReason.OTHER),
        (receipt(pb.Receipt(action_id=3)), U, None),
        (Answer(status=413, body=b'{"limit":1024}'), R, RejectReason.INVALID),
        (Answer(status=403, body=b"<html>no</html>", kind="text/html"), R, RejectReason.FORBIDDEN),
        (Answer(status=500, body=b"{}"), U, None),
        (Answer(body=b"<html>hello</html>", kind="text/html"), U, None),
        (Answer(body=b"<html>hello</html>", kind="application/octet-stream"), U, None),
        (Answer(cut=True), U, None),
    ],
)
async def test_an_outcome_is_never_more_certain_than_the_answer(
    answer: Answer, kind: OutcomeKind, reason: RejectReason | None
) -> None:
    async with scripted_venue() as scripted, running(scripted) as venue:
        await venue.execution.send(batch(1, 1), INSTRUMENT)
        scripted.receipts = [answer]
        outcome = await venue.execution.send(batch(2, 2, cancels=(name(1),)), INSTRUMENT)
        assert len(scripted.placed()) == 2
    assert {(order.kind, order.reason) for order in outcome.orders} == {(kind, reason)}
    assert outcome.old_gone is (None if kind is U else False)
    assert "<" not in outcome.orders[0].message


async def test_a_failed_part_stops_the_parts_behind_it() -> None:
    async with scripted_venue() as scripted, running(scripted) as venue:
        scripted.receipts = [error(pb.Error.POST_ONLY_MUST_NOT_FILL_ANY_OPPOSITE_ORDERS)]
        outcome = await venue.execution.send(batch(1, 6), INSTRUMENT)
        assert len(scripted.placed()) == 1
    assert [order.kind for order in outcome.orders] == [R] * 6
    assert outcome.orders[0].reason is RejectReason.POST_ONLY
    assert outcome.orders[5].message.startswith("not sent")


async def test_a_lost_session_is_replaced_and_the_next_order_goes_through() -> None:
    async with scripted_venue() as scripted, running(scripted) as venue:
        scripted.receipts = [error(pb.Error.SESSION_NOT_FOUND)]
        refused = await venue.execution.send(batch(1, 1), INSTRUMENT)
        accepted = await venue.execution.send(batch(2, 1), INSTRUMENT)
        sessions = [sent.atomic.session_id for sent in scripted.placed()]
    assert (refused.orders[0].kind, accepted.orders[0].kind) == (R, A)
    assert sessions == [42, 43]


async def test_a_moved_schema_stops_orders_in_words_and_leaves_cancels_alone() -> None:
    moved = SCHEMA.replace("uint64 price = 6;", "uint64 price = 16;")
    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:
        scripted.say("/schema.proto", Answer(body=moved.encode(), kind="text/plain"))
        scripted.orders = [resting(5)]
        outcome = await venue.execution.send(batch(1, 1), INSTRUMENT)
        assert scripted.placed() == []
        cancelled = await venue.execution.cancel_all(INSTRUMENT)
    assert "price is field 6 here and field 16 at the venue" in outcome.orders[0].message
    assert (outcome.orders[0].kind, cancelled.confirmed) == (R, True)


async def test_a_paused_engine_halts_orders_in_one_sentence() -> None:
    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:
        scripted.say("/state/info", {"state": {"paused": True}})
        outcome = await venue.execution.send(batch(1, 1), INSTRUMENT)
        found = await venue.diagnose()
        assert scripted.placed() == []
    assert (outcome.orders[0].kind, outcome.orders[0].reason) == (R, RejectReason.HALTED)
    assert list(found) == ["the engine is paused: nothing trades until the venue resumes it"]


async def test_an_rfq_market_is_not_offered_and_its_orders_are_refused_in_words() -> None:
    rfq = {**MARKET, "mode": "rfq"}
    book = {**MARKET, "marketId": 1, "symbol": "ETHUSD", "mode": "clob"}
    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:
        scripted.say("/info", {"markets": [rfq, book], "tokens": []})
        offered = await venue.instruments()
        outcome = await venue.execution.send(batch(1, 1), INSTRUMENT)
        assert scripted.placed() == []
    assert [one.symbol for one in offered] == ["ETHUSD"]
    assert offered[0].maker_fee_bps == Decimal("0.5")
    assert offered[0].taker_fee_bps == Decimal("3.5")
    assert "takes no limit orders" in outcome.orders[0].message


async def test_a_wallet_without_an_account_is_told_to_deposit() -> None:
    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:
        scripted.say(f"/user/{WALLET_ADDRESS}", Answer(status=404, body=b"null"))
        with pytest.raises(Refused, match="the first deposit makes one"):
            await venue.account.balance()


async def test_cancel_all_goes_on_past_errors_until_the_venue_lists_nothing() -> None:
    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:
        scripted.orders = [resting(number) for number in range(100, 110)]
        scripted.receipts = [error(pb.Error.ORDER_NOT_FOUND)]
        outcome = await venue.execution.cancel_all(INSTRUMENT)
        assert scripted.orders == []
        kinds = [one.WhichOneof("kind") for one in scripted.placed()]
    assert outcome.confirmed
    assert kinds.count("cancel_order_by_id") == 4
    assert kinds.count("atomic") == 4


async def test_cancel_all_of_a_market_leaves_the_others() -> None:
    other = {**MARKET, "marketId": 1, "symbol": "ETHUSD"}
    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:
        scripted.say("/info", {"markets": [MARKET, other], "tokens": []})
        scripted.orders = [resting(1), resting(2, market_id=1)]
        await venue.execution.cancel_all(INSTRUMENT)
        assert [one["orderId"] for one in scripted.orders] == ["2"]
        await venue.execution.cancel_all(None)
        assert scripted.orders == []


async def test_neither_cancel_all_nor_a_cancel_waits_for_the_budget() -> None:
    rate = {"cancels_per_s": 1, "requests_per_min": 130, "reserve_for_cancel": 100}
    async with scripted_venue() as scripted, running(scripted, hold=False, rate=rate) as venue:
        scripted.orders = [resting(number) for number in range(20)]
        assert (await venue.execution.cancel_all(INSTRUMENT)).confirmed
        scripted.orders = [resting(77, 5)]
        await venue.account.open_orders(INSTRUMENT)
        assert (await venue.execution.cancel(INSTRUMENT, "5")).confirmed
        sent = scripted.placed()[-1]
    assert sent.cancel_order_by_id.order_id == 77


async def test_one_cancel_names_the_order_by_what_is_known_of_it() -> None:
    async with scripted_venue() as scripted, running(scripted) as venue:
        placed = await venue.execution.send(batch(1, 1), INSTRUMENT)
        known = await venue.execution.cancel(INSTRUMENT, name(1))
        scripted.receipts = [error(pb.Error.ORDER_NOT_FOUND)]
        strange = await venue.execution.cancel(INSTRUMENT, name(9))
        by_id, by_client = scripted.placed()[1:]
    assert by_id.cancel_order_by_id.order_id == int(placed.orders[0].venue_order_id or 0)
    assert by_client.cancel_order_by_client_id.client_order_id == ClientIds().number(
        name(9), TAG, 0
    )
    assert (known.confirmed, strange.confirmed, strange.cancelled) == (True, True, 0)


async def test_an_order_of_an_earlier_process_is_listed_and_found_under_its_own_name() -> None:
    number = ClientIds().number(name(3, 2), TAG, 0)
    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:
        scripted.orders = [resting(11, number), resting(12), resting(13, 1234)]
        listed = await venue.account.open_orders(INSTRUMENT)
        found = await venue.execution.find(INSTRUMENT, name(3, 2))
        absent = await venue.execution.find(INSTRUMENT, name(4, 2))
    assert [one.client_order_id for one in listed] == [name(3, 2), None, "1234"]
    assert [(one.price, one.remaining) for one in listed] == [(640_005, 100)] * 3
    assert found is not None
    assert (found.venue_order_id, absent) == ("11", None)


async def test_more_orders_than_allowed_in_a_second_are_not_sent() -> None:
    rate = {"orders_per_s": 8}
    async with scripted_venue() as scripted, running(scripted, rate=rate) as venue:
        first = await venue.execution.send(batch(1, 5), INSTRUMENT)
        second = await venue.execution.send(batch(2, 4), INSTRUMENT)
        assert len(scripted.placed()) == 2
    assert {order.kind for order in first.orders} == {A}
    assert second.orders[0].message.startswith("not sent")
    assert second.retry_after_s is not None
    assert second.old_gone is False


async def test_a_reduce_only_order_that_would_rest_never_leaves() -> None:
    async with scripted_venue() as scripted, running(scripted) as venue:
        refused = await venue.execution.send(batch(1, 1, reduce_only=True), INSTRUMENT)
        assert scripted.placed() == []
        taken = await venue.execution.send(
            batch(2, 1, reduce_only=True, post_only=False, time_in_force=TimeInForce.IOC),
            INSTRUMENT,
        )
        (sent,) = scripted.placed()
    assert refused.orders[0].reason is RejectReason.REDUCE_ONLY
    assert taken.orders[0].kind is A
    kind = sent.atomic.actions[0].trade_or_place.order_type
    assert (kind.fill_mode, kind.is_reduce_only) == (pb.FillMode.IMMEDIATE_OR_CANCEL, True)


class _Watched(SystemClock):
    def __init__(self) -> None:
        self.told: list[int] = []

    def monotonic_ns(self) -> int:
        self.told.append(max(super().monotonic_ns(), self.told[-1] + 1 if self.told else 0))
        return self.told[-1]


async def test_the_time_of_sending_is_when_the_first_bytes_left_and_not_before_signing() -> None:
    clock = _Watched()
    async with scripted_venue() as scripted, running(scripted, clock=clock) as venue:
        await venue.execution.send(batch(1, 1), INSTRUMENT)
        clock.told.clear()
        flying = venue.execution.send(batch(2, 6), INSTRUMENT)
        left_ns = clock.told[-1]
        outcome = await flying
        assert len(scripted.placed()) == 3
    assert outcome.sent_ns == left_ns
    assert outcome.answered_ns is not None
    assert outcome.sent_ns < outcome.answered_ns


async def test_misuse_is_refused_before_anything_is_sent() -> None:
    async with scripted_venue() as scripted, running(scripted) as venue:
        with pytest.raises(ValueError, match="at most 8"):
            venue.execution.send(batch(1, 9), INSTRUMENT)
        with pytest.raises(ValueError, match="cycle 8589934592 is not from 0 to"):
            venue.execution.send(batch(2**33, 1), INSTRUMENT)
        flying = venue.execution.send(batch(2, 1), INSTRUMENT)
        with pytest.raises(ValueError, match="in flight"):
            venue.execution.send(batch(3, 1), INSTRUMENT)
        await flying
        assert len(scripted.placed()) == 1


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=b"<html>busy</html>", kind="text/html"),
        Answer(body=b"hello", kind="text/plain"),
        Answer(body=b'{"orders":1}'),
    ],
)
async def test_an_account_that_cannot_be_read_is_unresolved(answer: Answer) -> None:
    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:
        scripted.say(f"/account/{ACCOUNT_ID}", answer)
        with pytest.raises(Unresolved):
            await venue.account.balance()


async def test_margins_are_told_in_plain_figures_and_nulls_are_no_marks() -> None:
    held = [
        {
            "marketId": 0,
            "openOrders": 1,
            "actionId": 3,
            "perp": {
                "baseSize": -0.02,
                "price": 64000,
                "isLong": False,
                "updatedFundingRateIndex": 0,
            },
        }
    ]
    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:
        scripted.say(f"/account/{ACCOUNT_ID}", account(positions=held))
        stats = {"indexPrice": 65000.0, "perpStats": {"mark_price": 65010.5, "open_interest": None}}
        nothing = {"indexPrice": None, "indexPriceConf": None, "perpStats": None}
        scripted.say("/market/0/stats", stats, nothing)
        known, unknown = await venue.account.margins(), await venue.account.margins()
        position = await venue.account.position(INSTRUMENT)
        balance = await venue.account.balance()
    assert (known.equity, known.available) == (Decimal("1000.25"), Decimal(800))
    assert known.exposure == Decimal("1300.21")
    assert known.margin_fraction == Decimal("1000.25") / Decimal("1300.21")
    assert known.headroom == Decimal("950.25") / Decimal("1000.25")
    assert (unknown.exposure, unknown.margin_fraction) == (None, None)
    assert (position.lots, position.entry_price) == (-2_000, Decimal(64_000))
    assert (balance.equity, balance.available) == (known.equity, known.available)


async def test_a_frozen_clock_stops_orders_and_is_read_again_after_a_complaint() -> None:
    async with scripted_venue() as scripted, running(scripted) as venue:
        before = len(scripted.seen["/timestamp"])
        scripted.receipts = [error(pb.Error.TIMESTAMP_OUT_OF_THRESHOLD)]
        refused = await venue.execution.send(batch(1, 1), INSTRUMENT)
        scripted.say("/timestamp", 1_700_000_000)
        await venue.execution.send(batch(2, 1), INSTRUMENT)
        assert len(scripted.seen["/timestamp"]) > before
        assert abs(scripted.placed()[-1].current_timestamp - 1_700_000_000) <= 1
    assert refused.orders[0].kind is R


async def test_two_markets_do_not_wait_for_each_other() -> None:
    other = {**MARKET, "marketId": 1, "symbol": "ETHUSD"}
    async with scripted_venue() as scripted:
        scripted.say("/info", {"markets": [MARKET, other], "tokens": []})
        async with running(scripted) as venue:
            _, second = await venue.instruments()
            value = batch(1, 1).value
            twin = Batch(batch_id="t", symbol="ETHUSD", orders=value.orders)
            sent = [
                venue.execution.send(batch(1, 1), INSTRUMENT),
                venue.execution.send(Approved(twin, seal=SEAL), second),
            ]
            outcomes = await asyncio.gather(*sent)
    assert [one.orders[0].kind for one in outcomes] == [A, A]
