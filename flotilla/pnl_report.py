"""What a period made, market by market and in sum, and how it ties to the venues' equity.

The rule: a sum says which markets it lacks, and a period that cannot be judged is flagged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from desk.history_ports import FieldKind, HistoryBook, Line, Span
from desk.identity import MarketId
from desk.pnl import (
    AccountMoney,
    MarketSums,
    PnlParts,
    Tie,
    TieVerdict,
    decompose,
    exposure,
    tie,
)
from desk.reconciliation import Tolerance
from desk.trading_day import DayRule
from desk.units import BPS
from infra.postgres.times import to_time

MOST_DAYS: Final = 400
"""The longest period that is told day by day."""

PNL_FIELDS: Final[Mapping[str, FieldKind]] = {
    "since": FieldKind.MOMENT,
    "until": FieldKind.MOMENT,
    "venue": FieldKind.TEXT,
    "account": FieldKind.TEXT,
    "symbol": FieldKind.TEXT,
    "fills": FieldKind.WHOLE,
    "turnover": FieldKind.AMOUNT,
    "spread": FieldKind.AMOUNT,
    "inventory": FieldKind.AMOUNT,
    "fees": FieldKind.AMOUNT,
    "funding": FieldKind.AMOUNT,
    "adjustments": FieldKind.AMOUNT,
    "pnl": FieldKind.AMOUNT,
    "position": FieldKind.AMOUNT,
    "mid": FieldKind.AMOUNT,
    "estimated_mids": FieldKind.WHOLE,
    "fills_without_mid": FieldKind.WHOLE,
}
"""Fields of a PnL row. A row without a symbol is what decisions booked to an account's balance."""

_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketMade:
    """One market's sums and where its PnL came from; None when a price is missing."""

    sums: MarketSums
    parts: PnlParts | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodMade:
    """What one period made. `total` is the sum of the markets that have a price, and of money."""

    span: Span
    markets: tuple[MarketMade, ...]
    moneys: tuple[AccountMoney, ...]
    total: PnlParts
    unpriced: tuple[str, ...]
    ties: tuple[Tie, ...]


async def period_made(
    history: HistoryBook, span: Span, market: MarketId | None, tolerance: Tolerance
) -> PeriodMade:
    """What a span made. Accounts are tied to their venue when all markets are asked for."""
    sums = await history.pnl(span, market)
    made = tuple(MarketMade(sums=one, parts=decompose(one)) for one in sums)
    moneys: tuple[AccountMoney, ...] = ()
    ties: tuple[Tie, ...] = ()
    if market is None:
        moneys = tuple(await history.moneys(span))
        ties = tuple([await _tied(history, span, one, tolerance) for one in moneys])
    total = PnlParts()
    for parts in [one.parts for one in made if one.parts is not None]:
        total += parts
    for money in moneys:
        total += PnlParts(adjustments=money.adjustments)
    return PeriodMade(
        span=span,
        markets=made,
        moneys=moneys,
        total=total,
        unpriced=tuple(one.sums.market.path for one in made if one.parts is None),
        ties=ties,
    )


def days_of(rule: DayRule, span: Span) -> tuple[Span, ...]:
    """Trading days that a span touches, oldest first, whole ones; ValueError for too many."""
    days: list[Span] = []
    at_ms = span.since_ms
    while at_ms < span.until_ms:
        day = rule.day_at(at_ms)
        days.append(Span(since_ms=day.begins_ms, until_ms=day.ends_ms))
        at_ms = day.ends_ms
        if len(days) > MOST_DAYS:
            raise ValueError(f"--daily: more than {MOST_DAYS} days; narrow --since and --until")
    return tuple(days)


def pnl_lines(made: PeriodMade) -> Sequence[Line]:
    """Rows of `PNL_FIELDS`: each market, then each account whose balance was adjusted."""
    since, until = to_time(made.span.since_ms), to_time(made.span.until_ms)
    lines: list[Line] = []
    for one in made.markets:
        sums, parts = one.sums, one.parts
        market = (sums.market.venue, sums.market.account, sums.market.symbol)
        held = (sums.closing.quantity, sums.closing.mid, sums.estimated, sums.unmeasured)
        lines.append((since, until, *market, sums.fills, sums.turnover, *_amounts(parts), *held))
    for money in made.moneys:
        if money.adjustments:
            parts = PnlParts(adjustments=money.adjustments)
            place = (money.venue, money.account, None)
            empty = (None, None, 0, 0)
            lines.append((since, until, *place, 0, Decimal(0), *_amounts(parts), *empty))
    return lines


async def _tied(history: HistoryBook, span: Span, money: AccountMoney, tolerance: Tolerance) -> Tie:
    """One account between the two words of its venue that are nearest to the span's ends."""
    readings = await history.readings(money.venue, money.account, span)
    if readings is None:
        return Tie(
            venue=money.venue,
            account=money.account,
            verdict=TieVerdict.UNKNOWN,
            reason="the venue's equity was not compared twice: see 'flotilla reconcile history'",
            transfers=money.transfers,
        )
    between = Span(since_ms=readings.opening.at_ms, until_ms=readings.closing.at_ms)
    account = (money.venue, money.account)
    markets = [
        one
        for one in await history.pnl(between)
        if (one.market.venue, one.market.account) == account
    ]
    found = [one for one in await history.moneys(between) if (one.venue, one.account) == account]
    worth, days = exposure(markets), Decimal(between.until_ms - between.since_ms) / _DAY_MS
    told = any(one.funding for one in markets)
    untold = Decimal(0) if told else worth * tolerance.untold_bps * days / BPS
    return tie(found[0], markets, readings, tolerance.allowed(worth, untold))


def _amounts(parts: PnlParts | None) -> tuple[Decimal | None, ...]:
    if parts is None:
        return (None,) * 6
    fees, funding = parts.fees, parts.funding
    return (parts.spread, parts.inventory, fees, funding, parts.adjustments, parts.total)
