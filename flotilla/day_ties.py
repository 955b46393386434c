"""Whether the trading days that ended tie to the venues' equity, told to a person when one is off.

The rule: a day is judged when it is over, by a later round when the one that was due did not come;
what could not be judged is said, not passed over.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from desk.history_ports import HistoryBook, Span
from desk.pnl import Tie, TieVerdict
from desk.ports import AlertPort
from desk.reconciliation import Tolerance
from desk.trading_day import DayRule, TradingDay, moment
from flotilla.pnl_report import period_made
from infra.settings import Settings

DAYS: Final = 7
"""So many days are judged in each round, the last whole one and those before it."""

_RUNBOOK: Final = "docs/runbooks/break.md"


def tolerance_of(settings: Settings) -> Tolerance:
    """How far equity may be from our books, as comparisons allow it."""
    return Tolerance(
        amount=settings.reconcile_tolerance,
        bps=settings.reconcile_tolerance_bps,
        untold_bps=settings.reconcile_untold_bps,
    )


async def tell_untied(
    history: HistoryBook,
    alerts: AlertPort,
    told: Callable[[str, int], Awaitable[bool]],
    rule: DayRule,
    now_ms: int,
    tolerance: Tolerance,
) -> str:
    """Judge the last whole trading days before a moment; what the last is like, in a sentence.

    An account that is off raises an alert, unless `told` knows of one that begins so since a time
    (unix milliseconds). Raises Unavailable.
    """
    days = [rule.day_at(rule.day_at(now_ms).begins_ms - 1)]
    while len(days) < DAYS:
        days.append(rule.day_at(days[-1].begins_ms - 1))
    ties: tuple[Tie, ...] = ()
    for day in reversed(days):
        span = Span(since_ms=day.begins_ms, until_ms=day.ends_ms)
        ties = (await period_made(history, span, None, tolerance)).ties
        for one in ties:
            beginning = _beginning(day, one)
            if one.verdict is TieVerdict.OFF and not await told(beginning, day.ends_ms):
                said = f"{beginning}{one.reason}; see 'flotilla ledger pnl' and {_RUNBOOK}"
                await alerts.alert(None, "warning", said)
    found = [f"{one.venue}/{one.account} {one.verdict.value}" for one in ties]
    return f"day of {moment(days[0].begins_ms)}: {', '.join(found) or 'nothing traded'}"


def _beginning(day: TradingDay, tie: Tie) -> str:
    place = f"{tie.venue}/{tie.account}"
    return f"the day that began {moment(day.begins_ms)} does not tie at {place}: "
