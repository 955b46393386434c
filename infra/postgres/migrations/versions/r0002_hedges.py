"""Hedges owed. Migrations are history: they are never edited after a release."""

from typing import Final

from alembic import op

revision: Final = "0002"
down_revision: Final = "0001"

_TABLES: Final = (
    """
    CREATE TABLE hedge_obligations (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        source_venue text NOT NULL,
        source_account text NOT NULL,
        source_symbol text NOT NULL,
        venue text NOT NULL,
        account text NOT NULL,
        symbol text NOT NULL,
        epoch bigint NOT NULL,
        opening_owed bigint NOT NULL,
        opening_position bigint NOT NULL,
        owed bigint NOT NULL,
        filled bigint NOT NULL,
        state text NOT NULL DEFAULT 'open',
        discharged_by text,
        reason text NOT NULL DEFAULT '',
        opened_at timestamptz NOT NULL DEFAULT now(),
        changed_at timestamptz NOT NULL DEFAULT now(),
        discharged_at timestamptz,
        CONSTRAINT hedge_obligations_state_known CHECK (state IN ('open', 'discharged')),
        CONSTRAINT hedge_obligations_discharger_named
            CHECK ((state = 'open') = (discharged_by IS NULL))
    )
    """,
    """
    CREATE UNIQUE INDEX hedge_obligations_open_once
        ON hedge_obligations (venue, account, symbol) WHERE state = 'open'
    """,
    """
    CREATE INDEX hedge_obligations_source_time
        ON hedge_obligations (source_venue, source_account, source_symbol, opened_at)
    """,
)


def upgrade() -> None:
    for statement in _TABLES:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE hedge_obligations")
