"""Every switch of the simulated OCX: one for each thing its documentation leaves open.

Secrets come from the caller and are never shown by `repr` nor logged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from desk.instrument import Settlement
from desk.units import NS_PER_S
from venues.simulation.counterflow import FlowKind as FlowKind  # noqa: PLC0414 - offered here
from venues.simulation.orders import CancelScope, OnReject, RejectMode
from venues.simulation.rules import MarkRules, SelfTrade


class Spelling(StrEnum):
    """Which documentation set's field names market reads use."""

    DOCS = "docs"
    GITBOOK = "gitbook"
    UNION = "union"


class ErrorStyle(StrEnum):
    """`docs` puts the code in `error`; `gitbook` puts it in `code` and the family in `error`."""

    DOCS = "docs"
    GITBOOK = "gitbook"


class CredentialReading(StrEnum):
    """What an API key may do.

    `scoped`: whatever its scope says. `narrow`: only preview, quotes, cancel-all and streams.
    """

    SCOPED = "scoped"
    NARROW = "narrow"


class OutOfRange(StrEnum):
    """What happens to a stream parameter out of its bounds."""

    CLAMP = "clamp"
    REFUSE = "refuse"


class Timestamps(StrEnum):
    """How the envelope of stream events writes times."""

    ISO = "iso"
    MILLISECONDS = "ms"


class ResetUnit(StrEnum):
    """What `X-RateLimit-Reset` counts."""

    DELTA_SECONDS = "delta_s"
    EPOCH_SECONDS = "epoch_s"
    EPOCH_MILLISECONDS = "epoch_ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedAccount:
    """An account that exists from the start.

    Money is USDC; `spot` is what its spot bucket holds of each currency. Without a key secret it
    can only sign in, without a wallet address only use the key. `rate_per_minute` None means the
    venue's default tier.
    """

    name: str
    api_key_secret: str | None = field(default=None, repr=False)
    api_key_scope: str = "trade"
    wallet_address: str | None = None
    perps_collateral: Decimal = Decimal(100_000)
    wallet: Decimal = Decimal(0)
    spot: Mapping[str, Decimal] = field(default_factory=dict)
    rate_per_minute: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimMarket:
    """One market to list: prices in quote currency, `lot` and minimum quantity in base units.

    It is a perpetual unless `expiry` (ISO date) makes it a dated future, `settlement` the market of
    one outcome (`price` is then what the outcome is thought to be worth, between 0 and 1), or
    `spot` a pair of currencies. `base` is what its symbol begins with unless given. `regime` names
    a regime of the synthetic flow.
    """

    symbol: str
    price: Decimal
    tick: Decimal
    lot: Decimal
    regime: str = "calm"
    min_lots: int = 1
    flow: FlowKind = FlowKind.SYNTHETIC
    replay: Path | None = None
    band_low: Decimal | None = None
    band_high: Decimal | None = None
    expiry: str | None = None
    base: str = ""
    quote: str = "USDC"
    spot: bool = False
    settlement: Settlement | None = None

    @property
    def currencies(self) -> tuple[str, str]:
        """Base and quote; an outcome's shares are no currency."""
        if self.settlement is not None:
            return "", self.quote
        return self.base or self.symbol.partition("-")[0], self.quote


DEFAULT_MARKETS = (
    SimMarket(symbol="BTC-PERP", price=Decimal(60_000), tick=Decimal("0.1"), lot=Decimal("0.0001")),
    SimMarket(symbol="ETH-PERP", price=Decimal(3_000), tick=Decimal("0.01"), lot=Decimal("0.001")),
    SimMarket(symbol="SOL-PERP", price=Decimal(150), tick=Decimal("0.01"), lot=Decimal("0.01")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """Sign-In With Ethereum and sessions. `secure_cookie` clients do not return over plain HTTP."""

    domain: str = "api.ocx.global"
    uri: str = "https://api.ocx.global"
    chain_id: int = 84532
    nonce_life_s: int = 300
    expiration_required: bool = True
    expiration_max_s: int = 3600
    session_s: int = 604_800
    cookie: str = "astra_session"
    secure_cookie: bool = False
    open_signup: bool = True
    invite_code: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """What `quotes/bulk` leaves open (section 4.3 of the venue's sheet)."""

    levels_key: str = "levels"
    max_levels: int = 20
    reject_mode: RejectMode = RejectMode.BATCH
    old_ladder_on_reject: OnReject = OnReject.KEEP_OLD
    cancel_scope: CancelScope = CancelScope.QUOTES_ONLY
    margin_after_release: bool = True
    empty_ladder_allowed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """What streams leave open. `trades_in_snapshot` is how many recent fills a snapshot holds."""

    heartbeat: str = ":heartbeat"
    heartbeat_s: float = 15.0
    out_of_range: OutOfRange = OutOfRange.CLAMP
    trades_in_snapshot: int = 100
    fill_ids: bool = False
    timestamps: Timestamps = Timestamps.ISO
    book_ids: bool = True
    zero_when_leaving_window: bool = True
    error_closes: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """Fees, margin, mark and funding of every market. Basis points and fractions of notional."""

    maker_bps: Decimal = Decimal(2)
    taker_bps: Decimal = Decimal(5)
    initial_margin: Decimal = Decimal("0.10")
    maintenance_margin: Decimal = Decimal("0.0667")
    funding_interval_ms: int = 300_000
    funding_cap_bps: Decimal = Decimal(25)
    mark: MarkRules = field(default_factory=MarkRules)
    self_trade: SelfTrade = SelfTrade.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """One simulated deployment. `code_names` renames error codes; status fields are HTTP."""

    accounts: tuple[SeedAccount, ...] = ()
    markets: tuple[SimMarket, ...] = DEFAULT_MARKETS
    sign_in: SignIn = field(default_factory=SignIn)
    credentials: CredentialReading = CredentialReading.SCOPED
    keys_open_streams: bool = True
    bearer_keys: bool = False
    error_style: ErrorStyle = ErrorStyle.DOCS
    code_names: Mapping[str, str] = field(default_factory=dict)
    precision_status: int = 422
    fok_rejects: bool = False
    market_spelling: Spelling = Spelling.UNION
    stats_spelling: Spelling = Spelling.UNION
    book_extras: bool = True
    rate_per_minute: int = 120
    rate_window_ns: int = 60 * NS_PER_S
    reset_unit: ResetUnit = ResetUnit.DELTA_SECONDS
    client_order_id_max: int = 32
    bulk: Bulk = field(default_factory=Bulk)
    streams: Streams = field(default_factory=Streams)
    money: Money = field(default_factory=Money)
    steps_per_s: int = 20
    control: bool = True
