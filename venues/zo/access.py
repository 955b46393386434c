"""What must be true before anything is sent: schema, clock, engine, account and session.

Orders need all of it; a cancel goes on as little as it can.
"""

import asyncio
from dataclasses import dataclass

import msgspec
import structlog

from desk.errors import ConfigurationFault, Refused, VenueError
from desk.orders import RejectReason
from venues._transport.backoff import Backoff
from venues.zo.config import ZoConfig
from venues.zo.engine_clock import EngineClock
from venues.zo.errors import CLOCK_OFF, SESSION_GONE, EngineError
from venues.zo.reads import Reads
from venues.zo.schema_guard import SchemaReport, compare
from venues.zo.session import Grant, Session
from venues.zo.user import User

_SCHEMA_EVERY = 120
_STATE_EVERY = 3
PAUSED = "the engine is paused: nothing trades until the venue resumes it"


class WireState(msgspec.Struct, frozen=True):
    """Health of the engine; what is not told counts as well."""

    paused: bool = False


class WireStateInfo(msgspec.Struct, frozen=True):
    """Body of `/state/info`."""

    state: WireState = WireState()


decode_state = msgspec.json.Decoder(WireStateInfo).decode


@dataclass(frozen=True, slots=True)
class Pass:
    """Leave to send: the session that signs and the account that trades."""

    grant: Grant
    account_id: int


class Access:
    """Gives passes. Raises Refused, NotSent, Unresolved, and ConfigurationFault for settings."""

    def __init__(
        self,
        *,
        config: ZoConfig,
        reads: Reads,
        engine: EngineClock,
        user: User,
        session: Session,
        backoff: Backoff,
    ) -> None:
        self._guard = config.schema_guard
        self._refresh_s = config.clock_refresh_s
        self._max_age_s = config.clock_max_age_s
        self._reads = reads
        self._engine = engine
        self._user = user
        self._session = session
        self._backoff = backoff
        self._paused: bool | None = None
        self._log = structlog.get_logger(__name__)
        self.schema: SchemaReport | None = None

    def at_hand(self) -> Pass | None:
        """Leave to place orders now, None when something has to be asked first (`ready`)."""
        age_s = self._engine.age_s()
        account_id = self._user.known_account_id
        if age_s is None or age_s > self._max_age_s or account_id is None:
            return None
        if self._paused is not False or self._schema_trouble() is not None:
            return None
        grant = self._session.at_hand()
        return None if grant is None else Pass(grant, account_id)

    async def ready(self) -> Pass:
        """Leave to place orders."""
        await self.check()
        if self._paused:
            raise Refused(RejectReason.HALTED, PAUSED)
        return Pass(await self._session.ready(), await self._user.account_id())

    async def ready_to_cancel(self) -> Pass:
        """Leave to cancel: a paused engine and an old clock do not stand in the way."""
        if self._guard == "strict" and self.schema is not None and not self.schema.cancels_safe:
            raise Refused(RejectReason.INVALID, self.schema.problems[0])
        if self._engine.age_s() is None:
            await self._engine.refresh()
        return Pass(await self._session.ready(), await self._user.account_id())

    async def check(self) -> None:
        """Schema, engine and clock; ConfigurationFault with a sentence when the schema moved."""
        if self.schema is None:
            await self.read_schema()
        trouble = self._schema_trouble()
        if trouble is not None:
            raise ConfigurationFault(trouble)
        age_s = self._engine.age_s()
        if age_s is None or age_s > self._max_age_s:
            await self._engine.refresh()
        if self._paused is not False:
            await self.read_state()

    def heard(self, grant: Grant, error: EngineError | None) -> None:
        """What a receipt says of the session and the clock."""
        if error is None:
            self._session.worked()
        elif error.code in SESSION_GONE:
            self._session.lost(grant, error.message)
        elif error.code in CLOCK_OFF:
            self._engine.doubt()

    async def read_schema(self) -> SchemaReport:
        """Compare the venue's schema with ours (zo.md section 10.2)."""
        self.schema = await self._compared()
        for problem in self.schema.problems:
            self._log.error("zo.schema_moved", problem=problem)
        return self.schema

    async def read_state(self) -> bool:
        """Whether the engine is paused."""
        self._paused = (await self._reads.json("state", decode_state)).state.paused
        return self._paused

    async def run(self) -> None:
        """Keep clock, engine state and schema fresh until cancelled."""
        tick = 0
        while True:
            wait_s = self._refresh_s
            try:
                await self._engine.refresh()
                if tick % _STATE_EVERY == 0:
                    await self.read_state()
                if tick % _SCHEMA_EVERY == 0:
                    await self.read_schema()
                tick += 1
            except VenueError as error:
                self._log.warning("zo.venue_not_read", why=str(error))
                wait_s = min(wait_s, 0.5 + self._backoff.failed())
            await asyncio.sleep(wait_s)

    async def _compared(self) -> SchemaReport:
        if self._guard == "off":
            return SchemaReport()
        try:
            return compare(await self._reads.text("schema"))
        except VenueError as error:
            if self._guard == "strict":
                raise
            return SchemaReport((f"schema: it could not be read ({error})",))

    def _schema_trouble(self) -> str | None:
        if self.schema is None:
            return "schema: it was not read yet"
        if self._guard != "strict" or not self.schema.problems:
            return None
        return f"{self.schema.problems[0]}; live trading stops until this program is updated"
