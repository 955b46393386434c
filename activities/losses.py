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
from activities.marking import OLD_MARK_MS, Marking, marked_before
from activities.ports import ActivityPorts
from desk.daily_loss import (
    BY,
    MARKET_NAMES,
    DayFacts,
    DayLimits,
    LimitNames,
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
from desk.units import NS_PER_MS, NS_PER_S

_LOOK_S = 1.0
_SETTLE_MS = 2_000
_CLOCK_MS = 5_000
_MARKET = "market:"
_RUNBOOK = "docs/runbooks/daily-loss.md"
_NO_LIMITS = DayLimits()


class ClockDiffers(Unavailable):
    """This worker's clock is too far from the record's for it to judge a day."""


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
        self._marking = Marking(ports)
        self._clock_told = False

    @activity.defn
    async def latch_market(self, request: LatchMarketInput) -> LatchReport:
        """Keep a market from starting until its day is over; durable before it is flattened."""
        with as_application_errors():
            record_ms = await self._ports.losses.now_ms()
            until_ms = request.until_ms or self._ports.days.day_at(record_ms).ends_ms
            wanted = Kill(
                scope=f"{LOSS}{scopes(request.market)[0]}",
                reason=request.reason,
                by=BY,
                at_ms=now_ms(self._ports),
                effect=KillEffect.FLATTEN,
                until_ms=until_ms,
            )
            if until_ms > record_ms:
                return await self._latched(wanted, request.market, request.epoch)
            # Its day ended while it left: there is nothing to keep out of, and still to tell.
            await tell_latch(self._ports, wanted, request.market, request.epoch)
            return LatchReport(scope=wanted.scope, at_ms=wanted.at_ms, until_ms=until_ms)

    @activity.defn
    async def latch_scope(self, event: LossEvent) -> LatchReport:
        """Put in force what a passed limit of an account or of the fleet asks for."""
        with as_application_errors():
            wanted = latch(event.scope, event.finding, event.ends_ms, now_ms(self._ports))
            return await self._latched(wanted, _market(event.scope), None)

    @activity.defn
    async def watch_losses(self, request: WatchLossesInput) -> WatchLossesReport:
        """Look about every second; return when a limit was passed or what is limited changed."""
        with as_application_errors():
            first = await self._look()
            if request.window_s == 0 or first.events:
                return first
            marking = asyncio.ensure_future(self._marking.run())
            try:
                return await self._watch(first, request.window_s, marking)
            finally:
                marking.cancel()
                await asyncio.wait([marking])

    async def _watch(
        self, first: WatchLossesReport, window_s: int, marking: asyncio.Future[None]
    ) -> WatchLossesReport:
        ends_ns, seen = self._ports.clock.monotonic_ns() + window_s * NS_PER_S, first
        while not seen.events and _limited(seen) == _limited(first):
            if self._ports.clock.monotonic_ns() >= ends_ns:
                break
            if marking.done():
                marking.result()
            activity.heartbeat(seen.picture)
            await asyncio.sleep(_LOOK_S)
            with suppress(Unavailable):  # a record that is away is asked again
                seen = await self._look()
        return seen

    async def _look(self) -> WatchLossesReport:
        try:
            picture = await look_at_losses(self._ports, record=True)
        except ClockDiffers as fault:
            await self._tell_clock(str(fault))
            raise
        self._clock_told = False
        events = passed(picture)
        return WatchLossesReport(picture=picture, events=await self._unguarded(events))

    async def _unguarded(self, events: Sequence[LossEvent]) -> tuple[LossEvent, ...]:
        """Without those of markets that somebody holds: a session sees its limit at every step."""
        markets = {event.scope: _market(event.scope) for event in events}
        alone = [market for market in markets.values() if market is not None]
        try:
            held = await self._ports.holders.holders(alone) if alone else {}
        except Unavailable:
            held = {}  # nobody quotes without a lease
        return tuple(event for event in events if markets[event.scope] not in held)

    async def _tell_clock(self, fault: str) -> None:
        activity.logger.error(fault)
        if not self._clock_told:
            await self._ports.alerts.alert(None, "critical", f"{fault}; see {_RUNBOOK}")
            self._clock_told = True

    async def _latched(
        self, wanted: Kill, market: MarketId | None, epoch: int | None
    ) -> LatchReport:
        standing = await put_latch(self._ports, wanted)
        await tell_latch(self._ports, standing, market, epoch)
        return LatchReport(scope=standing.scope, at_ms=standing.at_ms, until_ms=standing.until_ms)


async def look_at_losses(ports: ActivityPorts, *, record: bool) -> LossPicture:
    """Every scope's day as it is now; with `record`, days and peaks that are new are kept.

    Within two seconds after a boundary it is still the day before: its last marks are on their way.
    Which day it is says the record. Raises Unavailable, also (ClockDiffers) when something would be
    kept by a worker whose clock is not the record's.
    """
    at_ms = await _record_ms(ports, record=record)
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
    unpriced = set[str]()
    for item in markets:
        if item.market in opened:
            for scope in scopes(item.market)[1:]:
                sums.setdefault(scope, []).append(_part(opened[item.market], item))
                if item.pnl is None:
                    unpriced.add(scope)
    rows = []
    for scope in sorted(sums, key=lambda name: (name != "fleet", name)):
        facts, pnl = of_markets(
            scope, day, recorded.get(scope), sums[scope], all_priced=scope not in unpriced
        )
        if record and facts != recorded.get(scope):
            facts = await ports.losses.note(facts)
        rows.append((facts, pnl))
    rows += [(replace(facts, peak=max(facts.peak, pnl)), pnl) for facts, pnl in parts.values()]
    return LossPicture(
        at_ms=at_ms,
        begins_ms=day.begins_ms,
        ends_ms=day.ends_ms,
        scopes=await _with_limits(
            ports, rows, frozenset(scopes(item.market)[0] for item in markets if item.quantity)
        ),
        uncounted=tuple(item.market.path for item in markets if item.market not in parts),
        old_marks=tuple(
            item.market.path
            for item in markets
            if item.quantity and item.market in parts and marked_before(item, at_ms - OLD_MARK_MS)
        ),
    )


def passed(picture: LossPicture) -> tuple[LossEvent, ...]:
    """Limits that were passed without a latch as hard in force.

    A market that is flat can lose no more: its limit is looked at when it begins. A day that is
    over latches nothing.
    """
    found = []
    for row in picture.scopes if picture.at_ms < picture.ends_ms else ():
        names = MARKET_NAMES if row.scope.startswith(_MARKET) else LimitNames()
        if names is MARKET_NAMES and not row.holding:
            continue
        day = TradingDay(begins_ms=picture.begins_ms, ends_ms=picture.ends_ms)
        facts = DayFacts(scope=row.scope, day=day, start=row.start, peak=row.peak)
        finding = judge(facts, row.now, row.limits, names)
        if finding.verdict is LossVerdict.NONE:
            continue
        wanted = latch(row.scope, finding, day.ends_ms, picture.at_ms)
        if row.latch is None or not holds(
            replace(wanted, effect=row.latch, until_ms=row.latch_until_ms), wanted
        ):
            found.append(LossEvent(scope=row.scope, finding=finding, ends_ms=day.ends_ms))
    return tuple(found)


# --- reading and telling -------------------------------------------------------------------------


async def _record_ms(ports: ActivityPorts, *, record: bool) -> int:
    at_ms = await ports.losses.now_ms()
    ahead_ms = now_ms(ports) - at_ms
    if record and abs(ahead_ms) > _CLOCK_MS:
        raise ClockDiffers(
            f"clock: worker {ports.worker} is {ahead_ms / 1_000:+.1f} s off the database's clock, "
            "so it may not judge the day's losses; set the clock of the one that is wrong"
        )
    return at_ms


def _part(facts: DayFacts, item: MarketPnl) -> tuple[DayFacts, Decimal]:
    """What a market brings to a sum; the last known where it has no price now."""
    known = item.marked_pnl if item.pnl is None else item.pnl
    return facts, facts.start if known is None else known


def _market(scope: str) -> MarketId | None:
    """The market of a market's scope, None for any other scope."""
    return MarketId.parse(scope.removeprefix(_MARKET)) if scope.startswith(_MARKET) else None


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
    ports: ActivityPorts, rows: Sequence[tuple[DayFacts, Decimal]], holding: frozenset[str]
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
                holding=facts.scope in holding,
            )
        )
    return tuple(found)


async def _evidence(ports: ActivityPorts, scope: str) -> str:
    """PnL of every market in scope in parts, as JSON: what a loss was made of can be checked."""
    day = ports.days.day_at(await ports.losses.now_ms())
    facts = await ports.losses.facts(day)
    return json.dumps(
        [
            {
                "market": item.market.path,
                "cash": str(item.cash),
                "fees": str(item.fees),
                "funding": str(item.funding),
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
