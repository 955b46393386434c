"""Who we are at the venue: an API key, a session, or both, chosen per endpoint.

After a 401 or 403 the other credential gets one chance; then the refusal stands.
"""

import asyncio
from collections.abc import Sequence
from typing import Literal, TypeAlias

import httpx
import msgspec
import structlog

from desk.errors import NotSent, Refused, Unresolved, VenueError
from desk.orders import RejectReason
from desk.ports import Clock
from desk.units import NS_PER_S
from venues._transport.backoff import Backoff
from venues._transport.message import encode_headers
from venues.ocx.config import OcxConfig
from venues.ocx.errors import error_of
from venues.ocx.signing import Secret, SignInRequest, expiry_of, sign_text, wallet_address

Credential: TypeAlias = Literal["key", "session"]
_REFUSED = frozenset({401, 403})
_JSON = ("Content-Type", "application/json")
_ALARM_S = 86_400
_LOOK_AGAIN_S = 3_600


class _Nonce(msgspec.Struct, frozen=True):
    nonce: str


class Session:
    """Credentials of one account. Sign-in errors are NotSent: what needed them was not sent."""

    def __init__(
        self, *, config: OcxConfig, http: httpx.AsyncClient, clock: Clock, backoff: Backoff
    ) -> None:
        self._config = config
        self._http = http
        self._clock = clock
        self._backoff = backoff
        self._token = config.session_jwt
        self._renew_at_s: float | None = None
        self._preferred: dict[str, Credential] = {}
        self._blocks: dict[Credential, bytes] = {}
        self._signing_in = asyncio.Lock()
        self._made = 0
        self._log = structlog.get_logger(__name__)

    @property
    def requests(self) -> int:
        """Sign-in requests sent so far."""
        return self._made

    def at_hand(self, endpoint: str) -> Credential | None:
        """Credential to use now, None when one has to be fetched first (`ready`)."""
        choices = self._choices(endpoint)
        if choices and (choices[0] == "key" or self._token):
            return choices[0]
        return None

    async def ready(self, endpoint: str) -> Credential:
        """Credential for an endpoint, signed in when that is needed. NotSent or Refused."""
        choice = self.at_hand(endpoint)
        if choice is not None:
            return choice
        choices = self._choices(endpoint)
        if not choices:
            raise Refused(
                RejectReason.AUTH, f"{endpoint}: no credential that it accepts is configured"
            )
        await self._sign_in(None)
        return choices[0]

    async def second(self, endpoint: str, failed: Credential, status: int) -> Credential | None:
        """The one other try after a 401 or 403, None when the refusal has to stand."""
        if status not in _REFUSED:
            return None
        other = next((kind for kind in self._choices(endpoint) if kind != failed), None)
        if other is None and failed == "session" and status == 401 and self._config.wallet_key:
            other = failed
        if other == "session" and (failed == "session" or not self._token):
            try:
                await self._sign_in(self._token)
            except VenueError as error:
                self._log.warning("ocx.sign_in_failed", error=str(error))
                return None
        return other

    def worked(self, endpoint: str, kind: Credential) -> None:
        """Remember which credential an endpoint took, so that it comes first from now on."""
        self._preferred[endpoint] = kind

    def pairs(self, kind: Credential) -> Sequence[tuple[str, str]]:
        """Headers that carry this credential."""
        config = self._config
        if kind == "key":
            secret = config.api_key.reveal() if config.api_key else ""
            bearer = config.key_header == "bearer"
            return [("Authorization", f"Bearer {secret}") if bearer else ("x-api-key", secret)]
        token = self._token.reveal() if self._token else ""
        if config.session_style == "bearer":
            return [("Authorization", f"Bearer {token}")]
        return [("Cookie", f"{config.session_cookie}={token}")]

    def block(self, kind: Credential) -> bytes:
        """The same as one encoded block with the content type, for the fast transport."""
        block = self._blocks.get(kind)
        if block is None:
            block = self._blocks[kind] = encode_headers([_JSON, *self.pairs(kind)])
        return block

    async def run(self) -> None:
        """Renew the session well before it ends, or warn when nobody can; until cancelled."""
        while True:
            wait_s = _LOOK_AGAIN_S
            try:
                wait_s = await self._keep_fresh()
            except VenueError as error:
                self._log.warning("ocx.sign_in_failed", error=str(error))
                await asyncio.sleep(1.0 + self._backoff.failed())
                continue
            await asyncio.sleep(wait_s)

    async def _keep_fresh(self) -> int:
        if self._config.wallet_key is None:
            self._warn_of_expiry()
            return _LOOK_AGAIN_S
        now_s = self._clock.wall_ns() / NS_PER_S
        if self._token is None or now_s >= self._due_s(self._token):
            await self._sign_in(self._token)
        return min(_LOOK_AGAIN_S, max(1, int((self._renew_at_s or now_s) - now_s)))

    def _due_s(self, token: Secret) -> float:
        if self._renew_at_s is None:
            now_s = self._clock.wall_ns() / NS_PER_S
            expiry = expiry_of(token)
            wait_s = self._config.session_renew_after_s
            self._renew_at_s = now_s + (
                wait_s if expiry is None else min(wait_s, max(0.0, (expiry - now_s) * 2 / 3))
            )
        return self._renew_at_s

    def _warn_of_expiry(self) -> None:
        expiry = None if self._token is None else expiry_of(self._token)
        if expiry is not None:
            left_s = expiry - self._clock.wall_ns() // NS_PER_S
            if left_s < _ALARM_S:
                self._log.error("ocx.session_expires", left_s=left_s, remedy="give a fresh JWT")

    def _choices(self, endpoint: str) -> list[Credential]:
        config = self._config
        have = {
            "key": bool(config.api_key),
            "session": bool(config.session_jwt or config.wallet_key),
        }
        accepted = config.credentials[endpoint]
        kinds: tuple[Credential, ...] = ("key", "session")
        found = [kind for kind in kinds if have[kind] and kind in accepted]
        order = [self._preferred.get(endpoint), *accepted]
        return sorted(found, key=order.index)

    async def _sign_in(self, stale: Secret | None) -> None:
        """Fetch a new session, unless somebody else replaced the stale one meanwhile."""
        async with self._signing_in:
            if self._token is not None and self._token is not stale:
                return
            if self._config.wallet_key is None:
                raise NotSent("no session, and no wallet to sign in with")
            try:
                token = await self._fetch_token(self._config.wallet_key)
            except Unresolved as error:
                # A sign-in changes nothing that matters, so its caller may simply try again.
                raise NotSent(str(error)) from error
            self._token, self._renew_at_s = token, None
            self._blocks.pop("session", None)
            self._due_s(token)
            self._log.info("ocx.signed_in")

    async def _fetch_token(self, key: Secret) -> Secret:
        config, address = self._config, wallet_address(key)
        answer = await self._post("nonce", {"walletAddress": address})
        try:
            nonce = msgspec.json.decode(answer.content, type=_Nonce).nonce
        except msgspec.DecodeError as error:
            raise Unresolved(f"nonce: unreadable answer ({error})") from error
        now_s = self._clock.wall_ns() // NS_PER_S
        text = SignInRequest(
            domain=config.siwe_domain,
            uri=config.siwe_uri,
            chain_id=config.siwe_chain_id,
            statement=config.siwe_statement,
            address=address,
            nonce=nonce,
            issued_at_s=now_s,
            expires_at_s=now_s + config.siwe_expiry_s,
        ).text()
        answer = await self._post("siwe", {"message": text, "signature": sign_text(key, text)})
        cookies = dict(answer.cookies)
        self._http.cookies.clear()
        token = cookies.get(config.session_cookie)
        if token is None:
            raise Unresolved("siwe: the answer set no session cookie")
        return Secret(token)

    async def _post(self, endpoint: str, body: dict[str, str]) -> httpx.Response:
        self._made += 1
        try:
            answer = await self._http.post(self._config.paths[endpoint], json=body)
        except httpx.HTTPError as error:
            raise NotSent(f"{endpoint}: {type(error).__name__}") from error
        if not answer.is_success:
            raise error_of(endpoint, answer.status_code, answer.content)
        return answer
