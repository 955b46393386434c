"""Losses of accounts and of the fleet watched, and latches put in force.

The rule: a latch stands in the durable record before it stands on the board.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

from temporalio import activity

from activities.failures import as_application_errors
from activities.loss_messages import (
    LatchMarketInput,
    LatchReport,
    LossEvent,
    LossPicture,
    ScopeLoss,
    WatchLossesInput,
    WatchLossesReport,
)
from activities.ports import ActivityPorts
from desk.daily_loss import (
    BY,
    DayFacts,
    DayLimits,
    LossVerdict,
    MarketPnl,
    holds,
    is_latch,
    judge,
    latch,
    of_markets,
    scopes,
)
from desk.errors import Unavailable
from desk.identity import MarketId
from desk.records import LOSS, ControlDecision, Kill, KillEffect
from desk.trading_day import TradingDay, moment
from desk.units import NS_PER_MS

_LOOK_S = 1.0
_SETTLE_MS = 2_000
_RUNBOOK = "docs/runbooks/daily-loss.md"
_NO_LIMITS = DayLimits()


async def put_latch(ports: ActivityPorts, wanted: Kill) -> Kill:
    """Put a latch in force, record first; the one in force, which may be another as hard.

    Raises Unavailable; repeating is always safe.
    """
    standing = await ports.losses.latch(wanted)
    while True:
        await ports.board.set(standing)
        named = await ports.board.named(standing.scope)
        if older := {at_ms for at_ms in named if at_ms < standing.at_ms}:
            # The record lifted it for this one; nobody else would take it off the board.
            await ports.board.lift(standing.scope, older)
        now = await ports.losses.latch(wanted)
        if now.at_ms == standing.at_ms:
            return standing
        standing = now  # a harder one came meanwhile, and the board may show ours


class LossActivities:
    """What the workflows of markets and of daily loss ask for."""

    def __init__(self, ports: ActivityPorts) -> None:
        self._ports = ports

    @activity.defn
    async def latch_market(self, request: LatchMarketInput) -> LatchReport:
        """Keep a market from starting until its day is over; durable before it is flattened."""
        with as_application_errors():
            at_ms = now_ms(self._ports)
            until_ms = request.until_ms or self._ports.days.day_at(at_ms).ends_ms
            wanted = Kill(
                scope=f"{LOSS}{scopes(request.market)[0]}",
                reason=request.reason,
                by=BY,
                at_ms=at_ms,
                effect=KillEffect.FLATTEN,
                until_ms=until_ms,
            )
            return await self._latched(wanted, request.market, request.epoch)

    @activity.defn
    async def latch_scope(self, event: LossEvent) -> LatchReport:
        """Put in force what a passed limit of an account or of the fleet asks for."""
        with as_application_errors():
            wanted = latch(event.scope, event.finding, event.ends_ms, now_ms(self._ports))
            return await self._latched(wanted, None, None)

    @activity.defn
    async def watch_losses(self, request: WatchLossesInput) -> WatchLossesReport:
        """Look about every second; return when a limit was passed or what is limited changed."""
        with as_application_errors():
            first = await self._look()
            ends_ns = self._ports.clock.monotonic_ns() + request.window_s * 1_000_000_000
            seen = first
            while not seen.events and _limited(seen) == _limited(first):
                if self._ports.clock.monotonic_ns() >= ends_ns:
                    break
                activity.heartbeat(seen.picture)
                await asyncio.sleep(_LOOK_S)
                with suppress(Unavailable):  # a record that is away is asked again
                    seen = await self._look()
            return seen

    async def _look(self) -> WatchLossesReport:
        picture = await look_at_losses(self._ports, record=True)
        return WatchLossesReport(picture=picture, events=passed(picture))

    async def _latched(
        self, wanted: Kill, market: MarketId | None, epoch: int | None
    ) -> LatchReport:
        standing = await put_latch(self._ports, wanted)
        await tell_latch(self._ports, standing, market, epoch)
        return LatchReport(scope=standing.scope, at_ms=standing.at_ms, until_ms=standing.until_ms)


async def look_at_losses(ports: ActivityPorts, *, record: bool) -> LossPicture:
    """Every scope's day as it is now; with `record`, days and peaks that are new are kept.

    Within two seconds after a boundary it is still the day before: its last marks are on their way.
    Raises Unavailable.
    """
    at_ms = now_ms(ports)
    day = ports.days.day_at(at_ms - _SETTLE_MS)
    recorded = await ports.losses.facts(day)
    markets = await ports.losses.pnl()
    opened = await _opened(ports, day, recorded, markets, record=record)
    parts = {
        item.market: (opened[item.market], item.pnl)
        for item in markets
        if item.market in opened and item.pnl is not None
    }
    sums: dict[str, list[tuple[DayFacts, Decimal]]] = {}
    for market, part in parts.items():
        for scope in scopes(market)[1:]:
            sums.setdefault(scope, []).append(part)
    rows = []
    for scope in sorted(sums, key=lambda name: (name != "fleet", name)):
        facts, pnl = of_markets(scope, day, recorded.get(scope), sums[scope])
        if record and facts != recorded.get(scope):
            facts = await ports.losses.note(facts)
        rows.append((facts, pnl))
    rows += [(replace(facts, peak=max(facts.peak, pnl)), pnl) for facts, pnl in parts.values()]
    return LossPicture(
        at_ms=at_ms,
        begins_ms=day.begins_ms,
        ends_ms=day.ends_ms,
        scopes=await _with_limits(ports, rows),
        uncounted=tuple(item.market.path for item in markets if item.market not in parts),
    )


def passed(picture: LossPicture) -> tuple[LossEvent, ...]:
    """Limits of accounts and of the fleet that were passed without a latch as hard in force.

    A market's own limit is its session's to see, at every step. A day that is over latches nothing.
    """
    found = []
    for row in picture.scopes if picture.at_ms < picture.ends_ms else ():
        if row.scope.startswith("market:"):
            continue
        day = TradingDay(begins_ms=picture.begins_ms, ends_ms=picture.ends_ms)
        facts = DayFacts(scope=row.scope, day=day, start=row.start, peak=row.peak)
        finding = judge(facts, row.now, row.limits)
        if finding.verdict is LossVerdict.NONE:
            continue
        wanted = latch(row.scope, finding, day.ends_ms, picture.at_ms)
        if row.latch is None or not holds(
            replace(wanted, effect=row.latch, until_ms=row.latch_until_ms), wanted
        ):
            found.append(LossEvent(scope=row.scope, finding=finding, ends_ms=day.ends_ms))
    return tuple(found)


# --- reading and telling -------------------------------------------------------------------------


async def _opened(
    ports: ActivityPorts,
    day: TradingDay,
    recorded: Mapping[str, DayFacts],
    markets: Sequence[MarketPnl],
    *,
    record: bool,
) -> Mapping[MarketId, DayFacts]:
    """Facts of every market's day; where the start has no price, the first PnL known is it."""
    opened = {
        item.market: recorded[scope]
        for item in markets
        if (scope := scopes(item.market)[0]) in recorded
    }
    missing = [item for item in markets if item.market not in opened]
    if not missing:
        return opened
    starts = {item.market: item.pnl for item in await ports.losses.pnl(day.begins_ms)}
    for item in missing:
        start = starts.get(item.market)
        start = item.pnl if start is None else start
        if start is None:
            continue
        facts = DayFacts(scope=scopes(item.market)[0], day=day, start=start, peak=start)
        opened[item.market] = await ports.losses.note(facts) if record else facts
    return opened


async def _with_limits(
    ports: ActivityPorts, rows: Sequence[tuple[DayFacts, Decimal]]
) -> tuple[ScopeLoss, ...]:
    limits = await ports.losses.limits()
    latches = {kill.scope: kill for kill in await ports.ledger.active_kills() if is_latch(kill)}
    found = []
    for facts, pnl in rows:
        limit, kill = limits.get(facts.scope), latches.get(f"{LOSS}{facts.scope}")
        found.append(
            ScopeLoss(
                scope=facts.scope,
                start=facts.start,
                now=pnl,
                peak=facts.peak,
                limits=_NO_LIMITS if limit is None else limit.limits,
                latch=None if kill is None else kill.effect,
                latch_until_ms=None if kill is None else kill.until_ms,
            )
        )
    return tuple(found)


async def _evidence(ports: ActivityPorts, scope: str) -> str:
    """PnL of every market in scope in parts, as JSON: what a loss was made of can be checked."""
    day = ports.days.day_at(now_ms(ports))
    facts = await ports.losses.facts(day)
    return json.dumps(
        [
            {
                "market": item.market.path,
                "cash": str(item.cash),
                "fees": str(item.fees),
                "position": str(item.quantity),
                "mid": None if item.mid is None else str(item.mid),
                "marked_at_ms": item.marked_at_ms,
                "pnl": None if item.pnl is None else str(item.pnl),
                "start": str(known.start) if known else None,
                "venue_equity_at_start": str(known.equity) if known and known.equity else None,
            }
            for item in await ports.losses.pnl()
            if scope in scopes(item.market)
            for known in (facts.get(scopes(item.market)[0]),)
        ]
    )


async def tell_latch(
    ports: ActivityPorts, kill: Kill, market: MarketId | None, epoch: int | None = None
) -> None:
    """Record a latch as a decision, with what the loss was made of, and tell a person."""
    scope = kill.scope.removeprefix(LOSS)
    hard = kill.effect is not KillEffect.REDUCE
    await ports.ledger.record_decision(
        ControlDecision(
            market=market,
            epoch=epoch,
            kind=f"daily loss: {'hard' if hard else 'soft'} limit of {scope}",
            reason=kill.reason,
            by=BY,
            evidence=await _evidence(ports, scope),
            at_ms=kill.at_ms,
        )
    )
    what = "everything is cancelled and flattened" if hard else "no new risk is taken"
    until = "" if kill.until_ms is None else moment(kill.until_ms)
    again = "it may start again at" if hard else "it may take risk again at"
    await ports.alerts.alert(
        market,
        "critical" if hard else "warning",
        f"{scope} {kill.reason}; {what}; {again} {until}; see {_RUNBOOK}",
    )


def _limited(report: WatchLossesReport) -> frozenset[tuple[object, ...]]:
    """What a person sees change: the day, limits, and latches of every scope."""
    picture = report.picture
    return frozenset(
        (picture.begins_ms, row.scope, row.limits, row.latch) for row in picture.scopes
    )


def now_ms(ports: ActivityPorts) -> int:
    """Unix milliseconds of our clock."""
    return ports.clock.wall_ns() // NS_PER_MS
