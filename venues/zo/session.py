"""The session key that trades: made, renewed well before it ends, ended when we leave.

At most one attempt at a time; after an unknown outcome the venue's list is asked before another
(zo.md section 5.2). No key leaves this file but as a signature.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from desk.errors import NotSent, Refused, Unresolved, VenueError
from desk.orders import RejectReason
from desk.ports import Clock
from desk.units import NS_PER_S
from venues.zo.actions import Actions
from venues.zo.config import ZoConfig
from venues.zo.engine_clock import EngineClock
from venues.zo.errors import engine_error, raise_engine_error
from venues.zo.schema import nord_pb2 as pb
from venues.zo.signing import KeyPair, address_of, seed_of, sign_as_wallet
from venues.zo.user import User, no_account
from venues.zo.wire import create_session, revoke_session, signed

_LONGEST_WAIT_S = 30.0
_OLD_LIVES_S = 5.0
_WORTH_REUSING_S = 3_600


@dataclass(frozen=True, slots=True)
class Grant:
    """A session the venue knows. `made_here`: its key is ours alone and dies with us."""

    session_id: int
    key: KeyPair
    expires_at_s: int
    made_here: bool


class Session:
    """Who signs. `entropy(n)` gives n unpredictable bytes. Errors: Refused, NotSent, Unresolved."""

    def __init__(
        self,
        *,
        config: ZoConfig,
        user: User,
        actions: Actions,
        engine: EngineClock,
        clock: Clock,
        entropy: Callable[[int], bytes],
    ) -> None:
        self._config = config
        self._user = user
        self._actions = actions
        self._engine = engine
        self._clock = clock
        self._entropy = entropy
        self._grant: Grant | None = None
        self._refused: set[int] = set()
        self._makes = 0
        self._next_make_ns = 0
        self._making = asyncio.Lock()
        self._changed = asyncio.Event()
        self._log = structlog.get_logger(__name__)

    def at_hand(self) -> Grant | None:
        """The session to sign with now, None when one has to be found first (`ready`)."""
        grant = self._grant
        if grant is None or self._engine.now_s() >= grant.expires_at_s:
            return None
        return grant

    async def ready(self) -> Grant:
        """A session, found or made when that is needed."""
        async with self._making:
            return self.at_hand() or await self._obtain()

    def worked(self) -> None:
        """The venue took what the session signed."""
        self._makes = 0

    def lost(self, grant: Grant, why: str) -> None:
        """The venue does not know this session, or its signature, any more."""
        self._refused.add(grant.session_id)
        if self._grant is grant:
            self._grant = None
            self._log.error("zo.session_lost", session_id=grant.session_id, why=why)
            self._changed.set()

    async def run(self) -> None:
        """Keep a session at hand until cancelled; trouble is logged and tried again."""
        while True:
            self._changed.clear()
            wait_s = _LONGEST_WAIT_S
            try:
                wait_s = await self._keep()
            except VenueError as error:
                self._log.warning("zo.no_session", why=str(error))
                wait_s = min(wait_s, max(1.0, self._make_wait_s()))
            try:
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def close(self) -> None:
        """End the session if its key was made here and the settings say so; forget the keys."""
        grant, self._grant = self._grant, None
        if grant is None:
            return
        try:
            if grant.made_here and self._config.revoke_on_close:
                await self._revoke(grant)
        except VenueError as error:
            self._log.warning("zo.session_not_revoked", why=str(error))
        finally:
            grant.key.forget()

    async def _keep(self) -> float:
        grant = await self.ready()
        left_s = grant.expires_at_s - self._engine.now_s() - self._config.session_renew_before_s
        if left_s > 0:
            return float(min(left_s, _LONGEST_WAIT_S))
        if self._config.wallet_key is None:
            self._log.error("zo.session_expires", remedy="register a new session_key")
            return _LONGEST_WAIT_S
        async with self._making:
            await self._make(KeyPair(self._entropy(32)), made_here=True)
        await asyncio.sleep(_OLD_LIVES_S)
        if grant.made_here:
            await self._revoke(grant)
            grant.key.forget()
        return _LONGEST_WAIT_S

    async def _obtain(self) -> Grant:
        if self._engine.age_s() is None:
            await self._engine.refresh()
        given = self._config.session_key
        if given is None:
            return await self._make(KeyPair(self._entropy(32)), made_here=True)
        key = seed_of("session_key", given)
        listed = (await self._user.sessions()).get(address_of(key.public))
        if listed is not None and self._usable(*listed):
            self._grant = Grant(*listed[:1], key, listed[1], made_here=False)
            self._log.info("zo.session_reused", session_id=listed[0])
            return self._grant
        # A key that was ever registered may not be accepted again (zo.md section 5.2).
        if listed is None and not self._refused:
            try:
                return await self._make(key, made_here=False)
            except Refused as refusal:
                self._log.warning("zo.session_key_refused", why=str(refusal))
        return await self._make(KeyPair(self._entropy(32)), made_here=True)

    def _usable(self, session_id: int, expires_at_s: int) -> bool:
        if session_id in self._refused:
            return False
        least_s = 0 if self._config.wallet_key is None else _WORTH_REUSING_S
        return expires_at_s - self._engine.now_s() > least_s

    async def _make(self, key: KeyPair, *, made_here: bool) -> Grant:
        wallet = self._wallet()
        wait_s = self._make_wait_s()
        if wait_s > 0:
            raise NotSent(f"session: the next attempt is due in {wait_s:.1f} s")
        self._makes += 1
        pause_s = min(_LONGEST_WAIT_S, 2.0 ** (self._makes - 2)) if self._makes > 1 else 0.0
        self._next_make_ns = self._clock.monotonic_ns() + int(pause_s * NS_PER_S)
        expires_at_s = self._engine.now_s() + self._config.session_ttl_s
        action = create_session(
            self._engine.stamp(),
            user=wallet.public,
            session=key.public,
            expires_at_s=expires_at_s,
        )
        session_id = await self._registered(action, wallet, key)
        self._grant = Grant(session_id, key, expires_at_s, made_here)
        self._log.info("zo.session_made", session_id=session_id)
        return self._grant

    async def _registered(self, action: pb.Action, wallet: KeyPair, key: KeyPair) -> int:
        body = signed(action, lambda raw: sign_as_wallet(wallet, raw))
        try:
            receipt = await self._actions.exchange(
                "create session", body, self._config.session_timeout_s
            )
            self._check("create session", receipt)
            return int(receipt.create_session_result.session_id)
        except Unresolved as unknown:
            listed = (await self._user.sessions()).get(address_of(key.public))
            if listed is None:
                raise NotSent(f"{unknown}; the venue does not list the new session") from unknown
            return listed[0]
        finally:
            wallet.forget()

    async def _revoke(self, grant: Grant) -> None:
        wallet = self._wallet()
        try:
            action = revoke_session(self._engine.stamp(), grant.session_id)
            body = signed(action, lambda raw: sign_as_wallet(wallet, raw))
            self._check("revoke session", await self._actions.exchange("revoke session", body))
            self._log.info("zo.session_revoked", session_id=grant.session_id)
        finally:
            wallet.forget()

    def _check(self, label: str, receipt: pb.Receipt) -> None:
        error = engine_error(receipt)
        if error is None:
            return
        if error.code == pb.Error.USER_NOT_FOUND:
            raise no_account(self._user.address)
        raise_engine_error(label, error)

    def _wallet(self) -> KeyPair:
        if self._config.wallet_key is None:
            raise Refused(
                RejectReason.AUTH,
                "the session is revoked or expired and there is no wallet_key to make another; "
                "register a new session_key",
            )
        return seed_of("wallet_key", self._config.wallet_key)

    def _make_wait_s(self) -> float:
        return max(0.0, (self._next_make_ns - self._clock.monotonic_ns()) / NS_PER_S)
