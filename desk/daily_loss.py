"""What a day lost, and whether that is too much: from recorded facts to a verdict.

The rule: the day's start is recorded once and its peak only grows; every sentence names which of
the two a loss is measured from. Deposits and withdrawals are no fills, so they are in neither.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final

from desk.identity import MarketId
from desk.records import LOSS, Kill, KillEffect
from desk.trading_day import TradingDay, moment

BY: Final = "daily loss"
"""Who sets the kills of loss limits."""

_ZERO = Decimal(0)
_HARDNESS = {
    KillEffect.REDUCE: 0,
    KillEffect.HOLD: 1,
    KillEffect.STOP: 2,
    KillEffect.FLATTEN: 3,
}


class LossVerdict(StrEnum):
    """What the day's loss asks for: nothing, no new risk, or to be flat until the next day."""

    NONE = "none"
    SOFT = "soft"
    HARD = "hard"


class Reference(StrEnum):
    """From where a loss is measured."""

    START = "since the start of the day"
    PEAK = "below the day's peak"


_EFFECTS = {LossVerdict.SOFT: KillEffect.REDUCE, LossVerdict.HARD: KillEffect.FLATTEN}


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitNames:
    """What a person calls the three limits where they are set."""

    soft: str = "the soft limit"
    hard: str = "the hard limit"
    drawdown: str = "the drawdown limit"


MARKET_NAMES: Final = LimitNames(soft="soft_daily_loss", hard="max_daily_loss")


@dataclass(frozen=True, slots=True, kw_only=True)
class DayLimits:
    """Largest losses of one day, positive quote currency; None is off.

    `soft` and `hard` are since the start of the day; `drawdown` is below the day's peak and as
    hard as `hard`.
    """

    soft: Decimal | None = None
    hard: Decimal | None = None
    drawdown: Decimal | None = None

    def problems(self, names: LimitNames = LimitNames()) -> tuple[str, ...]:
        """Contradictions, each a sentence naming the limit and the remedy; empty when sound."""
        given = ((names.soft, self.soft), (names.hard, self.hard), (names.drawdown, self.drawdown))
        found = [
            f"{name}: {value} is not above zero; give a positive amount, or leave it out"
            for name, value in given
            if value is not None and not (value.is_finite() and value > 0)
        ]
        if not found and self.soft is not None and self.hard is not None and self.soft > self.hard:
            found.append(
                f"{names.soft}: {self.soft} is above {names.hard} {self.hard}; "
                "lower the one or raise the other"
            )
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossLimit:
    """Limits of one scope, and who set them when and why."""

    scope: str
    limits: DayLimits
    by: str
    reason: str
    set_at_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFacts:
    """A scope's recorded day: PnL at its start and the highest since, quote currency.

    `equity` is the venue's word on the account when the day was opened, for comparison only.
    """

    scope: str
    day: TradingDay
    start: Decimal
    peak: Decimal
    equity: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketPnl:
    """A market's PnL at one moment, in parts: fills, fees, funding, and the holding at its mid.

    `quantity` is signed base units, `mid` the last one known at `marked_at_ms`, and `marked_pnl`
    the PnL noted with it. `priced` is False while fills were booked that nobody could price yet.
    """

    market: MarketId
    cash: Decimal = _ZERO
    fees: Decimal = _ZERO
    funding: Decimal = _ZERO
    quantity: Decimal = _ZERO
    multiplier: Decimal | None = None
    mid: Decimal | None = None
    marked_at_ms: int | None = None
    marked_pnl: Decimal | None = None
    priced: bool = True

    @property
    def pnl(self) -> Decimal | None:
        """Cash from fills, less fees, plus funding and the holding's worth.

        None when a price is missing.
        """
        if not self.priced:
            return None
        money = self.cash - self.fees + self.funding
        if not self.quantity:
            return money
        if self.mid is None or self.multiplier is None:
            return None
        return money + self.quantity * self.multiplier * self.mid


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A verdict; `lost` against `reference` (negative for a gain), and one sentence for people."""

    verdict: LossVerdict = LossVerdict.NONE
    lost: Decimal = _ZERO
    limit: Decimal | None = None
    reference: Reference = Reference.START
    sentence: str = ""


def judge(
    facts: DayFacts,
    pnl: Decimal,
    limits: DayLimits,
    names: LimitNames = LimitNames(),
) -> Finding:
    """The verdict on a PnL of this day; a limit is passed when the loss is more than it."""
    lost, fall = facts.start - pnl, max(facts.peak, pnl) - pnl
    if limits.hard is not None and lost > limits.hard:
        return _passed(LossVerdict.HARD, facts, lost, limits.hard, names.hard, Reference.START)
    if limits.drawdown is not None and fall > limits.drawdown:
        return _passed(
            LossVerdict.HARD, facts, fall, limits.drawdown, names.drawdown, Reference.PEAK
        )
    if limits.soft is not None and lost > limits.soft:
        return _passed(LossVerdict.SOFT, facts, lost, limits.soft, names.soft, Reference.START)
    return Finding(lost=lost)


def latch(scope: str, finding: Finding, until_ms: int, at_ms: int) -> Kill:
    """The kill a finding asks for; it ends with the day. KeyError for no finding."""
    return Kill(
        scope=f"{LOSS}{scope}",
        reason=finding.sentence,
        by=BY,
        at_ms=at_ms,
        effect=_EFFECTS[finding.verdict],
        until_ms=until_ms,
    )


def holds(standing: Kill, wanted: Kill) -> bool:
    """Whether a kill in force is at least as hard and as long as another of its scope."""
    long = standing.until_ms is None or (
        wanted.until_ms is not None and standing.until_ms >= wanted.until_ms
    )
    return long and _HARDNESS[standing.effect] >= _HARDNESS[wanted.effect]


def is_latch(kill: Kill) -> bool:
    """Whether a loss limit set this kill."""
    return kill.scope.startswith(LOSS)


def scopes(market: MarketId) -> tuple[str, str, str]:
    """Scopes a market's loss counts in, narrowest first."""
    return f"market:{market.path}", f"account:{market.venue}/{market.account}", "fleet"


def of_markets(
    scope: str,
    day: TradingDay,
    recorded: DayFacts | None,
    parts: Iterable[tuple[DayFacts, Decimal]],
    *,
    all_priced: bool = True,
) -> tuple[DayFacts, Decimal]:
    """Facts of an account or the fleet, and its PnL now, from its markets' facts and PnL.

    A market that joins during the day brings only what it made since its own start. While one of
    them has no price (not `all_priced`) the sum is no new peak.
    """
    known = tuple(parts)
    made = sum((pnl - facts.start for facts, pnl in known), _ZERO)
    if recorded is None:
        start = sum((facts.start for facts, _ in known), _ZERO)
        recorded = DayFacts(scope=scope, day=day, start=start, peak=start)
    now = recorded.start + made
    return (replace(recorded, peak=max(recorded.peak, now)) if all_priced else recorded), now


class MarketDay:
    """A market's day as its running session sees it: `saw` every PnL, `begin` at a boundary.

    `facts` is None until the first PnL when the ledger could not tell the day's start; then that
    PnL is it. `soft` stays for the day once it was found, and `reduction` is the kill that forbids
    new risk since then.
    """

    def __init__(
        self, market: MarketId, limits: DayLimits, day: TradingDay, facts: DayFacts | None
    ) -> None:
        self.scope = scopes(market)[0]
        self.day = day
        self.facts = facts
        self.soft: Finding | None = None
        self.reduction: Kill | None = None
        self.lost_in: TradingDay | None = None
        """The day whose hard limit was passed; it stays that day when the next one begins."""
        self._limits = limits

    def begin(self, day: TradingDay, facts: DayFacts | None) -> None:
        """The next day has begun."""
        self.day, self.facts, self.soft, self.reduction = day, facts, None, None

    def would(self, pnl: Decimal) -> Finding:
        """The verdict on a PnL that may be gone the next moment; nothing is remembered of it."""
        facts = self.facts
        return Finding() if facts is None else judge(facts, pnl, self._limits, MARKET_NAMES)

    def saw(self, pnl: Decimal) -> Finding:
        """Take one PnL; its verdict."""
        facts = self.facts
        if facts is None:
            facts = DayFacts(scope=self.scope, day=self.day, start=pnl, peak=pnl)
        if facts is not self.facts or pnl > facts.peak:
            self.facts = facts = replace(facts, peak=max(facts.peak, pnl))
        finding = judge(facts, pnl, self._limits, MARKET_NAMES)
        if finding.verdict is LossVerdict.HARD and self.lost_in is None:
            self.lost_in = self.day
        if finding.verdict is LossVerdict.SOFT and self.soft is None:
            self.soft = finding
            self.reduction = latch(self.scope, finding, self.day.ends_ms, self.day.begins_ms)
        return finding


def _passed(
    verdict: LossVerdict,
    facts: DayFacts,
    lost: Decimal,
    limit: Decimal,
    name: str,
    reference: Reference,
) -> Finding:
    if reference is Reference.START:
        since = f"which began {moment(facts.day.begins_ms)} at PnL {money(facts.start)}"
        text = f"lost {money(lost)} {reference}, {since}"
    else:
        text = f"fell {money(lost)} {reference}, which is PnL {money(facts.peak)}"
    return Finding(
        verdict=verdict,
        lost=lost,
        limit=limit,
        reference=reference,
        sentence=f"{text}; more than {name} {limit}",
    )


def money(amount: Decimal) -> str:
    """An amount for people: cents, and more places where it is small."""
    return f"{amount:.2f}" if not amount or abs(amount) >= 1 else f"{amount:.6f}"
