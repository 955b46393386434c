"""Amounts and signatures are those of the venue's own client, and no secret shows."""

import random
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

import pytest
from fast_stark_crypto import verify
from hypothesis import given
from hypothesis import strategies as st
from x10.config import TESTNET_CONFIG
from x10.core.amount import ROUNDING_BUY_CONTEXT, ROUNDING_FEE_CONTEXT, ROUNDING_SELL_CONTEXT

from desk.errors import ConfigurationFault
from desk.units import Side
from venues._transport.secret import Secret
from venues.x10.signing import Amounts, Nonces, Scale, Settlement, Signer, private_number

_PRIVATE = "0x7a7ff6fd3cab02ccdcd4a572563f5976f8976899b03a39773795a3c486d4986"
_PUBLIC = 0x61C5E7E8339B7D56F197F54EA91B776776690E3232313DE0F2ECBD0EF76F466
_SETTLEMENT = Settlement(
    synthetic_id=0x4254432D3600000000000000000000,
    synthetic_resolution=1_000_000,
    collateral_id=0x31857064564ED0FF978E687456963CBA09C2C6985D8F9300A1DE4962FAFA054,
    collateral_resolution=1_000_000,
)
_EXPIRY_S = int(datetime(2024, 1, 5, 2, 8, 57, tzinfo=UTC).timestamp())
_NONCE = 1_473_459_052


def _signer(domain: str = "SN_SEPOLIA", vault: int = 10_002) -> Signer:
    return Signer(private_key=Secret(_PRIVATE), vault=vault, domain=domain)


def _known(side: Side) -> Amounts:
    scale = Scale(
        tick=Decimal("0.0001"),
        lot=Decimal("0.001"),
        fee_rate=Decimal("0.0005"),
        settlement=_SETTLEMENT,
    )
    return scale.amounts(side, 434_451_168, 1)


def test_the_published_order_has_the_published_hash_and_signature() -> None:
    signer, amounts = _signer(), _known(Side.SELL)
    assert signer.public_key == _PUBLIC
    assert amounts == Amounts(base=-1_000, quote=43_445_116, fee=21_723)
    hashed = signer.order_hash(amounts, _SETTLEMENT, nonce=_NONCE, expiry_s=_EXPIRY_S)
    assert hashed == 529621978301228831750156704671293558063128025271079340676658105549022202327
    signature = signer.sign(amounts, _SETTLEMENT, nonce=_NONCE, expiry_s=_EXPIRY_S)
    assert signature.r == 0x3D17D8B9652E5F60D40D079653CFA92B1065EA8CF159609A3C390070DCD44F7
    assert signature.s == 0x76A6DECCBC84AC324F695CFBDE80E0ED62443E95F5DCD8722D12650CCC122E5


def test_the_same_order_as_a_buy_rounds_up() -> None:
    assert _known(Side.BUY) == Amounts(base=1_000, quote=-43_445_117, fee=21_723)


@pytest.mark.parametrize(
    "other",
    [
        {"nonce": _NONCE + 1},
        {"expiry_s": _EXPIRY_S + 1},
        {"domain": "SN_MAIN"},
        {"vault": 10_003},
    ],
)
def test_nonce_expiry_domain_and_vault_are_signed(other: dict[str, int | str]) -> None:
    signer = _signer(str(other.get("domain", "SN_SEPOLIA")), int(other.get("vault", 10_002)))
    hashed = signer.order_hash(
        _known(Side.SELL),
        _SETTLEMENT,
        nonce=int(other.get("nonce", _NONCE)),
        expiry_s=int(other.get("expiry_s", _EXPIRY_S)),
    )
    known = _signer().order_hash(_known(Side.SELL), _SETTLEMENT, nonce=_NONCE, expiry_s=_EXPIRY_S)
    assert hashed != known


_sizes = st.tuples(st.integers(1, 5_000), st.integers(-8, 1)).map(
    lambda parts: Decimal(parts[0]).scaleb(parts[1])
)


@given(
    tick=_sizes,
    lot=_sizes,
    rate=st.decimals(0, Decimal("0.01"), places=6),
    price=st.integers(1, 10**7),
    lots=st.integers(1, 10**6),
    synthetic=st.sampled_from([1, 1_000, 1_000_000, 10**10]),
    side=st.sampled_from(Side),
)
def test_amounts_are_the_exact_products_rounded_as_the_venue_rounds(
    tick: Decimal,
    lot: Decimal,
    rate: Decimal,
    price: int,
    lots: int,
    synthetic: int,
    side: Side,
) -> None:
    settlement = Settlement(
        synthetic_id=1, synthetic_resolution=synthetic, collateral_id=2, collateral_resolution=10**6
    )
    scale = Scale(tick=tick, lot=lot, fee_rate=rate, settlement=settlement)
    found = scale.amounts(side, price, lots)
    size = Fraction(lot) * lots
    value = size * Fraction(tick) * price * 10**6
    nearest = ceil if side is Side.BUY else floor
    assert found.base == side.sign * nearest(size * synthetic)
    assert found.quote == -side.sign * nearest(value)
    assert found.fee == ceil(value * Fraction(rate))


def test_our_rounding_contexts_are_those_of_the_official_client() -> None:
    assert ROUNDING_BUY_CONTEXT.rounding == "ROUND_UP"
    assert ROUNDING_SELL_CONTEXT.rounding == "ROUND_DOWN"
    assert ROUNDING_FEE_CONTEXT.rounding == "ROUND_UP"
    domain = TESTNET_CONFIG.signing.starknet_domain
    assert (domain.name, domain.version, domain.chain_id, domain.revision) == (
        "Perpetuals",
        "v0",
        "SN_SEPOLIA",
        "1",
    )


def test_a_signature_is_valid_for_its_public_key_alone() -> None:
    signer, amounts = _signer(), _known(Side.BUY)
    hashed = signer.order_hash(amounts, _SETTLEMENT, nonce=7, expiry_s=_EXPIRY_S)
    signature = signer.sign(amounts, _SETTLEMENT, nonce=7, expiry_s=_EXPIRY_S)
    assert verify(signer.public_key, hashed, signature.r, signature.s)
    assert not verify(signer.public_key, hashed + 1, signature.r, signature.s)


@given(seed=st.integers(0, 2**32))
def test_nonces_stay_in_range_and_do_not_repeat(seed: int) -> None:
    nonces = Nonces(random.Random(seed))
    drawn = [nonces.next() for _ in range(2_000)]
    assert len(set(drawn)) == len(drawn)
    assert min(drawn) >= 1
    assert max(drawn) <= 2**31 - 1


@pytest.mark.parametrize("key", ["", "0x0", "hello", "0x" + "f" * 64])
def test_what_is_no_private_key_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigurationFault) as fault:
        private_number(Secret(key))
    assert "private_key" in str(fault.value)
    assert not key or key not in f"{fault.value!r} {fault.value.__cause__!r}"
    assert fault.value.__context__ is None


def test_a_signer_shows_no_key() -> None:
    shown = f"{_signer()!r} {_signer()!s}"
    assert _PRIVATE not in shown
    assert str(int(_PRIVATE, 16)) not in shown
