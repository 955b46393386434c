"""Whether what a set was to show has happened: by its trades on record, and by what its run tells.

Pure; answers of venues and levers that were pulled prove nothing here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from desk.arbitrage.verdicts import PassReason
from desk.arbitrage_records import UNDER_WAY, ArbitrageTrade, TradeStage
from quoting.arbitrage.report import RunLook

_DONE: Final = frozenset({TradeStage.BALANCED, TradeStage.SETTLED})


def over(trades: Sequence[ArbitrageTrade]) -> bool:
    """Whether nothing is under way any more."""
    return not any(trade.stage in UNDER_WAY for trade in trades)


def taken(trades: Sequence[ArbitrageTrade]) -> ArbitrageTrade | None:
    """A trade that holds complete sets which, with all costs, pay more than they cost."""
    return next(
        (
            trade
            for trade in trades
            if trade.stage is TradeStage.BALANCED
            and trade.locked
            and trade.edge is not None
            and trade.edge > 0
        ),
        None,
    )


def hedged(trades: Sequence[ArbitrageTrade]) -> ArbitrageTrade | None:
    """A trade that owed something, and by its fills owes nothing any more."""
    return next(
        (
            trade
            for trade in trades
            if trade.stage in _DONE
            and any(step.stage is TradeStage.HEDGING for step in trade.steps)
        ),
        None,
    )


def refused_as_stale(look: RunLook) -> int:
    """How often this run has passed the set by because of a stale leg."""
    return dict(look.passed).get(PassReason.STALE_LEG.value, 0)


def pays(look: RunLook, min_edge: Decimal) -> bool:
    """Whether, by the prices last told, the set is worth taking after all costs."""
    return look.best_edge is not None and look.best_edge >= min_edge


@dataclass(slots=True, kw_only=True)
class Refusals:
    """Counts refusals for a stale leg that fell between two looks at which the prices paid."""

    min_edge: Decimal
    count: int = 0
    _last: RunLook | None = field(default=None, init=False)

    def take(self, look: RunLook) -> int:
        """The next look, or the same once more; how many refusals there were so far."""
        last, self._last = self._last, look
        if last is None or last.epoch != look.epoch:
            return self.count
        if pays(last, self.min_edge) and pays(look, self.min_edge):
            self.count += max(0, refused_as_stale(look) - refused_as_stale(last))
        return self.count
