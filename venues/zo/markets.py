"""Reads the market list and the account's fees, and keeps the catalog of both."""

import asyncio
from collections.abc import Sequence

import structlog

from desk.errors import Refused
from desk.instrument import Instrument
from venues.zo.instruments import (
    Catalog,
    Market,
    WireTier,
    decode_brackets,
    decode_info,
    tier_of,
)
from venues.zo.reads import Reads, decode_integer, readable
from venues.zo.user import User


class Markets:
    """The catalog, read when it is needed. Raises Refused, NotSent or Unresolved."""

    def __init__(self, *, reads: Reads, catalog: Catalog, user: User) -> None:
        self._reads = reads
        self._user = user
        self._reading = asyncio.Lock()
        self._log = structlog.get_logger(__name__)
        self.catalog = catalog

    async def read(self) -> Sequence[Instrument]:
        """Order-book markets with this account's fees; configured fees where none are told."""
        info = await self._reads.json("info", decode_info)
        try:
            tier = await self._tier()
        except Refused as refusal:
            self._log.warning("zo.fee_tier_unknown", why=str(refusal))
            tier = WireTier()
        # Only to give a market with impossible decimals the same error as an unreadable list.
        return readable("info", lambda _: self.catalog.learn(info.markets, tier), b"")

    async def load(self) -> None:
        """Read the list where it was never read; without fees, so that little stands in the way."""
        async with self._reading:
            if not self.catalog.loaded:
                info = await self._reads.json("info", decode_info)
                readable("info", lambda _: self.catalog.learn(info.markets, WireTier()), b"")

    async def of(self, instrument: Instrument) -> Market:
        """The market of an instrument, reading the list first where it was never read."""
        await self.load()
        return self.catalog.of(instrument)

    async def _tier(self) -> WireTier:
        account_id = await self._user.account_id()
        tier_id = await self._reads.json("fee_tier", decode_integer, account_id)
        return tier_of(await self._reads.json("fee_brackets", decode_brackets), tier_id)
