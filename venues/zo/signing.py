"""Ed25519 keys of the wallet and of the session, and what each of them signs (zo.md section 5.1).

No key is ever part of a repr, an error or a log; a forgotten key's bytes are overwritten.
"""

from typing import Final

import base58
import nacl.bindings

from desk.errors import ConfigurationFault
from venues._transport.secret import Secret

SIGNATURE_LENGTH: Final = 64
KEY_LENGTH: Final = 32


class KeyPair:
    """One Ed25519 key. Python can only overwrite our own copy of it, not what libraries copied."""

    __slots__ = ("_secret", "public")

    def __init__(self, seed: bytes) -> None:
        self.public, secret = nacl.bindings.crypto_sign_seed_keypair(seed)
        self._secret = bytearray(secret)

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the signature; RuntimeError once the key was forgotten."""
        if not self._secret:
            raise RuntimeError("the key was forgotten")
        return nacl.bindings.crypto_sign(message, bytes(self._secret))[:SIGNATURE_LENGTH]

    def forget(self) -> None:
        """Overwrite the key; it signs nothing any more."""
        for place in range(len(self._secret)):
            self._secret[place] = 0
        self._secret = bytearray()

    def __repr__(self) -> str:
        return f"KeyPair({address_of(self.public)})"

    def __reduce__(self) -> str:
        raise TypeError("a key is not written anywhere")


def sign_as_session(key: KeyPair, raw: bytes) -> bytes:
    """What trades: the signature over the length-prefixed action itself."""
    return key.sign(raw)


def sign_as_wallet(key: KeyPair, raw: bytes) -> bytes:
    """What makes and ends sessions: the signature over the lower-case hex text of the action."""
    return key.sign(raw.hex().encode("ascii"))


def seed_of(name: str, secret: Secret) -> KeyPair:
    """Key written as base58 or 0x-hex, of 32 or 64 bytes (zo.md section 1); ConfigurationFault."""
    raw = _bytes_of(secret.reveal())
    if raw is None or len(raw) not in {KEY_LENGTH, 2 * KEY_LENGTH}:
        raise ConfigurationFault(
            f"{name}: it is not an Ed25519 key; give 64 (or 32) bytes in base58, or as 0x and hex"
        )
    key = KeyPair(raw[:KEY_LENGTH])
    if len(raw) == 2 * KEY_LENGTH and raw[KEY_LENGTH:] != key.public:
        raise ConfigurationFault(f"{name}: its public half does not belong to it; copy it anew")
    return key


def address_of(public: bytes) -> str:
    """A public key as the venue writes it: base58."""
    return base58.b58encode(public).decode("ascii")


def public_bytes(name: str, address: str) -> bytes:
    """The 32 bytes behind a base58 address; ConfigurationFault."""
    raw = _bytes_of(address)
    if raw is None or len(raw) != KEY_LENGTH:
        raise ConfigurationFault(f"{name}: it is not a public key; give 32 bytes in base58")
    return raw


def _bytes_of(text: str) -> bytes | None:
    """Nothing of the text may reach an error, so the libraries' own errors end here."""
    try:
        if text.startswith("0x"):
            return bytes.fromhex(text[2:])
        return bytes(base58.b58decode(text))
    except ValueError:
        return None
