"""The Sign-In With Ethereum message signed by a wallet, and what a session token says of itself.

Neither the wallet key nor a token is ever part of an error.
"""

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from desk.errors import ConfigurationFault
from venues._transport.secret import Secret

__all__ = ["Secret", "SignInRequest", "expiry_of", "sign_text", "wallet_address"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInRequest:
    """Fields of an EIP-4361 message; times are unix seconds, `nonce` is the venue's, used once."""

    domain: str
    uri: str
    chain_id: int
    statement: str
    address: str
    nonce: str
    issued_at_s: int
    expires_at_s: int

    def text(self) -> str:
        """The exact text to sign and to send."""
        return (
            f"{self.domain} wants you to sign in with your Ethereum account:\n"
            f"{self.address}\n\n{self.statement}\n\n"
            f"URI: {self.uri}\nVersion: 1\nChain ID: {self.chain_id}\nNonce: {self.nonce}\n"
            f"Issued At: {_iso(self.issued_at_s)}\nExpiration Time: {_iso(self.expires_at_s)}"
        )


def wallet_address(key: Secret) -> str:
    """Checksummed address of a wallet key; ConfigurationFault when it is not one."""
    from eth_account import Account  # noqa: PLC0415 - half a second, for wallets only

    try:
        return str(Account.from_key(key.reveal()).address)
    except (ValueError, TypeError, binascii.Error):
        pass
    # Raised outside the handler: the library's message may quote the key.
    raise ConfigurationFault("wallet_key: it is not a private key; give 32 bytes in hex")


def sign_text(key: Secret, text: str) -> str:
    """Signature of a text (EIP-191), as 0x-prefixed hex."""
    from eth_account import Account  # noqa: PLC0415 - half a second, for wallets only
    from eth_account.messages import encode_defunct  # noqa: PLC0415 - as above

    signed = Account.sign_message(encode_defunct(text=text), key.reveal())
    return "0x" + bytes(signed.signature).hex()


def expiry_of(jwt: Secret) -> int | None:
    """Unix seconds when a JWT expires, None when it does not say. The signature is not checked."""
    parts = jwt.reveal().split(".")
    if len(parts) != 3:
        return None
    try:
        payload = msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * 3))
    except (ValueError, binascii.Error):
        return None
    expiry = payload.get("exp") if isinstance(payload, dict) else None
    return int(expiry) if isinstance(expiry, int | float) else None


def _iso(unix_s: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=unix_s)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
