"""The statements of history, each made so that an index answers it; a test explains them.

The rule: nothing here sorts or sums more than a page of rows or the hours of a period.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import TextClause, text

from desk.history_ports import FIELDS, Series
from desk.pnl import MARK_AGE_MS

_TABLES: Final = {
    Series.FILLS: ("fills", "id"),
    Series.ORDERS: ("orders", "client_order_id"),
    Series.EQUITY: ("equity", "epoch"),
}
"""Where a series lies, and what tells rows of one market and moment apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageStatements:
    """One market's rows of a span: the first page, the one after a row, and the newest."""

    first: TextClause
    after: TextClause
    newest: TextClause


def _pages(series: Series) -> PageStatements:
    table, cursor = _TABLES[series]
    at = next(iter(FIELDS[series]))
    select = (
        f"SELECT {', '.join(FIELDS[series])}, {cursor} AS cursor FROM {table} "  # noqa: S608
        f"WHERE venue = :venue AND account = :account AND symbol = :symbol "
        f"AND {at} >= :since AND {at} < :until"
    )
    return PageStatements(
        first=text(f"{select} ORDER BY {at}, {cursor} LIMIT :page"),
        after=text(
            f"{select} AND ({at}, {cursor}) > (:since, :after) ORDER BY {at}, {cursor} LIMIT :page"
        ),
        newest=text(f"{select} ORDER BY {at} DESC, {cursor} DESC LIMIT :page"),
    )


PAGES: Final = {series: _pages(series) for series in Series}


def _markets(table: str) -> TextClause:
    """Markets that occur in a table, one step down its primary key for each."""
    key = "venue, account, symbol"
    return text(f"""
WITH RECURSIVE markets AS (
    (SELECT {key} FROM {table} ORDER BY {key} LIMIT 1)
    UNION ALL
    SELECT next.venue, next.account, next.symbol
    FROM markets m CROSS JOIN LATERAL (
        SELECT {key} FROM {table} t
        WHERE (t.venue, t.account, t.symbol) > (m.venue, m.account, m.symbol)
        ORDER BY {key} LIMIT 1
    ) AS next
)
SELECT venue, account, symbol FROM markets ORDER BY venue, account, symbol
""")  # noqa: S608 - a constant of ours


MARKETS: Final = {
    Series.FILLS: _markets("fill_hours"),
    Series.ORDERS: _markets("orders"),
    Series.EQUITY: _markets("equity_peaks"),
}

_SIGNED = "CASE side WHEN 'buy' THEN quantity ELSE -quantity END"


def _since(moment: str) -> str:
    """Fills from a moment on: whole hours, and the fills of the hour that had begun."""
    return f"""
    SELECT COALESCE(sum(fills), 0) AS fills, COALESCE(sum(unmeasured), 0) AS unmeasured,
           COALESCE(sum(quantity), 0) AS quantity, COALESCE(sum(turnover), 0) AS turnover,
           COALESCE(sum(cash), 0) AS cash, COALESCE(sum(worth), 0) AS worth,
           COALESCE(sum(fees), 0) AS fees
    FROM (
        SELECT fills, unmeasured, quantity, turnover, cash, worth, fees FROM fill_hours h
        WHERE h.venue = p.venue AND h.account = p.account AND h.symbol = p.symbol
            AND h.hour >= :{moment}_hour
        UNION ALL
        SELECT 1, CASE WHEN mid IS NULL THEN 1 ELSE 0 END, {_SIGNED},
               quantity * price * multiplier, -({_SIGNED}) * price * multiplier,
               ({_SIGNED}) * COALESCE(mid, price) * multiplier, fee
        FROM fills f
        WHERE f.venue = p.venue AND f.account = p.account AND f.symbol = p.symbol
            AND f.traded_at >= :{moment} AND f.traded_at < :{moment}_hour
    ) AS parts"""  # noqa: S608 - a constant of ours


def _mid(moment: str) -> str:
    """The last mid known at a moment: a mark's, else the newest fill's, else an adjustment's."""
    market = "venue = p.venue AND {0}.account = p.account AND {0}.symbol = p.symbol"
    return f"""
    SELECT mid, at FROM (
        (SELECT 1 AS choice, e.mid, e.at FROM equity e
         WHERE e.{market.format("e")} AND e.at < :{moment}
         ORDER BY e.at DESC, e.epoch DESC LIMIT 1)
        UNION ALL
        (SELECT 2, COALESCE(f.mid, f.price), f.traded_at FROM fills f
         WHERE f.{market.format("f")} AND f.traded_at < :{moment}
         ORDER BY f.traded_at DESC, f.id DESC LIMIT 1)
        UNION ALL
        (SELECT 3, a.price, a.at FROM adjustments a
         WHERE a.{market.format("a")} AND a.at < :{moment}
         ORDER BY a.at DESC, a.id DESC LIMIT 1)
    ) AS known ORDER BY choice LIMIT 1"""  # noqa: S608 - a constant of ours


PNL: Final = text(f"""
SELECT p.venue, p.account, p.symbol, i.multiplier, p.unpriced = 0 AS priced,
       p.quantity - since.quantity - adjusted.since AS opening,
       p.quantity - until.quantity - adjusted.until AS closing,
       opened.mid AS opening_mid, opened.at AS opening_at,
       closed.mid AS closing_mid, closed.at AS closing_at,
       CAST(since.fills - until.fills AS bigint) AS fills,
       CAST(since.unmeasured - until.unmeasured AS bigint) AS unmeasured,
       marked.fills AS estimated,
       since.turnover - until.turnover AS turnover,
       since.cash - until.cash AS cash,
       since.worth - until.worth + marked.gain AS worth,
       since.fees - until.fees AS fees,
       paid.funding, adjusted.cost AS adjusted
FROM positions p
LEFT JOIN instruments i ON i.venue = p.venue AND i.symbol = p.symbol
CROSS JOIN LATERAL ({_since("since")}) AS since
CROSS JOIN LATERAL ({_since("until")}) AS until
LEFT JOIN LATERAL ({_mid("since")}) AS opened ON true
LEFT JOIN LATERAL ({_mid("until")}) AS closed ON true
CROSS JOIN LATERAL (
    SELECT count(*) AS fills, COALESCE(sum({_SIGNED} * (e.mid - f.price) * f.multiplier), 0) AS gain
    FROM fills f
    CROSS JOIN LATERAL (
        SELECT e.mid FROM equity e
        WHERE e.venue = f.venue AND e.account = f.account AND e.symbol = f.symbol
            AND e.at <= f.traded_at AND e.at >= f.traded_at - interval '{MARK_AGE_MS} milliseconds'
        ORDER BY e.at DESC, e.epoch DESC LIMIT 1
    ) AS e
    WHERE f.venue = p.venue AND f.account = p.account AND f.symbol = p.symbol
        AND f.mid IS NULL AND f.price IS NOT NULL
        AND f.traded_at >= :since AND f.traded_at < :until
) AS marked
CROSS JOIN LATERAL (
    SELECT COALESCE(sum(amount), 0) AS funding FROM payments m
    WHERE m.venue = p.venue AND m.account = p.account AND m.symbol = p.symbol
        AND m.kind = 'funding' AND m.paid_at >= :since AND m.paid_at < :until
) AS paid
CROSS JOIN LATERAL (
    SELECT COALESCE(sum(quantity), 0) AS since,
           COALESCE(sum(quantity) FILTER (WHERE a.at >= :until), 0) AS until,
           COALESCE(sum(quantity * price * multiplier) FILTER (WHERE a.at < :until), 0) AS cost
    FROM adjustments a
    WHERE a.venue = p.venue AND a.account = p.account AND a.symbol = p.symbol AND a.at >= :since
) AS adjusted
WHERE CAST(:venue AS text) IS NULL
    OR (p.venue = :venue AND p.account = :account AND p.symbol = :symbol)
ORDER BY p.venue, p.account, p.symbol
""")  # noqa: S608 - constants of ours

MONEYS: Final = text("""
SELECT a.venue, a.account, (
    SELECT COALESCE(sum(amount), 0) FROM payments m
    WHERE m.venue = a.venue AND m.account = a.account AND m.kind = 'transfer'
        AND m.paid_at >= :since AND m.paid_at < :until
) AS transfers, (
    SELECT COALESCE(sum(amount), 0) FROM adjustments j
    WHERE j.venue = a.venue AND j.account = a.account AND j.at >= :since AND j.at < :until
) AS adjustments
FROM (SELECT DISTINCT venue, account FROM positions) AS a
ORDER BY a.venue, a.account
""")

_READING: Final = """
    SELECT began_at, CAST(theirs AS jsonb) ->> 'equity' AS equity,
           CAST(theirs AS jsonb) ->> 'equity_at_ms' AS read_ms
    FROM reconciliations
    WHERE venue = :venue AND account = :account AND kind = 'account' AND trouble = ''
        AND theirs LIKE '%"equity"%' AND CAST(theirs AS jsonb) ->> 'equity' IS NOT NULL"""

READINGS: Final = text(f"""
SELECT began_at, equity, read_ms FROM (
    (SELECT 1 AS choice, * FROM ({_READING} AND began_at >= :earliest AND began_at < :since
        ORDER BY began_at DESC LIMIT 1) AS before)
    UNION ALL
    (SELECT 2, * FROM ({_READING} AND began_at >= :since AND began_at < :until
        ORDER BY began_at LIMIT 1) AS first)
    UNION ALL
    (SELECT 3, * FROM ({_READING} AND began_at >= :since AND began_at < :until
        ORDER BY began_at DESC LIMIT 1) AS last)
) AS found ORDER BY choice
""")  # noqa: S608 - constants of ours

FOREIGN: Final = text("""
SELECT CAST(ours AS jsonb) ->> 'foreign' AS symbols FROM reconciliations
WHERE venue = :venue AND account = :account AND kind = 'account'
    AND began_at >= :first AND began_at <= :last
    AND ours LIKE '%"foreign"%' AND CAST(ours AS jsonb) ->> 'foreign' IS NOT NULL
ORDER BY began_at DESC LIMIT 1
""")
