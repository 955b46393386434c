"""Signing in proves the wallet, and no secret ever shows."""

import copy
import pickle

import msgspec
import pytest
from eth_account import Account
from eth_account.messages import encode_defunct

from desk.errors import ConfigurationFault
from venues.ocx.config import OcxConfig
from venues.ocx.signing import Secret, SignInRequest, expiry_of, sign_text, wallet_address

KEY = Secret("0x" + "11" * 32)
REQUEST = SignInRequest(
    domain="api.ocx.global",
    uri="https://api.ocx.global",
    chain_id=84532,
    statement="Sign in to OCX",
    address="0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A",
    nonce="n0nce123",
    issued_at_s=1_777_024_800,
    expires_at_s=1_777_025_400,
)


def test_the_message_is_the_standard_one_with_an_expiration() -> None:
    assert REQUEST.text() == (
        "api.ocx.global wants you to sign in with your Ethereum account:\n"
        "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A\n"
        "\n"
        "Sign in to OCX\n"
        "\n"
        "URI: https://api.ocx.global\n"
        "Version: 1\n"
        "Chain ID: 84532\n"
        "Nonce: n0nce123\n"
        "Issued At: 2026-04-24T10:00:00.000Z\n"
        "Expiration Time: 2026-04-24T10:10:00.000Z"
    )


def test_the_signature_recovers_to_the_wallet() -> None:
    signature = sign_text(KEY, REQUEST.text())
    signer = Account.recover_message(encode_defunct(text=REQUEST.text()), signature=signature)
    assert signature.startswith("0x")
    assert signer == wallet_address(KEY) == REQUEST.address


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret("ocx_sk_abc")
    config = OcxConfig(base_url="https://localhost", api_key=secret, wallet_key=KEY)
    for shown in (repr(secret), str(secret), f"{secret}", repr(config), repr({"k": secret})):
        assert "abc" not in shown
        assert "1111" not in shown
    for write in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError):
            write(secret)
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)


@pytest.mark.parametrize("text", ["zz-not-hex", "0x1234", ""])
def test_a_bad_wallet_key_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ConfigurationFault, match="wallet_key") as caught:
        wallet_address(Secret(text))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    if text:
        assert text not in str(caught.value)


def test_the_expiry_of_a_token_is_read_when_it_says_so() -> None:
    assert expiry_of(Secret("e30.eyJleHAiOiAxMjN9.sig")) == 123
    for text in ("opaque", "a.b.c", "e30.e30.sig", "e30.WzFd.sig"):
        assert expiry_of(Secret(text)) is None
