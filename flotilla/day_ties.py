"""Whether the trading day that ended ties to the venues' equity, told to a person when it does not.

The rule: a day is judged when it is over, and what could not be judged is said, not passed over.
"""

from typing import Final

from desk.history_ports import HistoryBook, Span
from desk.pnl import TieVerdict
from desk.ports import AlertPort
from desk.reconciliation import Tolerance
from desk.trading_day import DayRule, moment
from flotilla.pnl_report import period_made
from infra.settings import Settings

_RUNBOOK: Final = "docs/runbooks/break.md"


def tolerance_of(settings: Settings) -> Tolerance:
    """How far equity may be from our books, as comparisons allow it."""
    return Tolerance(
        amount=settings.reconcile_tolerance,
        bps=settings.reconcile_tolerance_bps,
        untold_bps=settings.reconcile_untold_bps,
    )


async def tell_untied(
    history: HistoryBook, alerts: AlertPort, rule: DayRule, now_ms: int, tolerance: Tolerance
) -> str:
    """Judge the last whole trading day before a moment; what was found, in a sentence.

    An account that is off raises an alert. Raises Unavailable.
    """
    day = rule.day_at(rule.day_at(now_ms).begins_ms - 1)
    span = Span(since_ms=day.begins_ms, until_ms=day.ends_ms)
    made = await period_made(history, span, None, tolerance)
    began = moment(day.begins_ms)
    for one in made.ties:
        if one.verdict is TieVerdict.OFF:
            await alerts.alert(
                None,
                "warning",
                f"the day that began {began} does not tie at {one.venue}/{one.account}: "
                f"{one.reason}; see 'flotilla ledger pnl' and {_RUNBOOK}",
            )
    said = [f"{one.venue}/{one.account} {one.verdict.value}" for one in made.ties]
    return f"day of {began}: {', '.join(said) or 'nothing traded'}"
