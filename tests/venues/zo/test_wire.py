"""Actions and receipts are the venue's bytes, in both directions (zo.md section 6)."""

from typing import Any

import nacl.signing
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.identity import Slot
from desk.orders import NewOrder, TimeInForce
from desk.units import Side
from tests.venues.zo.vectors import (
    ATOMIC_FOUR_RAW,
    CREATE_RAW,
    CREATE_SIGNATURE,
    DUPLICATE_RECEIPT,
    PLACE_RAW,
    PLACE_SIGNATURE,
    SESSION_SEED,
    WALLET_SEED,
    vectors,
)
from venues.zo.errors import engine_error
from venues.zo.schema import nord_pb2 as pb
from venues.zo.signing import KeyPair, sign_as_session, sign_as_wallet
from venues.zo.wire import (
    Placement,
    Stamp,
    Unreadable,
    atomic,
    cancel_by_client_id,
    cancel_by_id,
    create_session,
    framed,
    read_action,
    read_receipt,
    revoke_session,
    signed,
    unframed,
)

WALLET, SESSION = KeyPair(WALLET_SEED), KeyPair(SESSION_SEED)
STAMP = Stamp(1_700_000_000, 1)
_SIDES = {"BID": Side.BUY, "ASK": Side.SELL}


def _order(side: Side, price: int, lots: int, **more: Any) -> NewOrder:
    return NewOrder(
        client_order_id="x", slot=Slot(side, 0), side=side, price=price, lots=lots, **more
    )


def _built(told: dict[str, Any]) -> pb.Action | None:
    """The action a vector describes, by the functions the adapter sends with."""
    stamp = Stamp(told["current_timestamp"], told["nonce"])
    match told:
        case {"create_session": {"signature_framing": _}}:
            return None
        case {"create_session": one}:
            return create_session(
                stamp,
                user=bytes.fromhex(one["user_pubkey_hex"]),
                session=bytes.fromhex(one["session_pubkey_hex"]),
                expires_at_s=one["expiry_timestamp"],
            )
        case {"revoke_session": one}:
            return revoke_session(stamp, int(one["session_id"]))
        case {"cancel_order_by_id": {"sender_account_id": account} as one}:
            return cancel_by_id(
                stamp,
                session_id=int(one["session_id"]),
                account_id=account,
                order_id=int(one["order_id"]),
            )
        case {"cancel_order_by_client_id": {"sender_account_id": account} as one}:
            return cancel_by_client_id(
                stamp,
                session_id=int(one["session_id"]),
                account_id=account,
                client_id=int(one["client_order_id"]),
            )
        case {"atomic": one}:
            return _atomic(stamp, one)
    return None


def _atomic(stamp: Stamp, told: dict[str, Any]) -> pb.Action | None:
    places = [one["trade_or_place"] for one in told["actions"] if "trade_or_place" in one]
    if not all("client_order_id" in one for one in places):
        return None
    return atomic(
        stamp,
        session_id=int(told["session_id"]),
        account_id=told["account_id"],
        cancels=[
            int(one["cancel_order"]["order_id"]) for one in told["actions"] if "cancel_order" in one
        ],
        places=[
            Placement(
                one["market_id"],
                _order(
                    _SIDES[one["order_type"]["side"]],
                    int(one["limit"]["price"]),
                    int(one["limit"]["size"]),
                ),
                int(one["client_order_id"]),
            )
            for one in places
        ],
    )


@pytest.mark.parametrize("vector", vectors("actions"))
def test_every_action_is_read_signed_and_written_byte_for_byte(vector: dict[str, Any]) -> None:
    body, raw = bytes.fromhex(vector["body_hex"]), bytes.fromhex(vector["raw_hex"])
    action, signature = read_action(body)
    assert vector["action"].keys() >= {action.WhichOneof("kind")}
    assert framed(action.SerializeToString(deterministic=True)) == raw
    by_wallet = vector["signer"] == "wallet"
    ours = sign_as_wallet(WALLET, raw) if by_wallet else sign_as_session(SESSION, raw)
    assert ours == signature
    built = _built(vector["action"])
    if built is not None:
        key = WALLET if by_wallet else SESSION
        sign = sign_as_wallet if by_wallet else sign_as_session
        assert signed(built, lambda raw: sign(key, raw)) == body


@pytest.mark.parametrize("vector", vectors("receipts"))
def test_every_receipt_says_what_it_said(vector: dict[str, Any]) -> None:
    receipt, told = read_receipt(bytes.fromhex(vector["body_hex"])), vector["receipt"]
    assert receipt.action_id == int(told["action_id"])
    assert told.keys() == {"action_id", receipt.WhichOneof("kind")}
    error = engine_error(receipt)
    assert (error is not None) == ("err" in told)
    if error is not None:
        assert error.code == told["err"]["code"]
        assert error.name == told["err"]["name"] or told["err"]["name"] is None
    if "place_order_result" in told:
        result, expected = receipt.place_order_result, told["place_order_result"]
        assert [str(fill.size) for fill in result.fills] == [
            fill["size"] for fill in expected["fills"]
        ]
        posted = expected.get("posted")
        assert result.HasField("posted") == (posted is not None)
        if posted is not None:
            assert str(result.posted.order_id) == posted["order_id"]


def test_own_vectors_hold_without_the_file() -> None:
    assert sign_as_session(SESSION, bytes.fromhex(PLACE_RAW)).hex() == PLACE_SIGNATURE
    made = create_session(
        STAMP, user=WALLET.public, session=SESSION.public, expires_at_s=1_702_592_000
    )
    body = signed(made, lambda raw: sign_as_wallet(WALLET, raw))
    assert body.hex() == CREATE_RAW + CREATE_SIGNATURE
    action, _ = read_action(bytes.fromhex(PLACE_RAW + PLACE_SIGNATURE))
    placed = action.place_order
    assert (placed.price, placed.size, placed.client_order_id) == (650_005, 100, 1_001)
    assert (placed.side, placed.fill_mode) == (pb.Side.BID, pb.FillMode.POST_ONLY)
    four = atomic(
        STAMP,
        session_id=42,
        account_id=7,
        cancels=(),
        places=[
            Placement(1, _order(side, price, 12_345), 9_000_000_000_000_001 + place)
            for place, (side, price) in enumerate(
                [
                    (Side.BUY, 299_900),
                    (Side.SELL, 300_200),
                    (Side.BUY, 299_700),
                    (Side.SELL, 300_400),
                ]
            )
        ],
    )
    assert framed(four.SerializeToString(deterministic=True)).hex() == ATOMIC_FOUR_RAW


def test_an_error_of_zero_is_an_error_and_leaves_the_outcome_open() -> None:
    error = engine_error(read_receipt(bytes.fromhex(DUPLICATE_RECEIPT)))
    assert error is not None
    assert (error.code, error.name, error.certain) == (0, "DUPLICATE", False)


@given(st.binary(max_size=70_000), st.binary(max_size=80))
def test_framing_is_undone_exactly(payload: bytes, rest: bytes) -> None:
    assert unframed(framed(payload) + rest) == (payload, rest)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_as_unreadable(body: bytes) -> None:
    for read in (read_action, read_receipt):
        try:
            read(body)
        except Unreadable:
            continue


@given(st.binary(min_size=1, max_size=60), st.data())
def test_a_frame_cut_short_is_unreadable(payload: bytes, data: st.DataObject) -> None:
    whole = framed(payload)
    cut = data.draw(st.integers(min_value=0, max_value=len(whole) - 1))
    with pytest.raises(Unreadable):
        unframed(whole[:cut])


@given(
    price=st.integers(1, 2**64 - 1),
    lots=st.integers(1, 2**64 - 1),
    client_id=st.integers(0, 2**63 - 1),
    order_ids=st.lists(st.integers(0, 2**64 - 1), max_size=3),
    side=st.sampled_from(Side),
    reduce_only=st.booleans(),
    force=st.sampled_from(TimeInForce),
)
def test_an_atomic_holds_what_it_was_given_and_its_signature_verifies(
    price: int,
    lots: int,
    client_id: int,
    order_ids: list[int],
    side: Side,
    reduce_only: bool,
    force: TimeInForce,
) -> None:
    order = _order(side, price, lots, reduce_only=reduce_only, time_in_force=force)
    action = atomic(
        STAMP,
        session_id=42,
        account_id=7,
        cancels=order_ids,
        places=[Placement(0, order, client_id)],
    )
    body = signed(action, lambda raw: sign_as_session(SESSION, raw))
    again, signature = read_action(body)
    *cancels, placed = again.atomic.actions
    assert [one.cancel_order.order_id for one in cancels] == order_ids
    one = placed.trade_or_place
    assert (one.limit.price, one.limit.size, one.client_order_id) == (price, lots, client_id)
    assert one.HasField("client_order_id")
    assert one.order_type.is_reduce_only is reduce_only
    assert one.order_type.side == (pb.Side.BID if side is Side.BUY else pb.Side.ASK)
    nacl.signing.VerifyKey(SESSION.public).verify(body[:-64], signature)
