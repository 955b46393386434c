"""Books that tie: endings, funding, breaks, reconciliation, months. Never edited later."""

import logging
from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa
from alembic import op

_log = logging.getLogger(__name__)

revision: Final = "0004"
down_revision: Final = "0003"

_MONTHS_AHEAD: Final = 2
_PARTS: Final = 20

_UP: Final = (
    "ALTER TABLE positions ADD COLUMN funding numeric NOT NULL DEFAULT 0",
    "ALTER TABLE fills ADD COLUMN mid numeric, ADD COLUMN fee_guessed numeric",
    # Nobody can know how orders of before ended. As constant defaults of new columns these words
    # cost no rewrite of a table of any size.
    """
    ALTER TABLE orders ADD COLUMN ended_at timestamptz DEFAULT now(),
        ADD COLUMN ending text DEFAULT 'before the record'
    """,
    "ALTER TABLE orders ALTER COLUMN ended_at DROP DEFAULT, ALTER COLUMN ending DROP DEFAULT",
    """
    CREATE INDEX orders_resting ON orders (venue, account, symbol)
        WHERE sent_at IS NOT NULL AND ended_at IS NULL
            AND (outcome IS NULL OR outcome NOT IN ('rejected', 'denied'))
    """,
    "ALTER TABLE kills DROP CONSTRAINT kills_effect_known",
    """
    ALTER TABLE kills ADD CONSTRAINT kills_effect_known
        CHECK (effect IN ('stop', 'flatten', 'reduce', 'hold'))
    """,
    """
    CREATE TABLE payments (
        venue text NOT NULL,
        account text NOT NULL,
        kind text NOT NULL,
        payment_id text NOT NULL,
        symbol text,
        amount numeric NOT NULL,
        paid_at timestamptz NOT NULL,
        booked_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (venue, account, kind, payment_id),
        CONSTRAINT payments_kind_known CHECK (kind IN ('funding', 'transfer')),
        CONSTRAINT payments_funding_of_market CHECK ((kind = 'funding') = (symbol IS NOT NULL)),
        CONSTRAINT payments_amount_finite CHECK (amount > '-Infinity' AND amount < 'Infinity')
    )
    """,
    "CREATE INDEX payments_time ON payments (venue, account, kind, paid_at)",
    """
    CREATE INDEX payments_market_time ON payments (venue, account, symbol, paid_at)
        WHERE symbol IS NOT NULL
    """,
    """
    CREATE TABLE breaks (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        venue text NOT NULL,
        account text NOT NULL,
        symbol text,
        kind text NOT NULL,
        text text NOT NULL,
        ours text NOT NULL,
        theirs text NOT NULL,
        found_by text NOT NULL,
        found_at timestamptz NOT NULL,
        last_seen_at timestamptz NOT NULL,
        seen bigint NOT NULL DEFAULT 1,
        decision text,
        settled_by text,
        reason text NOT NULL DEFAULT '',
        settled_at timestamptz,
        CONSTRAINT breaks_decision_known CHECK (decision IN ('venue', 'recheck', 'rule')),
        CONSTRAINT breaks_settler_named CHECK (
            (settled_at IS NULL) = (settled_by IS NULL)
            AND (settled_at IS NULL) = (decision IS NULL)
        )
    )
    """,
    """
    CREATE UNIQUE INDEX breaks_open_once ON breaks (venue, account, COALESCE(symbol, ''), kind)
        WHERE settled_at IS NULL
    """,
    "CREATE INDEX breaks_account_time ON breaks (venue, account, found_at)",
    """
    CREATE TABLE adjustments (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        break_id bigint NOT NULL
            CONSTRAINT adjustments_once UNIQUE
            CONSTRAINT adjustments_of_break REFERENCES breaks (id),
        venue text NOT NULL,
        account text NOT NULL,
        symbol text,
        quantity numeric NOT NULL,
        price numeric,
        multiplier numeric,
        amount numeric NOT NULL,
        decided_by text NOT NULL,
        reason text NOT NULL,
        at timestamptz NOT NULL,
        CONSTRAINT adjustments_finite CHECK (
            quantity > '-Infinity' AND quantity < 'Infinity'
            AND amount > '-Infinity' AND amount < 'Infinity'
        ),
        CONSTRAINT adjustments_priced CHECK (
            symbol IS NULL AND quantity = 0 AND price IS NULL AND multiplier IS NULL
            OR symbol IS NOT NULL AND price > '-Infinity' AND price < 'Infinity'
                AND price IS NOT NULL AND multiplier IS NOT NULL
        )
    )
    """,
    "CREATE INDEX adjustments_account_time ON adjustments (venue, account, symbol, at)",
    """
    CREATE TABLE reconciliations (
        run_id text NOT NULL,
        venue text NOT NULL,
        account text NOT NULL,
        kind text NOT NULL,
        began_at timestamptz NOT NULL,
        ended_at timestamptz NOT NULL,
        requests bigint NOT NULL,
        ours text NOT NULL,
        theirs text NOT NULL,
        differences text NOT NULL,
        found bigint NOT NULL,
        trouble text NOT NULL DEFAULT '',
        PRIMARY KEY (venue, account, kind, began_at, run_id)
    ) PARTITION BY RANGE (began_at)
    """,
    "CREATE INDEX reconciliations_time ON reconciliations (began_at)",
    """
    CREATE TABLE decision_samples (
        run_id text NOT NULL,
        venue text NOT NULL,
        account text NOT NULL,
        symbol text NOT NULL,
        epoch bigint NOT NULL,
        at timestamptz NOT NULL,
        step bigint NOT NULL,
        kind text NOT NULL,
        reason text NOT NULL,
        frame bytea NOT NULL,
        PRIMARY KEY (venue, account, symbol, at, epoch, step, kind)
    ) PARTITION BY RANGE (at)
    """,
    "CREATE INDEX decision_samples_run ON decision_samples (run_id)",
)

_EQUITY: Final = """
    CREATE TABLE equity (
        venue text NOT NULL,
        account text NOT NULL,
        symbol text NOT NULL,
        epoch bigint NOT NULL,
        at timestamptz NOT NULL,
        pnl numeric NOT NULL,
        peak numeric NOT NULL,
        position_lots bigint NOT NULL,
        mid numeric NOT NULL,
        CONSTRAINT equity_finite CHECK (
            pnl > '-Infinity' AND pnl < 'Infinity' AND peak > '-Infinity' AND peak < 'Infinity'
            AND mid > '-Infinity' AND mid < 'Infinity'
        )
    )
"""

# Made after the rows are there: sorted once, it takes a third of the time.
_EQUITY_KEY: Final = """
    ALTER TABLE equity
        ADD CONSTRAINT equity_pkey PRIMARY KEY (venue, account, symbol, at, epoch)
"""

_COPY_EQUITY: Final = """
    INSERT INTO equity (venue, account, symbol, epoch, at, pnl, peak, position_lots, mid)
    SELECT venue, account, symbol, epoch, at, pnl, peak, position_lots, mid FROM equity_0003
"""

_DOWN: Final = (
    "DROP TABLE decision_samples",
    "DROP TABLE reconciliations",
    "DROP TABLE adjustments",
    "DROP TABLE breaks",
    "DROP TABLE payments",
    # The older program knows no hold; a brake stays one.
    "UPDATE kills SET effect = 'stop' WHERE effect = 'hold'",
    "ALTER TABLE kills DROP CONSTRAINT kills_effect_known",
    """
    ALTER TABLE kills ADD CONSTRAINT kills_effect_known
        CHECK (effect IN ('stop', 'flatten', 'reduce'))
    """,
    "DROP INDEX orders_resting",
    "ALTER TABLE orders DROP COLUMN ended_at, DROP COLUMN ending",
    "ALTER TABLE fills DROP COLUMN mid, DROP COLUMN fee_guessed",
    "ALTER TABLE positions DROP COLUMN funding",
)


def upgrade() -> None:
    # The longest part first, while orders, fills and kills can still be read.
    now = _now()
    _equity_by_month(now)
    for statement in _UP:
        op.execute(statement)
    for table in ("reconciliations", "decision_samples"):
        _months(table, _ahead(now))


def downgrade() -> None:
    for statement in _DOWN:
        op.execute(statement)
    _set_equity_aside()
    op.execute(_EQUITY)
    op.execute(_COPY_EQUITY)
    _finish_equity()


def _equity_by_month(now: datetime) -> None:
    _set_equity_aside()
    op.execute(f"{_EQUITY} PARTITION BY RANGE (at)")
    found = op.get_bind().execute(
        sa.text("SELECT DISTINCT date_trunc('month', at AT TIME ZONE 'UTC') FROM equity_0003")
    )
    held = {month.replace(tzinfo=UTC) for month in found.scalars()}
    _months("equity", sorted(held | set(_ahead(now))))
    _copy_parts()
    _finish_equity()


def _copy_parts() -> None:
    """Copy part after part of the old table, in one pass over it, and say how far it is."""
    size = sa.text("SELECT pg_relation_size('equity_0003') / current_setting('block_size')::bigint")
    end: int = op.get_bind().execute(size).scalar_one()
    pages = -(-end // _PARTS)
    for page in range(0, end, pages or 1):
        _log.info("migration copies equity: %d %%", 100 * page // end)
        op.execute(f"{_COPY_EQUITY} WHERE ctid >= '({page},0)' AND ctid < '({page + pages},0)'")


def _finish_equity() -> None:
    _log.info("migration indexes equity")
    op.execute(_EQUITY_KEY)
    op.execute("DROP TABLE equity_0003")


def _set_equity_aside() -> None:
    op.execute("ALTER TABLE equity RENAME TO equity_0003")
    op.execute("ALTER TABLE equity_0003 RENAME CONSTRAINT equity_pkey TO equity_0003_pkey")


def _months(table: str, months: list[datetime]) -> None:
    """Partitions of these UTC months (`equity_2026_11`), and one for whatever lies outside."""
    for month in months:
        op.execute(
            f"CREATE TABLE {table}_{month:%Y_%m} PARTITION OF {table} "
            f"FOR VALUES FROM ('{month.isoformat()}') TO ('{_after(month).isoformat()}')"
        )
    op.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")


def _now() -> datetime:
    moment: datetime = op.get_bind().execute(sa.text("SELECT now()")).scalar_one()
    return moment.astimezone(UTC)


def _ahead(now: datetime) -> list[datetime]:
    """Beginnings of this month and the next ones."""
    months = [datetime(now.year, now.month, 1, tzinfo=UTC)]
    for _ in range(_MONTHS_AHEAD):
        months.append(_after(months[-1]))
    return months


def _after(month: datetime) -> datetime:
    years, index = divmod(month.month, 12)
    return month.replace(year=month.year + years, month=index + 1)
