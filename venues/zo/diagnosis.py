"""What does not match between this program, its settings and the venue: one sentence each.

Nothing is sent but reads, and every question is asked although others could not be answered.
"""

from collections.abc import Awaitable, Callable, Sequence

from desk.errors import ConfigurationFault, VenueError
from venues.zo.access import PAUSED, Access
from venues.zo.config import ZoConfig
from venues.zo.engine_clock import EngineClock
from venues.zo.markets import Markets
from venues.zo.signing import address_of, seed_of
from venues.zo.user import User

_CLOCK_BOUND_MS = 60_000


class Diagnosis:
    """Questions for `flotilla doctor`."""

    def __init__(
        self,
        *,
        config: ZoConfig,
        access: Access,
        engine: EngineClock,
        markets: Markets,
        user: User,
    ) -> None:
        self._config = config
        self._access = access
        self._engine = engine
        self._markets = markets
        self._user = user

    async def sentences(self) -> Sequence[str]:
        """Everything found; empty when all is well."""
        found: list[str] = []
        questions = (self._schema, self._state, self._clock, self._account, self._sessions)
        for question in (*questions, self._modes):
            found += await _asked(question)
        return found

    async def _schema(self) -> Sequence[str]:
        return (await self._access.read_schema()).problems

    async def _state(self) -> Sequence[str]:
        return [PAUSED] if await self._access.read_state() else []

    async def _clock(self) -> Sequence[str]:
        offset_ms = await self._engine.refresh()
        if abs(offset_ms) <= _CLOCK_BOUND_MS:
            return []
        return [
            (
                f"clock: the engine is {offset_ms / 1_000:.0f} s ahead of this machine; orders are "
                "stamped with its time, but check this machine's clock"
            )
        ]

    async def _account(self) -> Sequence[str]:
        await self._user.account_id()
        return []

    async def _sessions(self) -> Sequence[str]:
        given = self._config.session_key
        if given is None:
            return []
        key = seed_of("session_key", given)
        public = address_of(key.public)
        key.forget()
        listed = (await self._user.sessions()).get(public)
        if listed is None:
            return [
                f"session {public} is not registered or was revoked: {self._remedy('register it')}"
            ]
        left_s = listed[1] - self._engine.now_s()
        if left_s <= 0:
            return [f"session {public} has expired: {self._remedy('register a new one')}"]
        if left_s <= self._config.session_renew_before_s:
            return [f"session {public} expires in {left_s} s: {self._remedy('register a new one')}"]
        return []

    async def _modes(self) -> Sequence[str]:
        await self._markets.load()
        wanted = self._config.markets
        return [one for symbol in wanted if (one := self._markets.catalog.refusal(symbol))]

    def _remedy(self, action: str) -> str:
        if self._config.wallet_key is not None:
            return "the adapter makes one of its own"
        return f"{action}, or give wallet_key"


async def _asked(question: Callable[[], Awaitable[Sequence[str]]]) -> Sequence[str]:
    try:
        return await question()
    except (VenueError, ConfigurationFault) as error:
        return [str(error)]
