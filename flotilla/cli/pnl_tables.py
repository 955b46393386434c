"""PnL of a period as tables for people and as JSON for programs.

The rule: people see amounts to the cent or finer, programs every digit.
"""

from datetime import tzinfo
from decimal import Decimal
from typing import Any

from desk.daily_loss import money
from desk.pnl import EquityReading, PnlParts, Tie
from flotilla.exports import plain
from flotilla.moments import show_moment, write_moment
from flotilla.pnl_report import PNL_FIELDS, MarketMade, PeriodMade, pnl_lines
from infra.postgres.times import to_time


def money_row(made: MarketMade) -> dict[str, object]:
    """One market, for people."""
    sums = made.sums
    return {
        "market": sums.market.path,
        "fills": sums.fills,
        "turnover": money(sums.turnover),
        **_parts(made.parts),
        "position": f"{sums.closing.quantity.normalize():f}",
    }


def total_row(made: PeriodMade) -> dict[str, object]:
    """All markets and what decisions booked, for people."""
    sums = [one.sums for one in made.markets]
    return {
        "market": "all",
        "fills": sum(one.fills for one in sums),
        "turnover": money(sum((one.turnover for one in sums), Decimal(0))),
        **_parts(made.total),
        "position": "",
    }


def tie_row(tie: Tie, zone: tzinfo) -> dict[str, object]:
    """One account against its venue, for people."""
    amounts = {
        "equity then": None if tie.opening is None else tie.opening.equity,
        "equity now": None if tie.closing is None else tie.closing.equity,
        "transfers": tie.transfers,
        "our PnL": tie.pnl,
        "residual": tie.residual,
        "allowed": tie.allowed,
    }
    return {
        "account": f"{tie.venue}/{tie.account}",
        "from": _when(tie.opening, zone),
        "to": _when(tie.closing, zone),
        **{name: None if amount is None else money(amount) for name, amount in amounts.items()},
        "": tie.verdict.value,
    }


def period_json(made: PeriodMade) -> dict[str, Any]:
    """A whole period, for programs: ISO moments in UTC, amounts as text with every digit."""
    names = list(PNL_FIELDS)
    rows = [dict(zip(names, map(plain, line), strict=True)) for line in pnl_lines(made)]
    return {
        "since": write_moment(to_time(made.span.since_ms)),
        "until": write_moment(to_time(made.span.until_ms)),
        "rows": [{name: row[name] for name in names[2:]} for row in rows],
        "total": {**_exact(made.total), "without": list(made.unpriced)},
        "ties": [_tie(one) for one in made.ties],
    }


def _tie(tie: Tie) -> dict[str, Any]:
    return {
        "account": f"{tie.venue}/{tie.account}",
        "verdict": tie.verdict.value,
        "flagged": tie.flagged,
        "reason": tie.reason,
        "opening": _reading(tie.opening),
        "closing": _reading(tie.closing),
        "transfers": plain(tie.transfers),
        "pnl": plain(tie.pnl),
        "residual": plain(tie.residual),
        "allowed": plain(tie.allowed),
    }


def _reading(reading: EquityReading | None) -> dict[str, Any] | None:
    if reading is None:
        return None
    return {"equity": plain(reading.equity), "at": write_moment(to_time(reading.at_ms))}


def _exact(parts: PnlParts) -> dict[str, object]:
    return {
        "spread": plain(parts.spread),
        "inventory": plain(parts.inventory),
        "fees": plain(parts.fees),
        "funding": plain(parts.funding),
        "adjustments": plain(parts.adjustments),
        "pnl": plain(parts.total),
    }


def _parts(parts: PnlParts | None) -> dict[str, object]:
    if parts is None:
        names = ("spread", "inventory", "fees", "funding", "adjustments")
        return {**dict.fromkeys(names), "pnl": "no price"}
    return {
        "spread": money(parts.spread),
        "inventory": money(parts.inventory),
        "fees": money(parts.fees),
        "funding": money(parts.funding),
        "adjustments": money(parts.adjustments),
        "pnl": money(parts.total),
    }


def _when(reading: EquityReading | None, zone: tzinfo) -> str:
    return "" if reading is None else show_moment(to_time(reading.at_ms), zone)
