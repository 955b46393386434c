"""One market's trading day around its session: opened before the first order, kept, rolled over.

The rule: the durable record is asked before anything may quote; without it nothing does.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal

from activities.losses import now_ms, put_latch, tell_latch
from activities.ports import ActivityPorts
from desk.daily_loss import DayFacts, DayLimits, LossLimit, MarketDay, is_latch, scopes
from desk.errors import ConfigurationFault, Unavailable, VenueError
from desk.identity import MarketId
from desk.records import Kill
from desk.risk.limits import RiskLimits
from desk.trading_day import TradingDay

_KEEP_S = 0.5
_PEAK_EVERY = 10
_EQUITY_S = 2.0
_FLUSH_S = 1.0
_NO_LIMITS = DayLimits()


async def recall_latches(ports: ActivityPorts, market: MarketId) -> None:
    """Put on the board what the record has against this market and the board has not."""
    recorded = await ports.ledger.active_kills()
    latches = [kill for kill in recorded if is_latch(kill) and kill.covers(market)]
    if not latches:
        return
    try:
        shown = {(kill.scope, kill.at_ms) for kill in await ports.board.kills(market)}
    except Unavailable:
        shown = set()
    if any((kill.scope, kill.at_ms) not in shown for kill in latches):
        await ports.board.rearm(recorded)


async def open_market_day(ports: ActivityPorts, market: MarketId, limits: RiskLimits) -> MarketDay:
    """The market's day with its recorded facts, which are recorded now if nobody did before.

    Raises Unavailable: without its day's facts a market is not quoted.
    """
    day = ports.days.day_at(await ports.losses.now_ms())
    await _remember_limits(ports, market, limits.daily_loss)
    facts = await _open(ports, market, day)
    return MarketDay(market, limits.daily_loss, day, facts)


@dataclass(slots=True, kw_only=True)
class DayKeeper:
    """Writes down what a running session's day becomes, and begins the next one at the boundary."""

    ports: ActivityPorts
    market: MarketId
    day: MarketDay
    noted: DayFacts | None = None
    rounds: int = 0
    latched: bool = False

    async def run(self) -> None:
        """Keep until cancelled; what could not be written is written at the next look."""
        while True:
            await asyncio.sleep(_KEEP_S)
            with suppress(Unavailable):
                await self.keep()

    async def keep(self) -> None:
        """One look. Raises Unavailable."""
        self.rounds += 1
        if now_ms(self.ports) >= self.day.day.ends_ms:
            await self._begin()
        facts = self.day.facts
        due = self.noted is None or self.rounds % _PEAK_EVERY == 0
        if facts is not None and facts != self.noted and due:
            self.noted = await self.ports.losses.note(facts)
            grown = self.day.facts or facts  # it may have, while this was written
            self.day.facts = replace(self.noted, peak=max(self.noted.peak, grown.peak))
        if self.day.reduction is not None and not self.latched:
            await self._latch(self.day.reduction)

    async def _begin(self) -> None:
        # The day's start is read from what was written: our own marks and fills among it.
        await self.ports.writer.flush(_FLUSH_S)
        day = self.ports.days.day_at(await self.ports.losses.now_ms())
        if day == self.day.day:
            return  # our clock is ahead of the record's
        self.noted = await _open(self.ports, self.market, day)
        self.day.begin(day, self.noted)
        self.latched = False

    async def _latch(self, reduction: Kill) -> None:
        wanted = replace(reduction, at_ms=now_ms(self.ports))
        standing = await put_latch(self.ports, wanted)
        if standing.at_ms >= wanted.at_ms:
            await tell_latch(self.ports, standing, self.market)
        self.latched = True


async def _open(ports: ActivityPorts, market: MarketId, day: TradingDay) -> DayFacts | None:
    """The recorded facts of a market's day, recorded now if nobody did; None without a price."""
    scope = scopes(market)[0]
    known = (await ports.losses.facts(day)).get(scope)
    if known is not None:
        return known
    begun = await ports.losses.pnl(day.begins_ms, market)
    start = begun[0].pnl if begun else Decimal(0)
    if start is None:
        return None
    equity = await _equity(ports, market)
    return await ports.losses.note(
        DayFacts(scope=scope, day=day, start=start, peak=start, equity=equity)
    )


async def _remember_limits(ports: ActivityPorts, market: MarketId, limits: DayLimits) -> None:
    """Keep what a market was started with, so that everybody can see it beside its losses."""
    scope = scopes(market)[0]
    known = (await ports.losses.limits()).get(scope)
    if limits != (_NO_LIMITS if known is None else known.limits):
        await ports.losses.set_limit(
            LossLimit(scope=scope, limits=limits, by="flotilla", reason="as the market was started")
        )


async def _equity(ports: ActivityPorts, market: MarketId) -> Decimal | None:
    """What the venue says the account is worth; for information, so never waited for long."""
    with suppress(VenueError, Unavailable, ConfigurationFault, TimeoutError):
        async with asyncio.timeout(_EQUITY_S):
            venue = await ports.venues.venue(market.venue, market.account)
            return (await venue.account.balance()).equity
    return None
