"""The first ledger. Migrations are history: they are never edited after a release."""

from typing import Final

from alembic import op

revision: Final = "0001"
down_revision: Final = None

_TABLES: Final = (
    """
    CREATE TABLE instruments (
        venue text NOT NULL,
        symbol text NOT NULL,
        tick_size numeric NOT NULL,
        lot_size numeric NOT NULL,
        multiplier numeric NOT NULL,
        seen_at timestamptz NOT NULL,
        PRIMARY KEY (venue, symbol)
    )
    """,
    """
    CREATE TABLE orders (
        venue text NOT NULL,
        account text NOT NULL,
        symbol text NOT NULL,
        client_order_id text NOT NULL,
        epoch bigint,
        batch_id text,
        side text,
        price_ticks bigint,
        lots bigint,
        price numeric,
        quantity numeric,
        reduce_only boolean,
        sent_at timestamptz,
        outcome text,
        venue_order_id text,
        message text,
        answered_at timestamptz,
        PRIMARY KEY (venue, account, symbol, client_order_id)
    )
    """,
    "CREATE INDEX orders_market_time ON orders (venue, account, symbol, sent_at)",
    """
    CREATE TABLE fills (
        id bigint GENERATED ALWAYS AS IDENTITY,
        venue text NOT NULL,
        account text NOT NULL,
        symbol text NOT NULL,
        trade_id text NOT NULL,
        side text NOT NULL CONSTRAINT fills_side_known CHECK (side IN ('buy', 'sell')),
        price_ticks bigint NOT NULL,
        lots bigint NOT NULL CONSTRAINT fills_lots_positive CHECK (lots > 0),
        price numeric,
        quantity numeric,
        multiplier numeric,
        liquidity text NOT NULL,
        fee numeric NOT NULL
            CONSTRAINT fills_fee_finite CHECK (fee > '-Infinity' AND fee < 'Infinity'),
        fee_estimated boolean NOT NULL,
        traded_at timestamptz NOT NULL,
        client_order_id text,
        venue_order_id text,
        booked_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (venue, account, trade_id)
    )
    """,
    "CREATE INDEX fills_market_time ON fills (venue, account, symbol, traded_at, id)",
    "CREATE INDEX fills_unpriced ON fills (venue, symbol) WHERE price IS NULL",
    """
    CREATE TABLE positions (
        venue text NOT NULL,
        account text NOT NULL,
        symbol text NOT NULL,
        fills bigint NOT NULL DEFAULT 0,
        unpriced bigint NOT NULL DEFAULT 0,
        quantity numeric NOT NULL DEFAULT 0,
        cash numeric NOT NULL DEFAULT 0,
        fees numeric NOT NULL DEFAULT 0,
        last_trade_at timestamptz,
        PRIMARY KEY (venue, account, symbol)
    )
    """,
    """
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
        PRIMARY KEY (venue, account, symbol, at, epoch),
        CONSTRAINT equity_finite CHECK (
            pnl > '-Infinity' AND pnl < 'Infinity' AND peak > '-Infinity' AND peak < 'Infinity'
            AND mid > '-Infinity' AND mid < 'Infinity'
        )
    )
    """,
    """
    CREATE TABLE equity_peaks (
        venue text NOT NULL,
        account text NOT NULL,
        symbol text NOT NULL,
        epoch bigint NOT NULL,
        peak numeric NOT NULL,
        PRIMARY KEY (venue, account, symbol, epoch)
    )
    """,
    """
    CREATE TABLE control_decisions (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        venue text,
        account text,
        symbol text,
        epoch bigint,
        kind text NOT NULL,
        reason text NOT NULL,
        decided_by text NOT NULL,
        evidence text NOT NULL,
        at timestamptz NOT NULL,
        digest text NOT NULL CONSTRAINT control_decisions_once UNIQUE
    )
    """,
    """
    CREATE INDEX control_decisions_market_time
        ON control_decisions (venue, account, symbol, at)
    """,
    "CREATE INDEX control_decisions_time ON control_decisions (at)",
    """
    CREATE TABLE session_epochs (
        venue text NOT NULL,
        account text NOT NULL,
        symbol text NOT NULL,
        epoch bigint NOT NULL,
        owner text NOT NULL,
        run_id text NOT NULL,
        opened_at timestamptz NOT NULL DEFAULT now(),
        ended_at timestamptz,
        end_reason text,
        PRIMARY KEY (venue, account, symbol, epoch)
    )
    """,
    """
    CREATE TABLE kills (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        scope text NOT NULL,
        reason text NOT NULL,
        set_by text NOT NULL,
        set_at timestamptz NOT NULL,
        lifted_at timestamptz,
        lifted_by text,
        lifted_reason text
    )
    """,
    "CREATE UNIQUE INDEX kills_in_force_once ON kills (scope) WHERE lifted_at IS NULL",
    """
    CREATE TABLE alerts (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        venue text,
        account text,
        symbol text,
        severity text NOT NULL,
        text text NOT NULL,
        at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX alerts_time ON alerts (at)",
)


def upgrade() -> None:
    for statement in _TABLES:
        op.execute(statement)


def downgrade() -> None:
    for table in (
        "alerts",
        "kills",
        "session_epochs",
        "control_decisions",
        "equity_peaks",
        "equity",
        "positions",
        "fills",
        "orders",
        "instruments",
    ):
        op.execute(f"DROP TABLE {table}")
