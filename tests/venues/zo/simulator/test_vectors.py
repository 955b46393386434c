"""Bytes that the venue's own client signed are taken; bytes a little different are not.

The full set of vectors is looked for beside the repository; a few stand here.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import base58
import pytest
from google.protobuf.message import Message
from nacl.signing import SigningKey

from tests.venues.zo.simulator.bench import error_of, receipt_of
from venues.zo.schema.nord_pb2 import CreateSessionResult, Error, Receipt
from venues.zo.simulator.actions import arrive, execute
from venues.zo.simulator.codes import Refusal
from venues.zo.simulator.envelope import open_envelope, seal
from venues.zo.simulator.sessions import Session
from venues.zo.simulator.settings import (
    Actions,
    FlowKind,
    QuoteSizes,
    Revision,
    SeedAccount,
    SimMarket,
    SimulatorSettings,
)
from venues.zo.simulator.world import World

NOW_S = 1_700_000_000
WALLET = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
SESSION = "29acbae141bccaf0b22e1a94d34d0bc7361e526d0bfe12c89794bc9322966dd7"
PLACE = (
    "1d0880e2cfaa0610013a13082a180120013095d62738648802e907900207"
    "35e6fb76ba5796e4eb67b5e7ebb3db3e2695dd5554ba07c4b5eeda509d2736c0"
    "90072eaeaf77334767e56212ebb4669c5825f4da1cb68e142824a53b94c9cf0f"
)
CREATE = (
    "540880e2cfaa061001224a0a20" + WALLET + "1220" + SESSION + "1880fcedab06"
    "d2b6e3945d89c891f0d65dd265cc9df31f332b9a2c18845c180b07bf4cdbcc7d"
    "de2a87e951f0af290a8c333d31daba097cfaedac834952f6436c408ccb48d50a"
)
REFUSED_UNREAD = {
    "DECODE_FAILURE",
    "DECODE_FAILURE_LENGTH_PREFIX",
    "DECODE_FAILURE_RAW",
    "DECODE_FAILURE_DOMAIN",
    "SIGNATURE_VERIFICATION",
    "SIGNATURE_INVALID_LENGTH",
    "SIGNATURE_MALFORMED_PUBLIC_KEY",
    "SESSION_NOT_FOUND",
    "TIMESTAMP_OUT_OF_THRESHOLD",
    "ACCOUNT_INVALID_OWNER",
    "ACCOUNT_NOT_FOUND",
    "MARKET_NOT_FOUND",
    "NOT_IMPLEMENTED",
}


def vectors() -> dict[str, Any]:
    beside = Path(__file__).resolve().parents[5]
    found = next(beside.glob("*/venues/zo-vectors.json"), None)
    if found is None:
        return {}
    read = json.loads(found.read_text())
    assert isinstance(read, dict)
    return read


VECTORS = vectors()
if not VECTORS:
    MISSING = pytest.param(None, marks=pytest.mark.skip("no zo-vectors.json beside the repository"))


def cases(kind: str) -> list[Any]:
    if not VECTORS:
        return [MISSING]
    return [pytest.param(one, id=one["name"]) for one in VECTORS[kind]]


def world_of(*, adopted: bool = True, **changes: Any) -> World:
    names = ("BTCUSD", 1, 5), ("ETHUSD", 2, 4), ("SOLUSD", 2, 2), ("XRPUSD", 5, 1)
    wallet = base58.b58encode(bytes.fromhex(WALLET)).decode()
    settings = SimulatorSettings(
        accounts=(
            SeedAccount(name="seven", wallet=wallet, account_id=7),
            SeedAccount(name="last", wallet=wallet, account_id=4_294_967_295),
        ),
        markets=tuple(
            SimMarket(
                symbol=symbol,
                price=Decimal(100),
                price_decimals=price,
                size_decimals=size,
                flow=FlowKind.NONE,
            )
            for symbol, price, size in names
        ),
        **changes,
    )
    world = World(settings, now_ns=lambda: NOW_S * 10**9, random=Random(1))
    world.open()
    if adopted:
        world.sessions.adopt(
            Session(
                session_id=42,
                wallet=bytes.fromhex(WALLET),
                pubkey=bytes.fromhex(SESSION),
                expiry_s=NOW_S + 60,
            )
        )
    return world


def run(world: World, body: bytes) -> Receipt:
    return execute(world, arrive(world, body), len(body))


def said(message: Message, wanted: Mapping[str, Any]) -> bool:
    """Whether a message says what a vector says in words."""
    for name, value in wanted.items():
        field = name.removesuffix("_hex")
        if field == "quote_size":
            low, high = list(value.values())
            assert (message.quote_size.lo, message.quote_size.hi) == (  # type: ignore[attr-defined]
                int(low),
                int(high),
            )
            continue
        got = getattr(message, field)
        if isinstance(value, Mapping):
            assert message.HasField(field)
            assert said(got, value)
        elif isinstance(value, list):
            assert len(got) == len(value)
            assert all(said(one, each) for one, each in zip(got, value, strict=True))
        else:
            assert _plain(message, field, got) == str(value)
    return True


def _plain(message: Message, field: str, got: Any) -> str:
    if isinstance(got, bytes):
        return got.hex()
    kind = message.DESCRIPTOR.fields_by_name[field].enum_type
    return str(kind.values_by_number[got].name if kind is not None else got)


@pytest.mark.parametrize("vector", cases("actions"))
def test_every_action_of_the_official_client_is_read_verified_and_judged(
    vector: dict[str, Any],
) -> None:
    body = bytes.fromhex(vector["body_hex"])
    envelope = open_envelope(body)
    assert envelope.raw.hex() == vector["raw_hex"]
    assert envelope.signature.hex() == vector["signature_hex"]
    assert said(envelope.action, vector["action"])
    if vector["signer"] == "wallet":
        assert envelope.hex_text.hex() == vector["signed_message_hex"]
    old = vector["schema_revisions"] == ["2025-12"]
    changes: dict[str, Any] = {"revision": Revision(vector["schema_revisions"][-1])}
    if old:
        changes["actions"] = Actions(quote_sizes=QuoteSizes.PRICE_AND_SIZE)
    world = world_of(adopted=envelope.kind != "create_session", **changes)
    assert error_of(run(world, body)) not in REFUSED_UNREAD
    spoilt = bytearray(body)
    spoilt[-40] ^= 1
    assert error_of(run(world_of(**changes), bytes(spoilt))) == "SIGNATURE_VERIFICATION"


@pytest.mark.parametrize("vector", cases("receipts"))
def test_every_receipt_of_the_venue_reads_the_same_and_is_written_the_same(
    vector: dict[str, Any],
) -> None:
    body = bytes.fromhex(vector["body_hex"])
    receipt = receipt_of(body)
    told = vector["receipt"]
    assert str(receipt.action_id) == told["action_id"]
    if "err" in told:
        assert receipt.HasField("err")
        assert int(receipt.err) == told["err"]["code"]
        name = told["err"]["name"]
        assert name is None or Error.Value(name) == told["err"]["code"]
    assert seal(receipt) == body


def test_the_documented_post_only_bid_rests() -> None:
    world = world_of()
    receipt = run(world, bytes.fromhex(PLACE))
    posted = receipt.place_order_result.posted
    assert (posted.price, posted.size, posted.account_id) == (650_005, 100, 7)
    assert receipt.place_order_result.client_order_id == 1001
    (order,) = world.engine.open_orders("seven")
    assert (order.price, order.lots, order.client_order_id) == (650_005, 100, "1001")


def test_the_documented_session_is_made_for_thirty_days() -> None:
    world = world_of(adopted=False)
    receipt = run(world, bytes.fromhex(CREATE))
    assert receipt.WhichOneof("kind") == "create_session_result"
    (session,) = world.sessions.of(bytes.fromhex(WALLET))
    assert (session.pubkey.hex(), session.expiry_s) == (SESSION, NOW_S + 2_592_000)
    assert receipt.create_session_result == CreateSessionResult(session_id=session.session_id)


def test_the_signature_must_cover_the_prefix() -> None:
    body = bytes.fromhex(PLACE)
    payload_only = SigningKey(bytes(range(32, 64))).sign(body[1:30]).signature
    assert error_of(run(world_of(), body[:30] + payload_only)) == "SIGNATURE_VERIFICATION"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"", "DECODE_FAILURE_LENGTH_PREFIX"),
        (b"\xff" * 12, "DECODE_FAILURE_LENGTH_PREFIX"),
        (b"\x7f\x08\x01", "DECODE_FAILURE_LENGTH_PREFIX"),
        (b"\x02\x0a\xff" + bytes(64), "DECODE_FAILURE_RAW"),
        (b"\x02\x08\x01" + bytes(64), "DECODE_FAILURE_DOMAIN"),
        (b"\x02\x52\x00" + bytes(64), "NOT_IMPLEMENTED"),
        (bytes.fromhex(PLACE)[:-1], "SIGNATURE_INVALID_LENGTH"),
        (bytes.fromhex(PLACE) + b"\0", "SIGNATURE_INVALID_LENGTH"),
        (bytes(1025), "ENCODED_ACTION_TOO_LARGE"),
    ],
)
def test_a_malformed_body_has_its_own_error(body: bytes, name: str) -> None:
    assert error_of(run(world_of(), body)) == name


def test_a_signature_is_never_shown() -> None:
    envelope = open_envelope(bytes.fromhex(PLACE))
    assert "signature" not in repr(envelope)
    with pytest.raises(Refusal) as caught:
        open_envelope(bytes.fromhex(PLACE)[:-1])
    assert PLACE[60:100] not in str(caught.value)
