"""One account at OCX, connected.

`run` holds the shared streams, sessions and connections, and no error ends it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from email.utils import parsedate_to_datetime

import httpx
import structlog

from desk.errors import Refused, Unresolved
from desk.instrument import Instrument
from desk.orders import RejectReason
from desk.ports import Capabilities, Clock
from desk.units import NS_PER_MS
from venues._transport.backoff import Backoff
from venues._transport.http import HttpPool
from venues._transport.shared_rate import SharedRate
from venues.ocx.account import OcxAccount
from venues.ocx.config import OcxConfig
from venues.ocx.execution import OcxExecution
from venues.ocx.feed import OcxFeed
from venues.ocx.instruments import Catalog, WireFees, decode_fees, decode_markets
from venues.ocx.reads import Reads, readable
from venues.ocx.session import Session
from venues.ocx.user_stream import UserStream

_RESTART_S = 1.0
_HALF_SECOND_MS = 500


class OcxVenue:
    """Venue of OCX."""

    def __init__(
        self,
        *,
        config: OcxConfig,
        account: OcxAccount,
        feed: OcxFeed,
        execution: OcxExecution,
        session: Session,
        reads: Reads,
        catalog: Catalog,
        user_stream: UserStream,
        pools: Sequence[HttpPool],
        rate: SharedRate | None,
        http: httpx.AsyncClient,
        clock: Clock,
        backoff: Callable[[], Backoff],
    ) -> None:
        self._capabilities = config.capabilities()
        self._account = account
        self._feed = feed
        self._execution = execution
        self._session = session
        self._reads = reads
        self._catalog = catalog
        self._user_stream = user_stream
        self._pools = pools
        self._rate = rate
        self._http = http
        self._clock = clock
        self._backoff = backoff
        self._log = structlog.get_logger(__name__)

    @property
    def capabilities(self) -> Capabilities:
        """What this venue can do."""
        return self._capabilities

    @property
    def feed(self) -> OcxFeed:
        """Public data."""
        return self._feed

    @property
    def account(self) -> OcxAccount:
        """Private data."""
        return self._account

    @property
    def execution(self) -> OcxExecution:
        """Orders."""
        return self._execution

    @property
    def dead_man(self) -> None:
        """OCX has no such timer (ocx.md section 4.4)."""
        return

    @property
    def requests(self) -> int:
        """Read requests sent so far in this process, repeats and sign-ins counted."""
        return self._reads.requests

    @property
    def purse(self) -> SharedRate | None:
        """Its part of the rate budget that the fleet shares, if there is one."""
        return self._rate

    async def run(self) -> None:
        """Hold shared streams, sessions and budgets until cancelled; never ends by an error."""
        try:
            async with asyncio.TaskGroup() as group:
                for pool in self._pools:
                    group.create_task(self._always("connections", pool.run))
                if self._rate is not None:
                    group.create_task(self._always("rate budget", self._rate.run))
                group.create_task(self._always("session", self._session.run))
                group.create_task(self._always("user stream", self._user_stream.run))
        finally:
            self._account.unheard()

    async def instruments(self) -> Sequence[Instrument]:
        """Markets we can read, with this account's fees. Raises Refused, NotSent or Unresolved.

        Where the venue refuses to tell the tier, the configured fees count.
        """
        markets = await self._reads.public("markets")
        try:
            tier = await self._reads.private("fees", decode_fees, {})
        except Refused as refusal:
            self._log.warning("ocx.fee_tier_unknown", why=str(refusal))
            tier = WireFees()
        return readable(
            "markets",
            lambda body: self._catalog.learn(decode_markets(body), tier),
            markets.content,
        )

    async def clock_offset_ms(self) -> int:
        """Venue clock minus ours, from the Date header of a cheap read.

        The header counts whole seconds, so the answer is right to half a second and half the
        round trip, no better. Raises Refused, NotSent or Unresolved.
        """
        asked_ns = self._clock.wall_ns()
        answer = await self._reads.public("fees")
        middle_ms = (asked_ns + self._clock.wall_ns()) // 2 // NS_PER_MS
        try:
            told = parsedate_to_datetime(answer.headers["date"])
        except (KeyError, ValueError) as error:
            raise Unresolved("clock: the answer has no readable Date header") from error
        return int(told.timestamp() * 1_000) + _HALF_SECOND_MS - middle_ms

    async def diagnose(self) -> Sequence[str]:
        """What of our credentials the venue does not accept; empty when it accepts them."""
        try:
            await self._account.balance()
        except Refused as refusal:
            if refusal.reason in {RejectReason.AUTH, RejectReason.FORBIDDEN}:
                return (f"api_key: the venue refuses it ({refusal.message}); give a valid one",)
            raise
        return ()

    async def close(self) -> None:
        """Close connections."""
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
                self._log.error("ocx.part_failed", part=what, error=type(error).__name__)
                if what == "user stream":
                    self._account.lost(f"the user stream failed ({type(error).__name__})")
            await asyncio.sleep(_RESTART_S + backoff.failed())
