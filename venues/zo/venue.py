"""One account at 01.xyz, connected.

`run` holds the shared streams, sessions and connections, and no error ends it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import httpx
import structlog

from desk.instrument import Instrument
from desk.ports import Capabilities
from venues._transport.backoff import Backoff
from venues._transport.http import HttpPool
from venues._transport.shared_rate import SharedRate
from venues.zo.access import Access
from venues.zo.account import ZoAccount
from venues.zo.account_stream import AccountStream
from venues.zo.config import ZoConfig
from venues.zo.diagnosis import Diagnosis
from venues.zo.engine_clock import EngineClock
from venues.zo.execution import ZoExecution
from venues.zo.feed import ZoFeed
from venues.zo.markets import Markets
from venues.zo.reads import Reads
from venues.zo.session import Session

_RESTART_S = 1.0


class ZoVenue:
    """Venue of 01.xyz."""

    def __init__(
        self,
        *,
        config: ZoConfig,
        access: Access,
        account: ZoAccount,
        account_stream: AccountStream,
        feed: ZoFeed,
        execution: ZoExecution,
        session: Session,
        engine: EngineClock,
        markets: Markets,
        diagnosis: Diagnosis,
        reads: Reads,
        pools: Sequence[HttpPool],
        rate: SharedRate | None,
        http: httpx.AsyncClient,
        backoff: Callable[[], Backoff],
    ) -> None:
        self._capabilities = config.capabilities()
        self._access = access
        self._account = account
        self._account_stream = account_stream
        self._feed = feed
        self._execution = execution
        self._session = session
        self._engine = engine
        self._markets = markets
        self._diagnosis = diagnosis
        self._reads = reads
        self._pools = pools
        self._rate = rate
        self._http = http
        self._backoff = backoff
        self._log = structlog.get_logger(__name__)

    @property
    def capabilities(self) -> Capabilities:
        """What this venue can do."""
        return self._capabilities

    @property
    def feed(self) -> ZoFeed:
        """Public data."""
        return self._feed

    @property
    def account(self) -> ZoAccount:
        """Private data; `account.margins()` gives the figures risk gates ask for."""
        return self._account

    @property
    def execution(self) -> ZoExecution:
        """Orders."""
        return self._execution

    @property
    def dead_man(self) -> None:
        """The engine has no such timer (zo.md section 4.4)."""
        return

    @property
    def requests(self) -> int:
        """Read requests sent so far in this process, of all parts of this adapter."""
        return self._reads.sent

    @property
    def purse(self) -> SharedRate | None:
        """Its part of the rate budget that the fleet shares, if there is one."""
        return self._rate

    async def run(self) -> None:
        """Hold shared streams, sessions and budgets until cancelled; never ends by an error."""
        async with asyncio.TaskGroup() as group:
            for pool in self._pools:
                group.create_task(self._always("connections", pool.run))
            if self._rate is not None:
                group.create_task(self._always("rate budget", self._rate.run))
            group.create_task(self._always("access", self._access.run))
            group.create_task(self._always("session", self._session.run))
            group.create_task(self._always("account stream", self._account_stream.run))

    async def instruments(self) -> Sequence[Instrument]:
        """Order-book markets, with this account's fees. Raises Refused, NotSent or Unresolved.

        ConfigurationFault when the venue's schema moved, or the account is not the wallet's.
        """
        await self._access.check()
        return await self._markets.read()

    async def clock_offset_ms(self) -> int:
        """Engine clock minus ours; it counts whole seconds, so right to half of one.

        Raises Refused, NotSent or Unresolved.
        """
        return await self._engine.refresh()

    async def diagnose(self) -> Sequence[str]:
        """What does not match, one sentence each; empty when all is well. Never raises for it."""
        return await self._diagnosis.sentences()

    async def close(self) -> None:
        """End a session made here, as the settings say, and close connections."""
        await self._session.close()
        for pool in self._pools:
            await pool.close()
        await self._http.aclose()

    async def _always(self, what: str, run: Callable[[], Awaitable[None]]) -> None:
        backoff = self._backoff()
        while True:
            try:
                await run()
            except Exception as error:  # noqa: BLE001 -- the other parts must live on
                # Only the type: an unforeseen error's text may quote what it handled.
                self._log.error("zo.part_failed", part=what, error=type(error).__name__)
                if what == "account stream":
                    self._account.lost(f"the account stream failed ({type(error).__name__})")
            await asyncio.sleep(_RESTART_S + backoff.failed())
