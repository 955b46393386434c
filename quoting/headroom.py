"""Keeps a market's quotes within what the account can carry, before the venue refuses them.

The rule: what only reduces is never made smaller; no figure, or an old one, adds nothing; and all
sessions that share an account never add more than one of them alone might.
"""

from dataclasses import replace
from decimal import Decimal
from math import ceil

from desk.instrument import Instrument
from desk.orders import Balance
from desk.quoting.decide import QuoteTarget, TargetLevel
from desk.risk.headroom import allowed_lots, room, scale
from desk.risk.limits import RiskLimits
from desk.units import NS_PER_MS, Lots, Side, Ticks
from quoting.inbox import FundsSeen


class Headroom:
    """The account's funds as one market's session sees them."""

    def __init__(self, instrument: Instrument, limits: RiskLimits) -> None:
        self._instrument = instrument
        self._limits = limits.headroom
        self._max_age_ns = limits.max_funds_age_ms * NS_PER_MS
        self._seen: FundsSeen | None = None
        self._held = 0

    def hear(self, funds: FundsSeen, position: Lots) -> None:
        """Take what the venue said of the account while the market's position was this.

        The same word told again only says how many share the account by now.
        """
        if self._seen is None or self._seen.asked_ns != funds.asked_ns:
            self._held = abs(position)
        self._seen = funds

    def within(
        self, target: QuoteTarget, inventory: Lots, mid_x2: Ticks, now_ns: int
    ) -> QuoteTarget:
        """The target with what adds risk made as small as the account asks for."""
        if self._limits.reduce_below is None:
            return target
        seen = self._seen
        if seen is None or now_ns - seen.asked_ns > self._max_age_ns:
            why = "only reducing, the account's funds are not known"
            return self._sized(target, inventory, Decimal(0), 0, why)
        exposure = self._exposure(seen.funds, inventory, mid_x2)
        if exposure is None:
            why = "only reducing, the venue does not tell what all positions are worth"
            return self._sized(target, inventory, Decimal(0), 0, why)
        share = scale(seen.funds, exposure, self._limits)
        since = self._since(inventory, mid_x2)
        space = room(seen.funds, exposure - since, self._limits, sharers=seen.sharers, since=since)
        most = None if space is None else int(space / self._worth(mid_x2, 1))
        why = "" if share == 1 else _words(share, seen.funds.equity, exposure)
        return self._sized(target, inventory, share, most, why)

    def _exposure(self, funds: Balance, inventory: Lots, mid_x2: Ticks) -> Decimal | None:
        """What all positions are worth now: the last figure, and what was filled here since."""
        if funds.exposure is None:
            return None
        return max(Decimal(0), funds.exposure + self._since(inventory, mid_x2))

    def _since(self, inventory: Lots, mid_x2: Ticks) -> Decimal:
        """What was added here since the figure was read; negative when the position shrank."""
        since = abs(inventory) - self._held
        change = self._worth(mid_x2, abs(since))
        return change if since > 0 else -change

    def _worth(self, mid_x2: Ticks, lots: Lots) -> Decimal:
        return self._instrument.notional(mid_x2, lots) / 2

    def _sized(
        self, target: QuoteTarget, inventory: Lots, share: Decimal, most: Lots | None, why: str
    ) -> QuoteTarget:
        levels = tuple(
            level
            for side in Side
            for level in self._side(target, side, inventory, share=share, most=most)
        )
        if levels == target.levels:
            return target
        reason = "; ".join(filter(None, (target.reason, why or "sizes fill the account's margin")))
        return replace(target, levels=levels, reason=reason)

    def _side(
        self, target: QuoteTarget, side: Side, inventory: Lots, *, share: Decimal, most: Lots | None
    ) -> list[TargetLevel]:
        """One side, innermost first: lots that close the position come before those that add."""
        reducing = max(0, -inventory * side.sign)
        # Beyond flat this side may add what the position it closed took up.
        left = None if most is None else most + reducing * (share > 0)
        found = []
        mine = [level for level in target.levels if level.slot.side is side]
        for level in sorted(mine, key=lambda one: one.slot.level):
            lots = allowed_lots(level.lots, reducing, share, left)
            added = lots - min(lots, reducing)
            reducing = max(0, reducing - level.lots)
            left = None if left is None else left - added
            if lots >= self._least(level.price):
                found.append(replace(level, lots=lots))
        return found

    def _least(self, price: Ticks) -> Lots:
        one = self._instrument.notional(price, 1)
        return max(1, self._instrument.min_lots, ceil(self._instrument.min_notional / one))


def _words(share: Decimal, equity: Decimal, exposure: Decimal) -> str:
    size = "only reducing" if not share else f"sizes at {100 * share:.0f}%"
    if not exposure:
        return f"{size}, the account has no equity"
    return f"{size}, the margin fraction is {equity / exposure:.3f}"
