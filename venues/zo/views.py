"""The two ways in which 01.xyz tells of our account, and what each says now.

`/account/{id}` carries the engine's own count of updates: it is taken for the engine's state.
"""

import asyncio
from collections.abc import Mapping
from decimal import Decimal

import structlog

from desk.ports import Clock
from desk.sources import Authority, Quarrel, Source, SourceView
from desk.units import Lots
from venues.zo.heard import Heard
from venues.zo.markets import Markets
from venues.zo.payloads import WireAccount, decode_account
from venues.zo.reads import Reads, readable
from venues.zo.scale import Scale
from venues.zo.user import User

ENGINE = Source(name="GET /account/{id}", authority=Authority.ENGINE)
STREAM = Source(name="account stream", authority=Authority.STREAM)
SOURCES = (ENGINE, STREAM)
_LOOKS = 3
_CATCH_UP_S = 0.1
_UNKNOWN = Scale(8)


class Views:
    """Reads the sources, one request a look. Raises Refused, NotSent or Unresolved."""

    def __init__(
        self, *, user: User, reads: Reads, markets: Markets, heard: Heard, clock: Clock
    ) -> None:
        self._user = user
        self._reads = reads
        self._markets = markets
        self._heard = heard
        self._clock = clock
        self._quarrel = Quarrel()
        self._log = structlog.get_logger(__name__)

    async def read(self) -> list[SourceView]:
        """What each says now, looked at again while the stream is not where the reading is.

        A stream that stays behind cannot say. One that contradicts the engine for half a minute is
        started anew, so that what is told to markets follows the engine.
        """
        account_id = await self._user.account_id()
        await self._markets.load()
        for look in range(_LOOKS):
            if look:
                await asyncio.sleep(_CATCH_UP_S)
            asked_ns = self._clock.monotonic_ns()
            told = await self._reads.json("account", decode_account, account_id)
            if self._heard.held is None or self._heard.update_id == told.update_id:
                break
        engine = self._engine(told, asked_ns)
        stream = self._stream(told, asked_ns)
        apart = stream is not None and stream.positions != engine.positions
        if self._quarrel.lasts(apart=apart, now_ns=engine.asked_ns):
            self._heard.doubted = True
        return [engine] if stream is None else [engine, stream]

    def _engine(self, told: WireAccount, asked_ns: int) -> SourceView:
        held = {one.market_id: one.perp.held for one in told.positions if one.perp is not None}
        positions = readable("account", lambda _: self._lots(held), b"")
        return SourceView(
            source=ENGINE, positions=positions, asked_ns=asked_ns, equity=told.margins.mf
        )

    def _stream(self, told: WireAccount, asked_ns: int) -> SourceView | None:
        """The stream's word, as fresh as the reading whose count of updates it has reached."""
        held = self._heard.held
        if held is None or self._heard.update_id < told.update_id:
            return None
        try:
            positions = self._lots(held)
        except (ValueError, ArithmeticError) as error:
            self._log.error("zo.account_unreadable", why=str(error))
            return None
        return SourceView(source=STREAM, positions=positions, asked_ns=asked_ns)

    def _lots(self, held: Mapping[int, Decimal]) -> dict[str, Lots]:
        """Signed lots, in units of 1e-8 where the market is unknown; ValueError off the grid."""
        found = {}
        for market_id, quantity in held.items():
            market = self._markets.catalog.by_id(market_id)
            scale = _UNKNOWN if market is None else market.sizes
            symbol = str(market_id) if market is None else market.symbol
            if lots := scale.units(quantity):
                found[symbol] = lots
        return found
