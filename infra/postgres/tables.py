"""The ledger's tables as the program knows them; a test holds them equal to the migrations.

`positions` is a fold kept in the statement that books the fills, not a view: sessions read it at
every start, and a sum over years of fills would grow past any time-out. Tables that grow by the
second are kept in months; their partitions are made elsewhere and are not listed here.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.types import TypeEngine

metadata = MetaData()

_MARKET: Final = ("venue", "account", "symbol")
_SOURCE: Final = ("source_venue", "source_account", "source_symbol")


def _all(
    names: tuple[str, ...], kind: type[TypeEngine[Any]] | TypeEngine[Any], **settings: Any
) -> tuple[Column[Any], ...]:
    return tuple(Column(name, kind, **settings) for name in names)


def _perhaps(kind: type[TypeEngine[Any]], *names: str) -> tuple[Column[Any], ...]:
    return _all(names, kind)


def _texts(*names: str) -> tuple[Column[Any], ...]:
    return _all(names, Text, nullable=False)


def _wholes(*names: str) -> tuple[Column[Any], ...]:
    return _all(names, BigInteger, nullable=False)


def _numbers(*names: str) -> tuple[Column[Any], ...]:
    return _all(names, Numeric, nullable=False)


def _folds(kind: type[TypeEngine[Any]], *names: str) -> tuple[Column[Any], ...]:
    return _all(names, kind, nullable=False, server_default="0")


def _moments(*names: str) -> tuple[Column[Any], ...]:
    return _all(names, DateTime(timezone=True), nullable=False)


def _later(name: str) -> Column[Any]:
    """A moment that is not known at first."""
    return Column(name, DateTime(timezone=True))


def _booked(name: str) -> Column[Any]:
    """The moment of the transaction that wrote the row."""
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def _id() -> Column[Any]:
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def _market() -> tuple[Column[Any], ...]:
    return _texts(*_MARKET)


def _finite(*names: str) -> str:
    return " AND ".join(f"{name} > '-Infinity' AND {name} < 'Infinity'" for name in names)


RESTING: Final = (
    "sent_at IS NOT NULL AND ended_at IS NULL "
    "AND (outcome IS NULL OR outcome NOT IN ('rejected', 'denied'))"
)
"""Orders that rest by our books; queries that say it word for word use the index."""

instruments = Table(
    "instruments",
    metadata,
    *_texts("venue", "symbol"),
    *_numbers("tick_size", "lot_size", "multiplier"),
    *_moments("seen_at"),
    PrimaryKeyConstraint("venue", "symbol"),
)

orders = Table(
    "orders",
    metadata,
    *_market(),
    *_texts("client_order_id"),
    Column("epoch", BigInteger),
    *_perhaps(Text, "batch_id", "side"),
    *_perhaps(BigInteger, "price_ticks", "lots"),
    *_perhaps(Numeric, "price", "quantity"),
    Column("reduce_only", Boolean),
    _later("sent_at"),
    *_perhaps(Text, "outcome", "venue_order_id", "message"),
    _later("answered_at"),
    _later("ended_at"),
    Column("ending", Text),
    PrimaryKeyConstraint("venue", "account", "symbol", "client_order_id"),
    Index("orders_market_time", "venue", "account", "symbol", "sent_at"),
    Index("orders_resting", *_MARKET, postgresql_where=text(RESTING)),
)

fills = Table(
    "fills",
    metadata,
    Column("id", BigInteger, Identity(always=True), nullable=False),
    *_market(),
    *_texts("trade_id", "side"),
    *_wholes("price_ticks", "lots"),
    *_perhaps(Numeric, "price", "quantity", "multiplier"),
    *_texts("liquidity"),
    *_numbers("fee"),
    Column("fee_estimated", Boolean, nullable=False),
    *_moments("traded_at"),
    *_perhaps(Text, "client_order_id", "venue_order_id"),
    _booked("booked_at"),
    *_perhaps(Numeric, "mid", "fee_guessed"),
    PrimaryKeyConstraint("venue", "account", "trade_id"),
    CheckConstraint("lots > 0", name="fills_lots_positive"),
    CheckConstraint("side IN ('buy', 'sell')", name="fills_side_known"),
    CheckConstraint(_finite("fee"), name="fills_fee_finite"),
    Index("fills_market_time", "venue", "account", "symbol", "traded_at", "id"),
    Index("fills_unpriced", "venue", "symbol", postgresql_where=text("price IS NULL")),
)

positions = Table(
    "positions",
    metadata,
    *_market(),
    *_folds(BigInteger, "fills", "unpriced"),
    *_folds(Numeric, "quantity", "cash", "fees"),
    _later("last_trade_at"),
    *_folds(Numeric, "funding"),
    PrimaryKeyConstraint("venue", "account", "symbol"),
)

equity = Table(
    "equity",
    metadata,
    *_market(),
    *_wholes("epoch"),
    *_moments("at"),
    *_numbers("pnl", "peak"),
    *_wholes("position_lots"),
    *_numbers("mid"),
    PrimaryKeyConstraint("venue", "account", "symbol", "at", "epoch"),
    CheckConstraint(_finite("pnl", "peak", "mid"), name="equity_finite"),
    postgresql_partition_by="RANGE (at)",
)

equity_peaks = Table(
    "equity_peaks",
    metadata,
    *_market(),
    *_wholes("epoch"),
    *_numbers("peak"),
    PrimaryKeyConstraint("venue", "account", "symbol", "epoch"),
)

control_decisions = Table(
    "control_decisions",
    metadata,
    _id(),
    *_perhaps(Text, "venue", "account", "symbol"),
    Column("epoch", BigInteger),
    *_texts("kind", "reason", "decided_by", "evidence"),
    *_moments("at"),
    *_texts("digest"),
    UniqueConstraint("digest", name="control_decisions_once"),
    Index("control_decisions_market_time", "venue", "account", "symbol", "at"),
    Index("control_decisions_time", "at"),
)

session_epochs = Table(
    "session_epochs",
    metadata,
    *_market(),
    *_wholes("epoch"),
    *_texts("owner", "run_id"),
    _booked("opened_at"),
    _later("ended_at"),
    Column("end_reason", Text),
    PrimaryKeyConstraint("venue", "account", "symbol", "epoch"),
)

kills = Table(
    "kills",
    metadata,
    _id(),
    *_texts("scope", "reason", "set_by"),
    *_moments("set_at"),
    _later("lifted_at"),
    *_perhaps(Text, "lifted_by", "lifted_reason"),
    Column("effect", Text, nullable=False, server_default="stop"),
    _later("until"),
    CheckConstraint("effect IN ('stop', 'flatten', 'reduce', 'hold')", name="kills_effect_known"),
    Index("kills_in_force_once", "scope", unique=True, postgresql_where=text("lifted_at IS NULL")),
)

alerts = Table(
    "alerts",
    metadata,
    _id(),
    *_perhaps(Text, "venue", "account", "symbol"),
    *_texts("severity", "text"),
    _booked("at"),
    Index("alerts_time", "at"),
)

hedge_obligations = Table(
    "hedge_obligations",
    metadata,
    _id(),
    *_texts(*_SOURCE),
    *_market(),
    *_wholes("epoch", "opening_owed", "opening_position", "owed", "filled"),
    Column("state", Text, nullable=False, server_default="open"),
    Column("discharged_by", Text),
    Column("reason", Text, nullable=False, server_default=""),
    _booked("opened_at"),
    _booked("changed_at"),
    _later("discharged_at"),
    CheckConstraint("state IN ('open', 'discharged')", name="hedge_obligations_state_known"),
    CheckConstraint(
        "(state = 'open') = (discharged_by IS NULL)", name="hedge_obligations_discharger_named"
    ),
    Index(
        *("hedge_obligations_open_once", *_MARKET),
        unique=True,
        postgresql_where=text("state = 'open'"),
    ),
    Index("hedge_obligations_source_time", *_SOURCE, "opened_at"),
)

kill_answers = Table(
    "kill_answers",
    metadata,
    *_market(),
    *_texts("scope", "stage", "evidence"),
    *_moments("set_at", "at"),
    PrimaryKeyConstraint("scope", "set_at", "venue", "account", "symbol", "stage"),
)

loss_limits = Table(
    "loss_limits",
    metadata,
    _id(),
    *_texts("scope"),
    *_perhaps(Numeric, "soft", "hard", "drawdown"),
    *_texts("set_by", "reason"),
    _booked("set_at"),
    CheckConstraint("soft > 0 AND soft < 'Infinity'", name="loss_limits_soft_positive"),
    CheckConstraint("hard > 0 AND hard < 'Infinity'", name="loss_limits_hard_positive"),
    CheckConstraint("drawdown > 0 AND drawdown < 'Infinity'", name="loss_limits_drawdown_positive"),
    Index("loss_limits_scope", "scope", "id"),
)

trading_days = Table(
    "trading_days",
    metadata,
    *_texts("scope"),
    *_moments("began_at"),
    *_numbers("start_pnl", "peak_pnl"),
    Column("start_equity", Numeric),
    _booked("opened_at"),
    PrimaryKeyConstraint("began_at", "scope"),
    CheckConstraint(_finite("start_pnl", "peak_pnl"), name="trading_days_finite"),
)

drills = Table(
    "drills",
    metadata,
    _id(),
    *_texts("kind"),
    *_market(),
    *_texts("run_id"),
    *_moments("began_at", "ended_at"),
    Column("passed", Boolean, nullable=False),
    *_texts("message", "evidence"),
    *_perhaps(Text, "acknowledged_by", "acknowledged_reason"),
    _later("acknowledged_at"),
    UniqueConstraint("run_id", name="drills_once"),
    Index("drills_failed", "id", postgresql_where=text("NOT passed AND acknowledged_at IS NULL")),
)

payments = Table(
    "payments",
    metadata,
    *_texts("venue", "account", "kind", "payment_id"),
    Column("symbol", Text),
    *_numbers("amount"),
    *_moments("paid_at"),
    _booked("booked_at"),
    PrimaryKeyConstraint("venue", "account", "kind", "payment_id"),
    CheckConstraint("kind IN ('funding', 'transfer')", name="payments_kind_known"),
    CheckConstraint("(kind = 'funding') = (symbol IS NOT NULL)", name="payments_funding_of_market"),
    CheckConstraint(_finite("amount"), name="payments_amount_finite"),
    Index("payments_time", "venue", "account", "kind", "paid_at"),
    Index("payments_market_time", *_MARKET, "paid_at", postgresql_where=text("symbol IS NOT NULL")),
)

breaks = Table(
    "breaks",
    metadata,
    _id(),
    *_texts("venue", "account"),
    Column("symbol", Text),
    *_texts("kind", "text", "ours", "theirs", "found_by"),
    *_moments("found_at", "last_seen_at"),
    Column("seen", BigInteger, nullable=False, server_default="1"),
    *_perhaps(Text, "decision", "settled_by"),
    Column("reason", Text, nullable=False, server_default=""),
    _later("settled_at"),
    CheckConstraint("decision IN ('venue', 'recheck', 'rule')", name="breaks_decision_known"),
    CheckConstraint(
        "(settled_at IS NULL) = (settled_by IS NULL) AND (settled_at IS NULL) = (decision IS NULL)",
        name="breaks_settler_named",
    ),
    Index(
        *("breaks_open_once", "venue", "account", text("COALESCE(symbol, '')"), "kind"),
        unique=True,
        postgresql_where=text("settled_at IS NULL"),
    ),
    Index("breaks_account_time", "venue", "account", "found_at"),
)

adjustments = Table(
    "adjustments",
    metadata,
    _id(),
    *_wholes("break_id"),
    *_texts("venue", "account"),
    Column("symbol", Text),
    *_numbers("quantity"),
    *_perhaps(Numeric, "price", "multiplier"),
    *_numbers("amount"),
    *_texts("decided_by", "reason"),
    *_moments("at"),
    UniqueConstraint("break_id", name="adjustments_once"),
    ForeignKeyConstraint(["break_id"], ["breaks.id"], name="adjustments_of_break"),
    CheckConstraint(_finite("quantity", "amount"), name="adjustments_finite"),
    CheckConstraint(
        "symbol IS NULL AND quantity = 0 AND price IS NULL AND multiplier IS NULL "
        f"OR symbol IS NOT NULL AND {_finite('price')} "
        "AND price IS NOT NULL AND multiplier IS NOT NULL",
        name="adjustments_priced",
    ),
    Index("adjustments_account_time", "venue", "account", "symbol", "at"),
)

reconciliations = Table(
    "reconciliations",
    metadata,
    *_texts("run_id", "venue", "account", "kind"),
    *_moments("began_at", "ended_at"),
    *_wholes("requests"),
    *_texts("ours", "theirs", "differences"),
    *_wholes("found"),
    Column("trouble", Text, nullable=False, server_default=""),
    PrimaryKeyConstraint("venue", "account", "kind", "began_at", "run_id"),
    Index("reconciliations_time", "began_at"),
    postgresql_partition_by="RANGE (began_at)",
)

decision_samples = Table(
    "decision_samples",
    metadata,
    *_market(),
    *_texts("run_id", "kind", "reason"),
    *_wholes("epoch", "step"),
    *_moments("at"),
    Column("frame", LargeBinary, nullable=False),
    PrimaryKeyConstraint("venue", "account", "symbol", "at", "epoch", "step", "kind"),
    Index("decision_samples_run", "run_id"),
    postgresql_partition_by="RANGE (at)",
)
