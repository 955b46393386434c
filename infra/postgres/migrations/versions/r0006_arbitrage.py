"""Arbitrage sets and trades. Migrations are history: they are never edited after a release."""

from typing import Final

from alembic import op

revision: Final = "0006"
down_revision: Final = "0005"

_TABLES: Final = (
    """
    CREATE TABLE arbitrage_epochs (
        set_name text NOT NULL,
        epoch bigint NOT NULL,
        kind text NOT NULL,
        legs text NOT NULL,
        owner text NOT NULL,
        run_id text NOT NULL,
        opened_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (set_name, epoch)
    )
    """,
    """
    CREATE TABLE arbitrage_trades (
        set_name text NOT NULL,
        epoch bigint NOT NULL,
        trade bigint NOT NULL,
        quote text NOT NULL,
        units numeric NOT NULL,
        stage text NOT NULL DEFAULT 'fired',
        rounds bigint NOT NULL DEFAULT 0,
        edge_expected numeric NOT NULL,
        edge numeric,
        payout_expected numeric NOT NULL,
        payout numeric,
        fills bigint NOT NULL DEFAULT 0,
        fired_by text NOT NULL,
        fired_at timestamptz NOT NULL,
        booked_at timestamptz NOT NULL DEFAULT now(),
        settled_at timestamptz,
        PRIMARY KEY (set_name, epoch, trade),
        CONSTRAINT arbitrage_trades_stage_known CHECK (
            stage IN ('fired', 'hedging', 'balanced', 'handed_over', 'settled')
        ),
        CONSTRAINT arbitrage_trades_settled_once
            CHECK ((stage = 'settled') = (settled_at IS NOT NULL)),
        CONSTRAINT arbitrage_trades_finite CHECK (
            units > '-Infinity' AND units < 'Infinity'
            AND edge_expected > '-Infinity' AND edge_expected < 'Infinity'
            AND payout_expected > '-Infinity' AND payout_expected < 'Infinity'
            AND edge > '-Infinity' AND edge < 'Infinity'
            AND payout > '-Infinity' AND payout < 'Infinity'
        )
    )
    """,
    """
    CREATE INDEX arbitrage_trades_standing
        ON arbitrage_trades (set_name, epoch, trade) WHERE stage <> 'settled'
    """,
    """
    CREATE INDEX arbitrage_trades_time ON arbitrage_trades (fired_at)
    """,
    """
    CREATE INDEX arbitrage_trades_settled ON arbitrage_trades (settled_at)
    """,
    """
    CREATE TABLE arbitrage_legs (
        set_name text NOT NULL,
        epoch bigint NOT NULL,
        trade bigint NOT NULL,
        client_order_id text NOT NULL,
        place bigint NOT NULL,
        venue text NOT NULL,
        account text NOT NULL,
        symbol text NOT NULL,
        side text NOT NULL,
        lots bigint NOT NULL,
        limit_ticks bigint NOT NULL,
        filled bigint,
        owed bigint,
        PRIMARY KEY (set_name, epoch, trade, client_order_id),
        CONSTRAINT arbitrage_legs_of_trade FOREIGN KEY (set_name, epoch, trade)
            REFERENCES arbitrage_trades (set_name, epoch, trade),
        CONSTRAINT arbitrage_legs_lots_positive CHECK (lots > 0),
        CONSTRAINT arbitrage_legs_side_known CHECK (side IN ('buy', 'sell'))
    )
    """,
    """
    CREATE TABLE arbitrage_capital (
        set_name text NOT NULL,
        epoch bigint NOT NULL,
        trade bigint NOT NULL,
        venue text NOT NULL,
        account text NOT NULL,
        quote text NOT NULL,
        claimed numeric NOT NULL,
        locked numeric NOT NULL,
        PRIMARY KEY (set_name, epoch, trade, venue, account, quote),
        CONSTRAINT arbitrage_capital_of_trade FOREIGN KEY (set_name, epoch, trade)
            REFERENCES arbitrage_trades (set_name, epoch, trade),
        CONSTRAINT arbitrage_capital_not_negative CHECK (
            claimed >= 0 AND claimed < 'Infinity' AND locked >= 0 AND locked < 'Infinity'
        )
    )
    """,
    """
    CREATE TABLE arbitrage_steps (
        set_name text NOT NULL,
        epoch bigint NOT NULL,
        trade bigint NOT NULL,
        stage text NOT NULL,
        decided_by text NOT NULL,
        reason text NOT NULL DEFAULT '',
        at timestamptz NOT NULL,
        PRIMARY KEY (set_name, epoch, trade, stage),
        CONSTRAINT arbitrage_steps_of_trade FOREIGN KEY (set_name, epoch, trade)
            REFERENCES arbitrage_trades (set_name, epoch, trade)
    )
    """,
    """
    CREATE TABLE arbitrage_waivers (
        set_name text NOT NULL,
        venue text NOT NULL,
        account text NOT NULL,
        symbol text NOT NULL,
        epoch bigint NOT NULL,
        lots bigint NOT NULL,
        changed_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (set_name, venue, account, symbol)
    )
    """,
)

_NAMES: Final = ("waivers", "steps", "capital", "legs", "trades", "epochs")


def upgrade() -> None:
    for statement in _TABLES:
        op.execute(statement)


def downgrade() -> None:
    for name in _NAMES:
        op.execute(f"DROP TABLE arbitrage_{name}")
