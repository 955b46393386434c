"""The ledger's hours: fills folded by market and hour, kept by the database with every change.

The rule: an hour is what its fills add up to, to the last digit; the migration says how.
"""

from typing import Final

from sqlalchemy import BigInteger, Column, DateTime, Index, Numeric, Table, Text, text
from sqlalchemy import PrimaryKeyConstraint as PrimaryKey

from infra.postgres.tables import fills, metadata

_KEY: Final = ("venue", "account", "symbol")

ledger: Final = metadata
"""Every table of the program, these included."""

fill_hours: Final = Table(
    "fill_hours",
    metadata,
    *(Column(name, Text, nullable=False) for name in _KEY),
    Column("hour", DateTime(timezone=True), nullable=False),
    *(
        Column(name, BigInteger, nullable=False, server_default="0")
        for name in ("fills", "unpriced", "unmeasured")
    ),
    *(
        Column(name, Numeric, nullable=False, server_default="0")
        for name in ("quantity", "turnover", "cash", "worth", "fees")
    ),
    PrimaryKey(*_KEY, "hour"),
)

Index(
    "fills_unmeasured",
    *(fills.c[name] for name in (*_KEY, "traded_at")),
    postgresql_where=text("mid IS NULL"),
)
