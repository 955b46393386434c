"""Fills folded by the hour, so that the PnL of years is a sum of hours. Never edited later."""

from typing import Final

from alembic import op

revision: Final = "0005"
down_revision: Final = "0004"

# What each fill adds to its hour. A fill without a mid counts its own price: no spread.
_HOURS: Final = """
    INSERT INTO fill_hours AS h (
        venue, account, symbol, hour, fills, unpriced, unmeasured,
        quantity, turnover, cash, worth, fees
    )
    SELECT venue, account, symbol, date_trunc('hour', traded_at, 'UTC'),
           sum(times), COALESCE(sum(times) FILTER (WHERE price IS NULL), 0),
           COALESCE(sum(times) FILTER (WHERE mid IS NULL), 0),
           COALESCE(sum(times * signed), 0),
           COALESCE(sum(times * quantity * price * multiplier), 0),
           COALESCE(sum(times * -signed * price * multiplier), 0),
           COALESCE(sum(times * signed * COALESCE(mid, price) * multiplier), 0),
           sum(times * fee)
    FROM (
        SELECT each.*, CASE side WHEN 'buy' THEN quantity ELSE -quantity END AS signed
        FROM ({some}) AS each
    ) AS heard
    GROUP BY venue, account, symbol, date_trunc('hour', traded_at, 'UTC')
    ORDER BY venue, account, symbol, date_trunc('hour', traded_at, 'UTC')
    ON CONFLICT (venue, account, symbol, hour) DO UPDATE SET
        fills = h.fills + excluded.fills, unpriced = h.unpriced + excluded.unpriced,
        unmeasured = h.unmeasured + excluded.unmeasured,
        quantity = h.quantity + excluded.quantity, turnover = h.turnover + excluded.turnover,
        cash = h.cash + excluded.cash, worth = h.worth + excluded.worth,
        fees = h.fees + excluded.fees
"""

_ADDED: Final = "SELECT a.*, 1 AS times FROM {added} a"
_REMOVED: Final = "SELECT r.*, -1 AS times FROM removed r"
_BOTH: Final = f"{_ADDED.format(added='added')} UNION ALL {_REMOVED}"

# Whoever books, completes or prices a fill, by whatever statement: the hours follow in the same
# transaction, so they can never say anything else than the fills.
_FOLD: Final = f"""
    CREATE FUNCTION fold_fills() RETURNS trigger LANGUAGE plpgsql AS $fold$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            {_HOURS.format(some=_ADDED.format(added="added"))};
        ELSIF TG_OP = 'UPDATE' THEN
            {_HOURS.format(some=_BOTH)};
        ELSE
            {_HOURS.format(some=_REMOVED)};
        END IF;
        RETURN NULL;
    END
    $fold$
"""

_TRIGGERS: Final = {
    "fills_added": "AFTER INSERT ON fills REFERENCING NEW TABLE AS added",
    "fills_changed": "AFTER UPDATE ON fills REFERENCING OLD TABLE AS removed NEW TABLE AS added",
    "fills_removed": "AFTER DELETE ON fills REFERENCING OLD TABLE AS removed",
}

_TABLE: Final = """
    CREATE TABLE fill_hours (
        venue text NOT NULL,
        account text NOT NULL,
        symbol text NOT NULL,
        hour timestamptz NOT NULL,
        fills bigint NOT NULL DEFAULT 0,
        unpriced bigint NOT NULL DEFAULT 0,
        unmeasured bigint NOT NULL DEFAULT 0,
        quantity numeric NOT NULL DEFAULT 0,
        turnover numeric NOT NULL DEFAULT 0,
        cash numeric NOT NULL DEFAULT 0,
        worth numeric NOT NULL DEFAULT 0,
        fees numeric NOT NULL DEFAULT 0,
        PRIMARY KEY (venue, account, symbol, hour)
    )
"""


def upgrade() -> None:
    op.execute(_TABLE)
    op.execute(
        "CREATE INDEX fills_unmeasured ON fills (venue, account, symbol, traded_at) "
        "WHERE mid IS NULL"
    )
    # Nobody books between the hours of what is there and the trigger for what comes.
    op.execute("LOCK TABLE fills IN SHARE ROW EXCLUSIVE MODE")
    op.execute(_HOURS.format(some=_ADDED.format(added="fills")))
    op.execute(_FOLD)
    for name, what in _TRIGGERS.items():
        op.execute(f"CREATE TRIGGER {name} {what} FOR EACH STATEMENT EXECUTE FUNCTION fold_fills()")


def downgrade() -> None:
    for name in _TRIGGERS:
        op.execute(f"DROP TRIGGER {name} ON fills")
    op.execute("DROP FUNCTION fold_fills()")
    op.execute("DROP INDEX fills_unmeasured")
    op.execute("DROP TABLE fill_hours")
