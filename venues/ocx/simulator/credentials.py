"""Who is calling, and whether this call may be made with what was shown.

Header beats cookie. A key never manages keys, whatever the settings say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from venues.ocx.simulator.answers import ApiError
from venues.ocx.simulator.sessions import Sessions
from venues.ocx.simulator.settings import CredentialReading, SimulatorSettings
from venues.ocx.simulator.users import ApiKey, Directory, User
from venues.simulation.clock import VenueClock


class Access(StrEnum):
    """What an endpoint asks for; the rows of the credential table."""

    PUBLIC = "public"
    OPTIONAL = "optional"
    SESSION = "session"
    READ = "read"
    ORDER = "order"
    QUOTE = "quote"
    STREAM = "stream"
    TRANSFER = "transfer"


_TRADES = frozenset({Access.ORDER, Access.QUOTE, Access.TRANSFER})


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An identified user; `key` is None for a session. `remote` is the peer's address."""

    user: User
    key: ApiKey | None
    remote: str

    @property
    def account(self) -> str:
        """The engine's account."""
        return self.user.account


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a request showed."""

    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    remote: str


class Doorkeeper:
    """Identifies callers and keeps the credential table."""

    def __init__(
        self,
        settings: SimulatorSettings,
        users: Directory,
        sessions: Sessions,
        clock: VenueClock,
    ) -> None:
        self._settings = settings
        self._users = users
        self._sessions = sessions
        self._clock = clock

    def identify(self, shown: Shown) -> Caller | None:
        """The caller, None when nothing was shown; ApiError 401 or 403 when it is no good."""
        secret = shown.headers.get("x-api-key")
        if secret is not None:
            return self._by_key(secret, shown.remote)
        token = self.token(shown)
        if token is None:
            return None
        if token.startswith("ocx_sk_") and self._settings.bearer_keys:
            return self._by_key(token, shown.remote)
        user_id = self._sessions.user_id(token)
        user = None if user_id is None else self._users.user(user_id)
        if user is None:
            raise unauthorized("the session is missing, expired or ended")
        return Caller(user=user, key=None, remote=shown.remote)

    def token(self, shown: Shown) -> str | None:
        """The bearer token, else the cookie."""
        scheme, _, token = shown.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            return token.strip()
        return shown.cookies.get(self._settings.sign_in.cookie)

    def admit(self, caller: Caller | None, access: Access) -> None:
        """ApiError 401 or 403 unless this caller may make a call of this row."""
        if access in {Access.PUBLIC, Access.OPTIONAL}:
            return
        if caller is None:
            raise unauthorized("a session or an API key is required")
        if caller.key is not None:
            self._admit_key(caller.key, access)
        if access in _TRADES and not caller.user.invited:
            raise forbidden("trading is open to invited accounts only")

    def _admit_key(self, key: ApiKey, access: Access) -> None:
        if access is Access.SESSION:
            raise forbidden("only a session may do this")
        if access is Access.STREAM and not self._settings.keys_open_streams:
            raise forbidden("streams need a session")
        narrow = self._settings.credentials is CredentialReading.NARROW
        if narrow and access not in {Access.QUOTE, Access.STREAM}:
            raise forbidden("this call needs a session")
        if access in _TRADES and key.scope != "trade":
            raise forbidden("the key's scope does not allow trading")

    def _by_key(self, secret: str, remote: str) -> Caller:
        key = self._users.key_of_secret(secret)
        now = self._clock.now_ns() // 1_000_000
        user = None if key is None else self._users.user(key.user_id)
        if key is None or user is None or key.status(now) != "active":
            raise unauthorized("the API key is unknown, expired or revoked")
        if key.allowed_ips and remote not in key.allowed_ips:
            raise forbidden("this address is not allowed to use the key")
        key.last_used_ms, key.last_used_ip = now, remote
        return Caller(user=user, key=key, remote=remote)


def unauthorized(message: str) -> ApiError:
    """401."""
    return ApiError(401, "UNAUTHORIZED", message)


def forbidden(message: str) -> ApiError:
    """403."""
    return ApiError(403, "FORBIDDEN", message)
