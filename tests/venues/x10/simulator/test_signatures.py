"""Only what the account itself signed is taken; what the client says beside it changes nothing."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from fast_stark_crypto import get_public_key, sign
from hypothesis import given
from hypothesis import strategies as st
from x10.core.amount import (
    ROUNDING_BUY_CONTEXT,
    ROUNDING_FEE_CONTEXT,
    ROUNDING_SELL_CONTEXT,
    InternalAmount,
    SettlementAsset,
)

from tests.venues.x10.simulator.bench import PRIVATE, PUBLIC, TAKER, code, running
from venues.x10.simulator.settings import BTC_USD, Domain, Orders, SignatureCheck
from venues.x10.simulator.stark import Terms, amounts, is_public_key, order_hash, signed

# The published known answer (x10.md section 14.4).
_KNOWN = Terms(
    buying=False,
    quantity=Decimal("0.001"),
    price=Decimal("43445.1168"),
    fee=Decimal("0.0005"),
    nonce=1473459052,
    expiry_ms=1_704_420_537_000,
)
_MARKET = replace(
    BTC_USD, collateral_id="0x31857064564ed0ff978e687456963cba09c2c6985d8f9300a1de4962fafa054"
)
_HASH = 529621978301228831750156704671293558063128025271079340676658105549022202327
_R = 0x3D17D8B9652E5F60D40D079653CFA92B1065EA8CF159609A3C390070DCD44F7
_S = 0x76A6DECCBC84AC324F695CFBDE80E0ED62443E95F5DCD8722D12650CCC122E5


def test_the_known_answer() -> None:
    key = int(PUBLIC, 16)
    found = amounts(_KNOWN, _MARKET)
    assert (found.base, found.quote, found.fee) == (-1000, 43445116, 21723)
    assert amounts(replace(_KNOWN, buying=True), _MARKET).quote == -43445117
    assert order_hash(_KNOWN, _MARKET, Domain(), vault=10002, public_key=key) == _HASH
    assert signed(key, _HASH, _R, _S)
    assert not signed(key, _HASH, _R, _S + 1)


@pytest.mark.parametrize(("r", "s"), [(0, 1), (1, 0), (2**255, 1), (1, 2**255)])
def test_impossible_signatures_are_no_signatures(r: int, s: int) -> None:
    assert not signed(int(PUBLIC, 16), _HASH, r, s)


@given(st.integers(1, 2**250))
def test_public_keys_are_told_from_other_numbers(private: int) -> None:
    assert is_public_key(get_public_key(private))


def test_numbers_that_are_no_key() -> None:
    assert not any(is_public_key(each) for each in (0, 5, 2**252))


_ASSET = SettlementAsset(
    name="X", precision=6, is_collateral=True, starkex_id="0x1", starkex_resolution=1_000_000
)


@given(
    st.booleans(),
    st.decimals("0.00001", "1000", places=5),
    st.decimals("0.1", "200000", places=1),
    st.sampled_from([Decimal(0), Decimal("0.00025"), Decimal("0.0005")]),
)
def test_amounts_round_as_the_official_client_rounds(
    buying: bool, quantity: Decimal, price: Decimal, fee: Decimal
) -> None:
    terms = Terms(buying=buying, quantity=quantity, price=price, fee=fee, nonce=1, expiry_ms=1_000)
    rounding = ROUNDING_BUY_CONTEXT if buying else ROUNDING_SELL_CONTEXT
    value = quantity * price
    found = amounts(terms, BTC_USD)
    assert abs(found.base) == InternalAmount(quantity, _ASSET).to_stark_amount(rounding).value
    assert abs(found.quote) == InternalAmount(value, _ASSET).to_stark_amount(rounding).value
    paid = InternalAmount(fee * value, _ASSET).to_stark_amount(ROUNDING_FEE_CONTEXT).value
    assert found.fee == paid
    assert (found.base > 0, found.quote < 0) == (buying, buying)


def _other_key() -> str:
    return hex(get_public_key(int(PRIVATE, 16) - 1))


def _set(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    *parents, last = path.split(".")
    place = body
    for name in parents:
        place = place[name]
    place[last] = value
    return body


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("settlement.starkKey", _other_key(), 1100),
        ("settlement.starkKey", "not hex", 1100),
        ("settlement.signature.r", "0x1", 1101),
        ("settlement.signature.s", "0x0", 1101),
        ("settlement.signature.s", "0x" + "f" * 64, 1101),
        ("settlement.collateralPosition", "10003", 1102),
        ("debuggingAmounts.collateralAmount", "-1", 1101),
        ("qty", "0.11", 1101),
        ("price", "990.5", 1101),
        ("side", "SELL", 1101),
        ("fee", "0.0003", 1101),
        ("nonce", "77", 1101),
        ("settlement", None, 1101),
    ],
)
async def test_what_was_not_signed_is_refused(path: str, value: Any, expected: int) -> None:
    async with running() as bench:
        body = _set(bench.order("buy", "990"), path, value)
        assert code(await bench.post("/user/order", body)) == expected
        assert await bench.resting() == []


async def test_changed_terms_are_refused_also_when_no_amounts_are_stated() -> None:
    async with running() as bench:
        body = bench.order("buy", "990")
        del body["debuggingAmounts"]
        assert (await bench.post("/user/order", dict(body))).status_code == 200
        for name, value in (
            ("price", "985"),
            ("expiryEpochMillis", body["expiryEpochMillis"] + 2000),
        ):
            changed = bench.order("buy", "990") | {name: value}
            changed.pop("debuggingAmounts")
            assert code(await bench.post("/user/order", changed)) == 1101


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "another-name"),
        ("postOnly", True),
        ("selfTradeProtectionLevel", "DISABLED"),
    ],
)
async def test_what_the_signature_leaves_open_may_change(name: str, value: Any) -> None:
    async with running() as bench:
        body = bench.order("buy", "990") | {name: value}
        assert (await bench.post("/user/order", body)).status_code == 200


async def test_a_signed_order_may_replace_although_that_was_not_signed() -> None:
    async with running() as bench:
        old = await bench.place("buy", "990")
        body = bench.order("buy", "991") | {"cancelId": old}
        assert (await bench.post("/user/order", body)).status_code == 200
        assert [price for _, price in await bench.resting()] == ["991.0"]


async def test_another_accounts_signature_does_not_serve() -> None:
    async with running() as bench:
        body = bench.order("buy", "990", key=TAKER)
        assert code(await bench.post("/user/order", body)) == 1102


async def test_the_main_networks_signature_does_not_serve() -> None:
    async with running(domain=Domain(chain_id="SN_MAIN")) as bench:
        assert code(await bench.send("buy", "990")) == 1101


@pytest.mark.parametrize(
    ("check", "forged", "false_amounts"),
    [
        (SignatureCheck.FULL, 1101, 1101),
        (SignatureCheck.AMOUNTS, None, 1101),
        (SignatureCheck.NONE, None, None),
    ],
)
async def test_how_much_is_checked_can_be_chosen(
    check: SignatureCheck, forged: int | None, false_amounts: int | None
) -> None:
    async with running(orders=Orders(signatures=check)) as bench:
        r, s = sign(private_key=12345, msg_hash=1)
        body = bench.order("buy", "990")
        body["settlement"]["signature"] = {"r": hex(r), "s": hex(s)}
        other = bench.order("buy", "991")
        other["debuggingAmounts"]["feeAmount"] = "1"
        for asked, expected in ((body, forged), (other, false_amounts)):
            answer = await bench.post("/user/order", asked)
            assert (code(answer) if expected else None) == expected
            assert answer.is_success == (expected is None)
