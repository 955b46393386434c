"""One account at X10, connected.

`run` holds the shared streams, budgets and connections, and no error ends it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import httpx
import structlog

from desk.errors import Unresolved
from desk.instrument import Instrument
from desk.ports import Capabilities, Clock
from desk.units import NS_PER_MS
from venues._transport.backoff import Backoff
from venues._transport.http import HttpPool
from venues._transport.shared_rate import SharedRate
from venues.x10.account import X10Account
from venues.x10.account_stream import AccountStream
from venues.x10.config import X10Config
from venues.x10.dead_man import DeadMan
from venues.x10.doctor import diagnose
from venues.x10.execution import X10Execution
from venues.x10.feed import X10Feed
from venues.x10.reads import Reads
from venues.x10.rules import Rules

_RESTART_S = 1.0
_HALF_SECOND_MS = 500
_STREAM = "account stream"


class X10Venue:
    """Venue of X10."""

    def __init__(
        self,
        *,
        config: X10Config,
        account: X10Account,
        feed: X10Feed,
        execution: X10Execution,
        dead_man: DeadMan,
        reads: Reads,
        rules: Rules,
        account_stream: AccountStream,
        pools: Sequence[HttpPool],
        rate: SharedRate | None,
        threads: ThreadPoolExecutor | None,
        http: httpx.AsyncClient,
        clock: Clock,
        backoff: Callable[[], Backoff],
    ) -> None:
        self._config = config
        self._capabilities = config.capabilities()
        self._account = account
        self._feed = feed
        self._execution = execution
        self._dead_man = dead_man
        self._reads = reads
        self._rules = rules
        self._account_stream = account_stream
        self._pools = pools
        self._rate = rate
        self._threads = threads
        self._http = http
        self._clock = clock
        self._backoff = backoff
        self._log = structlog.get_logger(__name__)

    @property
    def capabilities(self) -> Capabilities:
        """What this venue can do."""
        return self._capabilities

    @property
    def feed(self) -> X10Feed:
        """Public data."""
        return self._feed

    @property
    def account(self) -> X10Account:
        """Private data."""
        return self._account

    @property
    def execution(self) -> X10Execution:
        """Orders."""
        return self._execution

    @property
    def dead_man(self) -> DeadMan:
        """The venue's timer (x10.md section 10)."""
        return self._dead_man

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
            group.create_task(self._always("market rules", self._rules.run))
            group.create_task(self._always(_STREAM, self._account_stream.run))

    async def instruments(self) -> Sequence[Instrument]:
        """Active perpetuals, with this account's fees. Raises Refused, NotSent or Unresolved."""
        return await self._rules.refresh()

    async def diagnose(self) -> Sequence[str]:
        """What in our settings does not fit the account, one sentence each; empty when all does."""
        return await diagnose(
            self._config, self._reads, signature_refused=self._execution.signature_refused
        )

    async def clock_offset_ms(self) -> int:
        """Venue clock minus ours, from the Date header of a read that is never cached.

        The header counts whole seconds, so the answer is right to half a second and half the
        round trip, no better. Raises Refused, NotSent or Unresolved.
        """
        asked_ns = self._clock.wall_ns()
        answer = await self._reads.answer("/user/account/info", {})
        middle_ms = (asked_ns + self._clock.wall_ns()) // 2 // NS_PER_MS
        try:
            told = parsedate_to_datetime(answer.headers["date"])
        except (KeyError, ValueError) as error:
            raise Unresolved("clock: the answer has no readable Date header") from error
        return int(told.timestamp() * 1_000) + _HALF_SECOND_MS - middle_ms

    async def close(self) -> None:
        """Close connections."""
        for pool in self._pools:
            await pool.close()
        await self._http.aclose()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _always(self, what: str, run: Callable[[], Awaitable[None]]) -> None:
        backoff = self._backoff()
        while True:
            try:
                await run()
            except Exception as error:  # noqa: BLE001 -- the other parts must live on
                # Only the type: an unforeseen error's text may quote what it handled.
                self._log.error("x10.part_failed", part=what, error=type(error).__name__)
                if what == _STREAM:
                    self._account.lost(f"the account stream failed ({type(error).__name__})")
            await asyncio.sleep(_RESTART_S + backoff.failed())
