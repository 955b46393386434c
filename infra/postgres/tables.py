"""The ledger's tables as the program knows them; a test holds them equal to the migrations.

`positions` is a fold kept in the statement that books the fills, not a view: sessions read it at
every start, and a sum over years of fills would grow past any time-out.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)

metadata = MetaData()


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _whole(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _number(name: str) -> Column[object]:
    return Column(name, Numeric, nullable=False)


def _moment(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False)


def _market() -> tuple[Column[str], Column[str], Column[str]]:
    return _text("venue"), _text("account"), _text("symbol")


def _finite(*names: str) -> str:
    return " AND ".join(f"{name} > '-Infinity' AND {name} < 'Infinity'" for name in names)


instruments = Table(
    "instruments",
    metadata,
    _text("venue"),
    _text("symbol"),
    _number("tick_size"),
    _number("lot_size"),
    _number("multiplier"),
    _moment("seen_at"),
    PrimaryKeyConstraint("venue", "symbol"),
)

orders = Table(
    "orders",
    metadata,
    *_market(),
    _text("client_order_id"),
    Column("epoch", BigInteger),
    Column("batch_id", Text),
    Column("side", Text),
    Column("price_ticks", BigInteger),
    Column("lots", BigInteger),
    Column("price", Numeric),
    Column("quantity", Numeric),
    Column("reduce_only", Boolean),
    Column("sent_at", DateTime(timezone=True)),
    Column("outcome", Text),
    Column("venue_order_id", Text),
    Column("message", Text),
    Column("answered_at", DateTime(timezone=True)),
    PrimaryKeyConstraint("venue", "account", "symbol", "client_order_id"),
    Index("orders_market_time", "venue", "account", "symbol", "sent_at"),
)

fills = Table(
    "fills",
    metadata,
    Column("id", BigInteger, Identity(always=True), nullable=False),
    *_market(),
    _text("trade_id"),
    _text("side"),
    _whole("price_ticks"),
    _whole("lots"),
    Column("price", Numeric),
    Column("quantity", Numeric),
    Column("multiplier", Numeric),
    _text("liquidity"),
    _number("fee"),
    Column("fee_estimated", Boolean, nullable=False),
    _moment("traded_at"),
    Column("client_order_id", Text),
    Column("venue_order_id", Text),
    Column("booked_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
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
    Column("fills", BigInteger, nullable=False, server_default="0"),
    Column("unpriced", BigInteger, nullable=False, server_default="0"),
    Column("quantity", Numeric, nullable=False, server_default="0"),
    Column("cash", Numeric, nullable=False, server_default="0"),
    Column("fees", Numeric, nullable=False, server_default="0"),
    Column("last_trade_at", DateTime(timezone=True)),
    PrimaryKeyConstraint("venue", "account", "symbol"),
)

equity = Table(
    "equity",
    metadata,
    *_market(),
    _whole("epoch"),
    _moment("at"),
    _number("pnl"),
    _number("peak"),
    _whole("position_lots"),
    _number("mid"),
    PrimaryKeyConstraint("venue", "account", "symbol", "at", "epoch"),
    CheckConstraint(_finite("pnl", "peak", "mid"), name="equity_finite"),
)

equity_peaks = Table(
    "equity_peaks",
    metadata,
    *_market(),
    _whole("epoch"),
    _number("peak"),
    PrimaryKeyConstraint("venue", "account", "symbol", "epoch"),
)

control_decisions = Table(
    "control_decisions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("venue", Text),
    Column("account", Text),
    Column("symbol", Text),
    Column("epoch", BigInteger),
    _text("kind"),
    _text("reason"),
    _text("decided_by"),
    _text("evidence"),
    _moment("at"),
    _text("digest"),
    UniqueConstraint("digest", name="control_decisions_once"),
    Index("control_decisions_market_time", "venue", "account", "symbol", "at"),
    Index("control_decisions_time", "at"),
)

session_epochs = Table(
    "session_epochs",
    metadata,
    *_market(),
    _whole("epoch"),
    _text("owner"),
    _text("run_id"),
    Column("opened_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("ended_at", DateTime(timezone=True)),
    Column("end_reason", Text),
    PrimaryKeyConstraint("venue", "account", "symbol", "epoch"),
)

kills = Table(
    "kills",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _text("scope"),
    _text("reason"),
    _text("set_by"),
    _moment("set_at"),
    Column("lifted_at", DateTime(timezone=True)),
    Column("lifted_by", Text),
    Column("lifted_reason", Text),
    Column("effect", Text, nullable=False, server_default="stop"),
    Column("until", DateTime(timezone=True)),
    CheckConstraint("effect IN ('stop', 'flatten', 'reduce')", name="kills_effect_known"),
    Index("kills_in_force_once", "scope", unique=True, postgresql_where=text("lifted_at IS NULL")),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("venue", Text),
    Column("account", Text),
    Column("symbol", Text),
    _text("severity"),
    _text("text"),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("alerts_time", "at"),
)

hedge_obligations = Table(
    "hedge_obligations",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _text("source_venue"),
    _text("source_account"),
    _text("source_symbol"),
    *_market(),
    _whole("epoch"),
    _whole("opening_owed"),
    _whole("opening_position"),
    _whole("owed"),
    _whole("filled"),
    Column("state", Text, nullable=False, server_default="open"),
    Column("discharged_by", Text),
    Column("reason", Text, nullable=False, server_default=""),
    Column("opened_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("changed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("discharged_at", DateTime(timezone=True)),
    CheckConstraint("state IN ('open', 'discharged')", name="hedge_obligations_state_known"),
    CheckConstraint(
        "(state = 'open') = (discharged_by IS NULL)", name="hedge_obligations_discharger_named"
    ),
    Index(
        "hedge_obligations_open_once",
        "venue",
        "account",
        "symbol",
        unique=True,
        postgresql_where=text("state = 'open'"),
    ),
    Index(
        "hedge_obligations_source_time",
        "source_venue",
        "source_account",
        "source_symbol",
        "opened_at",
    ),
)

kill_answers = Table(
    "kill_answers",
    metadata,
    _text("scope"),
    _moment("set_at"),
    *_market(),
    _text("stage"),
    _moment("at"),
    _text("evidence"),
    PrimaryKeyConstraint("scope", "set_at", "venue", "account", "symbol", "stage"),
)

loss_limits = Table(
    "loss_limits",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _text("scope"),
    Column("soft", Numeric),
    Column("hard", Numeric),
    Column("drawdown", Numeric),
    _text("set_by"),
    _text("reason"),
    Column("set_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("soft > 0 AND soft < 'Infinity'", name="loss_limits_soft_positive"),
    CheckConstraint("hard > 0 AND hard < 'Infinity'", name="loss_limits_hard_positive"),
    CheckConstraint("drawdown > 0 AND drawdown < 'Infinity'", name="loss_limits_drawdown_positive"),
    Index("loss_limits_scope", "scope", "id"),
)

trading_days = Table(
    "trading_days",
    metadata,
    _text("scope"),
    _moment("began_at"),
    _number("start_pnl"),
    _number("peak_pnl"),
    Column("start_equity", Numeric),
    Column("opened_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("began_at", "scope"),
    CheckConstraint(_finite("start_pnl", "peak_pnl"), name="trading_days_finite"),
)

drills = Table(
    "drills",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _text("kind"),
    *_market(),
    _text("run_id"),
    _moment("began_at"),
    _moment("ended_at"),
    Column("passed", Boolean, nullable=False),
    _text("message"),
    _text("evidence"),
    Column("acknowledged_by", Text),
    Column("acknowledged_reason", Text),
    Column("acknowledged_at", DateTime(timezone=True)),
    UniqueConstraint("run_id", name="drills_once"),
    Index(
        "drills_failed",
        "id",
        postgresql_where=text("NOT passed AND acknowledged_at IS NULL"),
    ),
)
