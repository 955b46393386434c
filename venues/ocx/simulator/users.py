"""Users and their API keys. Only the hash of a secret is kept; a secret is told once.

A key is good while it is neither revoked nor expired.
"""

import hashlib
from dataclasses import dataclass, field
from random import Random
from typing import Any

from venues.simulation.clock import VenueClock, iso_ms

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid(clock: VenueClock, random: Random) -> str:
    """A ULID: 48 bits of milliseconds, 80 random bits, 26 characters."""
    number = (clock.now_ns() // 1_000_000 << 80) | random.getrandbits(80)
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


@dataclass(slots=True, kw_only=True)
class ApiKey:
    """One key; times are unix milliseconds, `digest` the SHA-256 of the secret."""

    key_id: str
    user_id: str
    name: str
    scope: str
    allowed_ips: tuple[str, ...]
    created_ms: int
    expires_ms: int | None
    digest: str = field(repr=False)
    revoked_ms: int | None = None
    last_used_ms: int | None = None
    last_used_ip: str | None = None

    def status(self, now_ms: int) -> str:
        """`active`, `expired` or `revoked`."""
        if self.revoked_ms is not None:
            return "revoked"
        expired = self.expires_ms is not None and now_ms >= self.expires_ms
        return "expired" if expired else "active"

    def metadata(self, now_ms: int) -> dict[str, Any]:
        """What a listing shows; never the secret."""
        return {
            "id": self.key_id,
            "name": self.name,
            "scope": self.scope,
            "allowedIps": list(self.allowed_ips),
            "expiresAt": _moment(self.expires_ms),
            "createdAt": _moment(self.created_ms),
            "revokedAt": _moment(self.revoked_ms),
            "lastUsedAt": _moment(self.last_used_ms),
            "lastUsedIp": self.last_used_ip,
            "status": self.status(now_ms),
        }


@dataclass(slots=True, kw_only=True)
class User:
    """One customer; `account` names the engine's account. `invited` opens trading."""

    user_id: str
    account: str
    wallet_address: str | None
    invited: bool = True
    rate_per_minute: int | None = None


class Directory:
    """All users and keys, by what a request can show."""

    def __init__(self, clock: VenueClock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self._users: dict[str, User] = {}
        self._by_wallet: dict[str, User] = {}
        self._keys: dict[str, ApiKey] = {}
        self._by_digest: dict[str, ApiKey] = {}

    def add_user(
        self,
        account: str,
        *,
        wallet_address: str | None,
        invited: bool = True,
        rate_per_minute: int | None = None,
    ) -> User:
        """Register a user for an engine account."""
        user = User(
            user_id=ulid(self._clock, self._random),
            account=account,
            wallet_address=wallet_address,
            invited=invited,
            rate_per_minute=rate_per_minute,
        )
        self._users[user.user_id] = user
        if wallet_address is not None:
            self._by_wallet[wallet_address.lower()] = user
        return user

    def user(self, user_id: str) -> User | None:
        """User by id."""
        return self._users.get(user_id)

    def by_wallet(self, address: str) -> User | None:
        """User by wallet address, any case."""
        return self._by_wallet.get(address.lower())

    def accounts(self) -> list[str]:
        """Engine accounts of all users."""
        return [user.account for user in self._users.values()]

    def add_key(
        self,
        user: User,
        *,
        name: str,
        scope: str,
        allowed_ips: tuple[str, ...] = (),
        expires_in_days: int | None = None,
        secret: str | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key and its secret (made here unless given)."""
        secret = secret or f"ocx_sk_{self._random.getrandbits(192):048x}"
        now = self._clock.now_ns() // 1_000_000
        life = None if expires_in_days is None else now + expires_in_days * 86_400_000
        key = ApiKey(
            key_id="ocx_kid_" + ulid(self._clock, self._random)[-16:],
            user_id=user.user_id,
            name=name,
            scope=scope,
            allowed_ips=allowed_ips,
            created_ms=now,
            expires_ms=life,
            digest=_digest(secret),
        )
        self._keys[key.key_id] = key
        self._by_digest[key.digest] = key
        return key, secret

    def key_of_secret(self, secret: str) -> ApiKey | None:
        """The key with this secret, whatever its status."""
        return self._by_digest.get(_digest(secret))

    def keys(self, user: User) -> list[ApiKey]:
        """All keys of a user, oldest first."""
        return [key for key in self._keys.values() if key.user_id == user.user_id]

    def revoke(self, user: User, key_id: str) -> bool:
        """Revoke at once; False when the user has no such key."""
        key = self._keys.get(key_id)
        if key is None or key.user_id != user.user_id:
            return False
        key.revoked_ms = key.revoked_ms or self._clock.now_ns() // 1_000_000
        return True


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _moment(unix_ms: int | None) -> str | None:
    return None if unix_ms is None else iso_ms(unix_ms)
