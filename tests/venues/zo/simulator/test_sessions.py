"""Session keys: only a wallet makes them, and they sign until they expire or are revoked."""

import pytest
from nacl.signing import SigningKey

from tests.venues.zo.simulator.bench import (
    ASK,
    BID,
    MAKER,
    OCTETS,
    TAKER,
    by_session,
    by_wallet,
    error_of,
    running,
    wallet_text,
)
from venues.simulation.faults import FaultKind
from venues.zo.schema.nord_pb2 import CreateSession, PlaceOrder
from venues.zo.simulator.settings import Registered, SessionRules

KEY = SigningKey(bytes([9]) * 32)


async def test_a_session_is_listed_with_its_key_and_expiry() -> None:
    async with running() as bench:
        trader = await bench.trader()
        body = await bench.get(f"/user/{wallet_text(MAKER)}")
        assert body["accountIds"] == [1, 3]
        (shown,) = body["sessions"].items()
        assert shown[0] == str(trader.session_id)
        assert shown[1]["pubkey"] == wallet_text(trader.key)
        assert shown[1]["expiry"].endswith("Z")
        assert (await bench.http.get("/user/nobody")).status_code == 404


async def test_only_the_wallet_makes_sessions_and_only_over_hexadecimal_text() -> None:
    async with running() as bench:
        forged = bench.create(MAKER, KEY)
        other = by_wallet(bench.action(create_session=_creation(MAKER, KEY)), TAKER)
        raw = by_session(bench.action(create_session=_creation(MAKER, KEY)), MAKER)
        for body in (forged[:-1] + bytes([forged[-1] ^ 1]), other, raw):
            assert error_of(await bench.post(body)) == "SIGNATURE_VERIFICATION"
        assert (await bench.get(f"/user/{wallet_text(MAKER)}"))["sessions"] == {}


async def test_a_wallet_without_an_account_is_no_user() -> None:
    async with running() as bench:
        receipt = await bench.post(bench.create(SigningKey(bytes(32)), KEY))
        assert error_of(receipt) == "USER_NOT_FOUND"


@pytest.mark.parametrize("ttl_s", [0, -1])
async def test_an_expiry_must_lie_ahead(ttl_s: int) -> None:
    async with running() as bench:
        receipt = await bench.post(bench.create(MAKER, KEY, ttl_s=ttl_s))
        assert error_of(receipt) == "EXPIRY_TIMESTAMP_IN_PAST"


async def test_an_expired_session_signs_no_more_and_its_orders_stay() -> None:
    async with running() as bench:
        trader = await bench.trader(ttl_s=3600)
        await trader.rest(BID, 9_900)
        bench.arm(FaultKind.CLOCK_SKEW, skew_s=3601)
        assert error_of(await trader.place(BID, 9_800)) == "SESSION_NOT_FOUND"
        assert (await bench.get(f"/user/{wallet_text(MAKER)}"))["sessions"] == {}
        assert len(await trader.resting()) == 1


async def test_revoking_is_the_wallets_and_leaves_orders() -> None:
    async with running() as bench:
        trader = await bench.trader()
        await trader.rest(BID, 9_900)
        refused = await bench.post(bench.revoke(TAKER, trader.session_id))
        assert error_of(refused) == "SIGNATURE_VERIFICATION"
        receipt = await bench.post(bench.revoke(MAKER, trader.session_id))
        assert receipt.HasField("session_revoked")
        assert error_of(await trader.place(BID, 9_800)) == "SESSION_NOT_FOUND"
        again = await bench.post(bench.revoke(MAKER, trader.session_id))
        assert error_of(again) == "SESSION_NOT_FOUND"
        assert len(await trader.resting()) == 1


async def test_above_the_cap_the_first_to_expire_goes() -> None:
    async with running(sessions=SessionRules(cap=2)) as bench:
        late = await bench.trader(ttl_s=300)
        early = await bench.trader(ttl_s=200)
        middle = await bench.trader(ttl_s=250)
        assert error_of(await early.place(BID, 9_900)) == "SESSION_NOT_FOUND"
        for trader in (late, middle):
            assert error_of(await trader.place(BID, 9_900)) is None


async def test_registering_a_key_again_is_refused_or_refreshes() -> None:
    async with running() as bench:
        await bench.post(bench.create(MAKER, KEY))
        again = await bench.post(bench.create(MAKER, KEY, ttl_s=9_000))
        assert error_of(again) == "KEY_ALREADY_REGISTERED"
    async with running(sessions=SessionRules(registered=Registered.REFRESH)) as bench:
        first = await bench.post(bench.create(MAKER, KEY))
        second = await bench.post(bench.create(MAKER, KEY, ttl_s=9_000))
        assert first.create_session_result == second.create_session_result


async def test_a_session_signs_for_its_own_user_only() -> None:
    async with running() as bench:
        maker, taker = await bench.trader(), await bench.trader(TAKER, 2)
        assert error_of(await maker.place(BID, 9_900, sender_account_id=2)) == (
            "ACCOUNT_INVALID_OWNER"
        )
        assert error_of(await maker.place(BID, 9_900, sender_account_id=77)) == "ACCOUNT_NOT_FOUND"
        maker.key, taker.key = taker.key, maker.key
        assert error_of(await maker.place(BID, 9_900)) == "SIGNATURE_VERIFICATION"
        maker.session_id = 999
        assert error_of(await maker.place(BID, 9_900)) == "SESSION_NOT_FOUND"


async def test_without_an_account_the_first_is_meant() -> None:
    async with running() as bench:
        trader = await bench.trader()
        order = PlaceOrder(session_id=trader.session_id, side=ASK, price=10_100, size=5)
        receipt = await trader.send(place_order=order)
        assert receipt.place_order_result.posted.account_id == 1


async def test_the_same_bytes_work_once_a_minute_and_a_nonce_makes_them_differ() -> None:
    async with running() as bench:
        trader = await bench.trader()
        order = PlaceOrder(session_id=trader.session_id, side=BID, price=9_900, size=5)
        action = bench.action(place_order=order)
        first = await bench.post(by_session(action, trader.key))
        again = await bench.post(by_session(action, trader.key))
        assert error_of(first) is None
        assert again.HasField("err")
        assert int(again.err) == 0
        assert again.action_id == first.action_id + 1
        action.nonce += 1
        third = await bench.post(by_session(action, trader.key))
        assert (error_of(third), third.action_id) == (None, again.action_id)
        assert len(await trader.resting()) == 2


async def test_a_refused_action_may_be_sent_again() -> None:
    async with running() as bench:
        maker, taker = await bench.trader(), await bench.trader(TAKER, 2)
        await maker.rest(ASK, 10_000)
        order = PlaceOrder(
            session_id=taker.session_id, side=BID, fill_mode="POST_ONLY", price=10_000, size=5
        )
        body = by_session(bench.action(place_order=order), taker.key)
        for _ in range(2):
            assert error_of(await bench.post(body)) == "POST_ONLY_MUST_NOT_FILL_ANY_OPPOSITE_ORDERS"


@pytest.mark.parametrize(("off_s", "name"), [(-58, None), (63, "out"), (-62, "out")])
async def test_the_timestamp_must_be_within_a_minute(off_s: int, name: str | None) -> None:
    async with running() as bench:
        trader = await bench.trader()
        order = PlaceOrder(session_id=trader.session_id, side=BID, price=9_900, size=5)
        now = bench.sim.world.engine_s()
        action = bench.action(place_order=order, current_timestamp=now + off_s)
        wanted = "TIMESTAMP_OUT_OF_THRESHOLD" if name else None
        assert error_of(await bench.post(by_session(action, trader.key))) == wanted


async def test_other_content_types_are_refused_before_reading() -> None:
    async with running() as bench:
        answer = await bench.http.post("/action", json={})
        assert (answer.status_code, answer.json()) == (415, {"expected": OCTETS["content-type"]})


def _creation(wallet: SigningKey, key: SigningKey) -> CreateSession:
    return CreateSession(
        user_pubkey=bytes(wallet.verify_key),
        session_pubkey=bytes(key.verify_key),
        expiry_timestamp=4_000_000_000,
    )
