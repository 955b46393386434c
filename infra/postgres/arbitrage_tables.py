"""The ledger's tables of arbitrage: sets by epoch, trades, their legs, capital and steps.

The rule: a trade and all that hangs on it is inserted once, by one statement; only the stage, and
what came of it, moves on.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Numeric,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy import PrimaryKeyConstraint as PrimaryKey
from sqlalchemy.types import TypeEngine

from infra.postgres.folds import ledger as folded

ledger: Final = folded
"""Every table of the program, these included."""

_TRADE: Final = ("set_name", "epoch", "trade")


def _all(kind: type[TypeEngine[Any]], *names: str, null: bool = False) -> tuple[Column[Any], ...]:
    return tuple(Column(name, kind, nullable=null) for name in names)


def _trade() -> tuple[Column[Any], ...]:
    return *_all(Text, "set_name"), *_all(BigInteger, "epoch", "trade")


def _moment(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=null)


def _booked(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def _of_trade(name: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        _TRADE, [f"arbitrage_trades.{column}" for column in _TRADE], name=name
    )


arbitrage_epochs: Final = Table(
    "arbitrage_epochs",
    ledger,
    *_all(Text, "set_name"),
    *_all(BigInteger, "epoch"),
    *_all(Text, "kind", "legs", "owner", "run_id"),
    _booked("opened_at"),
    PrimaryKey("set_name", "epoch"),
)

arbitrage_trades: Final = Table(
    "arbitrage_trades",
    ledger,
    *_trade(),
    *_all(Text, "quote"),
    *_all(Numeric, "units"),
    Column("stage", Text, nullable=False, server_default="fired"),
    Column("rounds", BigInteger, nullable=False, server_default="0"),
    *_all(Numeric, "edge_expected", "payout_expected"),
    *_all(Numeric, "edge", "payout", null=True),
    Column("fills", BigInteger, nullable=False, server_default="0"),
    *_all(Text, "fired_by"),
    _moment("fired_at"),
    _booked("booked_at"),
    _moment("settled_at", null=True),
    PrimaryKey(*_TRADE),
    CheckConstraint(
        "stage IN ('fired', 'hedging', 'balanced', 'handed_over', 'settled')",
        name="arbitrage_trades_stage_known",
    ),
    Index("arbitrage_trades_standing", *_TRADE, postgresql_where=text("stage <> 'settled'")),
    Index("arbitrage_trades_time", "fired_at"),
    Index("arbitrage_trades_settled", "settled_at"),
)

arbitrage_legs: Final = Table(
    "arbitrage_legs",
    ledger,
    *_trade(),
    *_all(Text, "client_order_id"),
    *_all(BigInteger, "place"),
    *_all(Text, "venue", "account", "symbol", "side"),
    *_all(BigInteger, "lots", "limit_ticks"),
    *_all(BigInteger, "filled", "owed", null=True),
    PrimaryKey(*_TRADE, "client_order_id"),
    _of_trade("arbitrage_legs_of_trade"),
)

arbitrage_capital: Final = Table(
    "arbitrage_capital",
    ledger,
    *_trade(),
    *_all(Text, "venue", "account", "quote"),
    *_all(Numeric, "claimed", "locked"),
    PrimaryKey(*_TRADE, "venue", "account", "quote"),
    _of_trade("arbitrage_capital_of_trade"),
)

arbitrage_steps: Final = Table(
    "arbitrage_steps",
    ledger,
    *_trade(),
    *_all(Text, "stage", "decided_by"),
    Column("reason", Text, nullable=False, server_default=""),
    _moment("at"),
    PrimaryKey(*_TRADE, "stage"),
    _of_trade("arbitrage_steps_of_trade"),
)

arbitrage_waivers: Final = Table(
    "arbitrage_waivers",
    ledger,
    *_all(Text, "set_name", "venue", "account", "symbol"),
    *_all(BigInteger, "epoch", "lots"),
    _booked("changed_at"),
    PrimaryKey("set_name", "venue", "account", "symbol"),
)
