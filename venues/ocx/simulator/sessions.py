"""Nonces and sessions. A nonce works once and not for long; a session is a signed JWT.

Logging out revokes the session's id, so that a copied token dies with it.
"""

import base64
import hashlib
import hmac
from random import Random

import msgspec

from venues.ocx.simulator.answers import ApiError
from venues.ocx.simulator.settings import SignIn
from venues.simulation.clock import VenueClock

_HEADER = b'{"alg":"HS256","typ":"JWT"}'


class Claims(msgspec.Struct, frozen=True):
    """Body of a session token: user id, token id, unix seconds."""

    sub: str
    jti: str
    iat: int
    exp: int


class Nonces:
    """Nonces by lower-case wallet address."""

    def __init__(self, rules: SignIn, clock: VenueClock, random: Random) -> None:
        self._rules = rules
        self._clock = clock
        self._random = random
        self._issued: dict[str, tuple[str, int]] = {}

    def issue(self, address: str) -> str:
        """A new nonce; an earlier one of the address dies."""
        nonce = f"{self._random.getrandbits(96):024x}"
        self._issued[address.lower()] = (nonce, self._clock.now_s() + self._rules.nonce_life_s)
        return nonce

    def use(self, address: str, nonce: str) -> None:
        """Consume a nonce; ApiError 400 NONCE_MISMATCH when unknown, used or too old."""
        known, expires = self._issued.pop(address.lower(), ("", 0))
        if known != nonce or self._clock.now_s() >= expires:
            raise ApiError(400, "NONCE_MISMATCH", "the nonce is unknown, used or expired")


class Sessions:
    """Issues and checks session tokens."""

    def __init__(self, rules: SignIn, clock: VenueClock, random: Random) -> None:
        self._rules = rules
        self._clock = clock
        self._random = random
        self._key = random.randbytes(32)
        self._revoked: set[str] = set()

    def issue(self, user_id: str) -> str:
        """A token for a user, good for the configured life."""
        now = self._clock.now_s()
        claims = Claims(
            sub=user_id,
            jti=f"{self._random.getrandbits(64):016x}",
            iat=now,
            exp=now + self._rules.session_s,
        )
        signed = _encode(_HEADER) + "." + _encode(msgspec.json.encode(claims))
        return f"{signed}.{_encode(self._sign(signed))}"

    def user_id(self, token: str) -> str | None:
        """Whose token this is, or None when it is forged, expired or logged out."""
        claims = self._claims(token)
        if claims is None or claims.jti in self._revoked or self._clock.now_s() >= claims.exp:
            return None
        return claims.sub

    def revoke(self, token: str) -> None:
        """Log a token out; unknown tokens are ignored."""
        claims = self._claims(token)
        if claims is not None:
            self._revoked.add(claims.jti)

    def _claims(self, token: str) -> Claims | None:
        signed, _, signature = token.rpartition(".")
        _, _, body = signed.partition(".")
        try:
            if not hmac.compare_digest(self._sign(signed), _decode(signature)):
                return None
            return msgspec.json.decode(_decode(body), type=Claims)
        except (ValueError, msgspec.DecodeError):
            return None

    def _sign(self, text: str) -> bytes:
        return hmac.new(self._key, text.encode(), hashlib.sha256).digest()


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
