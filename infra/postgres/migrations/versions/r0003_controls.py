"""Kills that flatten or end, answers to them, loss limits and days, drills. Never edited later."""

from typing import Final

from alembic import op

revision: Final = "0003"
down_revision: Final = "0002"

_UP: Final = (
    "ALTER TABLE kills ADD COLUMN effect text NOT NULL DEFAULT 'stop'",
    "ALTER TABLE kills ADD COLUMN until timestamptz",
    """
    ALTER TABLE kills ADD CONSTRAINT kills_effect_known
        CHECK (effect IN ('stop', 'flatten', 'reduce'))
    """,
    """
    CREATE TABLE kill_answers (
        scope text NOT NULL,
        set_at timestamptz NOT NULL,
        venue text NOT NULL,
        account text NOT NULL,
        symbol text NOT NULL,
        stage text NOT NULL,
        at timestamptz NOT NULL,
        evidence text NOT NULL,
        PRIMARY KEY (scope, set_at, venue, account, symbol, stage)
    )
    """,
    """
    CREATE TABLE loss_limits (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        scope text NOT NULL,
        soft numeric,
        hard numeric,
        drawdown numeric,
        set_by text NOT NULL,
        reason text NOT NULL,
        set_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT loss_limits_soft_positive CHECK (soft > 0 AND soft < 'Infinity'),
        CONSTRAINT loss_limits_hard_positive CHECK (hard > 0 AND hard < 'Infinity'),
        CONSTRAINT loss_limits_drawdown_positive CHECK (drawdown > 0 AND drawdown < 'Infinity')
    )
    """,
    "CREATE INDEX loss_limits_scope ON loss_limits (scope, id)",
    """
    CREATE TABLE trading_days (
        scope text NOT NULL,
        began_at timestamptz NOT NULL,
        start_pnl numeric NOT NULL,
        peak_pnl numeric NOT NULL,
        start_equity numeric,
        opened_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (began_at, scope),
        CONSTRAINT trading_days_finite CHECK (
            start_pnl > '-Infinity' AND start_pnl < 'Infinity'
            AND peak_pnl > '-Infinity' AND peak_pnl < 'Infinity'
        )
    )
    """,
    """
    CREATE TABLE drills (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        kind text NOT NULL,
        venue text NOT NULL,
        account text NOT NULL,
        symbol text NOT NULL,
        run_id text NOT NULL CONSTRAINT drills_once UNIQUE,
        began_at timestamptz NOT NULL,
        ended_at timestamptz NOT NULL,
        passed boolean NOT NULL,
        message text NOT NULL,
        evidence text NOT NULL,
        acknowledged_by text,
        acknowledged_reason text,
        acknowledged_at timestamptz
    )
    """,
    """
    CREATE INDEX drills_failed ON drills (id) WHERE NOT passed AND acknowledged_at IS NULL
    """,
)

_DOWN: Final = (
    "DROP TABLE drills",
    "DROP TABLE trading_days",
    "DROP TABLE loss_limits",
    "DROP TABLE kill_answers",
    "ALTER TABLE kills DROP CONSTRAINT kills_effect_known",
    "ALTER TABLE kills DROP COLUMN until",
    "ALTER TABLE kills DROP COLUMN effect",
)


def upgrade() -> None:
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in _DOWN:
        op.execute(statement)
