"""Keys are read in every way the venue writes them, and never shown."""

import pickle

import pytest

from desk.errors import ConfigurationFault
from tests.venues.zo.vectors import (
    SESSION_ADDRESS,
    SESSION_SEED,
    WALLET_ADDRESS,
    WALLET_SECRET,
    WALLET_SEED,
)
from venues._transport.secret import Secret
from venues.zo.signing import KeyPair, address_of, public_bytes, seed_of


@pytest.mark.parametrize(
    "text",
    [
        WALLET_SECRET,
        "0x" + WALLET_SEED.hex(),
        "0x" + (WALLET_SEED + KeyPair(WALLET_SEED).public).hex(),
    ],
)
def test_a_key_is_read_from_base58_and_from_hex(text: str) -> None:
    assert address_of(seed_of("wallet_key", Secret(text)).public) == WALLET_ADDRESS


def test_addresses_are_base58_of_32_bytes() -> None:
    assert address_of(KeyPair(SESSION_SEED).public) == SESSION_ADDRESS
    assert public_bytes("x", SESSION_ADDRESS) == KeyPair(SESSION_SEED).public
    with pytest.raises(ConfigurationFault, match="wallet_address"):
        public_bytes("wallet_address", "0x00")


@pytest.mark.parametrize(
    "text", ["0x00", "hello!", "0xzz", WALLET_SECRET[:-1], "0x" + "00" * 31 + "01" + "02" * 32]
)
def test_a_bad_key_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ConfigurationFault, match="wallet_key") as refusal:
        seed_of("wallet_key", Secret(text))
    assert text not in str(refusal.value)
    assert refusal.value.__context__ is None


def test_a_key_is_neither_shown_nor_written_nor_used_once_forgotten() -> None:
    key = KeyPair(SESSION_SEED)
    shown = f"{key!r} {key!s}"
    assert SESSION_SEED.hex() not in shown
    assert SESSION_ADDRESS in shown
    with pytest.raises(TypeError):
        pickle.dumps(key)
    held = key._secret
    key.forget()
    assert not any(held)
    with pytest.raises(RuntimeError, match="forgotten"):
        key.sign(b"x")
