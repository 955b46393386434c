"""Session keys: registered by a wallet, good until they expire or are revoked.

Times are unix seconds of the engine's clock. Revoking touches no orders (zo.md section 4.4).
"""

from collections.abc import Callable
from dataclasses import dataclass

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from venues.zo.simulator.codes import Refusal
from venues.zo.simulator.settings import Registered, SessionRules

_KEY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One session key of one wallet."""

    session_id: int
    wallet: bytes
    pubkey: bytes
    expiry_s: int


class Sessions:
    """The registry of all wallets' sessions."""

    def __init__(self, rules: SessionRules, now_s: Callable[[], int]) -> None:
        self._rules = rules
        self._now_s = now_s
        self._sessions: dict[int, Session] = {}
        self._next = rules.first_id

    def register(self, wallet: bytes, pubkey: bytes, expiry_s: int) -> Session:
        """Add a session key; Refusal when key or expiry is not right."""
        if len(pubkey) != _KEY_BYTES:
            raise Refusal("SIGNATURE_MALFORMED_PUBLIC_KEY", "a session key is 32 bytes")
        now = self._now_s()
        if expiry_s <= now:
            raise Refusal("EXPIRY_TIMESTAMP_IN_PAST", f"expiry {expiry_s} is not after {now}")
        if self._rules.max_ttl_s is not None and expiry_s > now + self._rules.max_ttl_s:
            raise Refusal("INVALID", f"a session lives at most {self._rules.max_ttl_s} s")
        again = next((one for one in self.of(wallet) if one.pubkey == pubkey), None)
        if again is not None and self._rules.registered is Registered.REFUSE:
            raise Refusal("KEY_ALREADY_REGISTERED", f"as session {again.session_id}")
        if again is None:
            number, self._next = self._next, self._next + 1
        else:
            number = again.session_id
        session = Session(session_id=number, wallet=wallet, pubkey=pubkey, expiry_s=expiry_s)
        self._sessions[number] = session
        self._keep_cap(wallet)
        return session

    def adopt(self, session: Session) -> None:
        """Register a session as it is, number and all."""
        self._sessions[session.session_id] = session
        self._next = max(self._next, session.session_id + 1)

    def find(self, session_id: int) -> Session:
        """A session that may sign now; Refusal SESSION_NOT_FOUND otherwise."""
        session = self._sessions.get(session_id)
        if session is None or session.expiry_s <= self._now_s():
            raise Refusal("SESSION_NOT_FOUND", f"no session {session_id}")
        return session

    def of(self, wallet: bytes) -> list[Session]:
        """Sessions of a wallet that have not expired, oldest first."""
        now = self._now_s()
        return [
            one for one in self._sessions.values() if one.wallet == wallet and one.expiry_s > now
        ]

    def revoke(self, session_id: int) -> bool:
        """Forget a session; False when there is none."""
        return self._sessions.pop(session_id, None) is not None

    def _keep_cap(self, wallet: bytes) -> None:
        """Above the cap sessions go in the order in which they expire."""
        held = sorted(self.of(wallet), key=lambda one: one.expiry_s)
        for session in held[: max(0, len(held) - self._rules.cap)]:
            del self._sessions[session.session_id]


def verify(pubkey: bytes, message: bytes, signature: bytes) -> None:
    """Check an Ed25519 signature; Refusal when it does not hold."""
    try:
        VerifyKey(pubkey).verify(message, signature)
    except BadSignatureError:
        raise Refusal("SIGNATURE_VERIFICATION", "the signature does not hold") from None
