"""Every switch of the simulated X10: one for each thing its public documents leave open.

Secrets come from the caller and are never shown by `repr` nor logged.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from desk.units import NS_PER_S
from venues.simulation.counterflow import FlowKind
from venues.simulation.rules import MarkRules


class SignatureCheck(StrEnum):
    """How much of an order's signature is checked; `amounts` looks at the stated amounts only."""

    FULL = "full"
    AMOUNTS = "amounts"
    NONE = "none"


class MarketStatus(StrEnum):
    """A market's state on the wire (x10.md section 5.1)."""

    ACTIVE = "ACTIVE"
    REDUCE_ONLY = "REDUCE_ONLY"
    DELISTED = "DELISTED"
    PRELISTED = "PRELISTED"
    DISABLED = "DISABLED"


class CarryOver(StrEnum):
    """What the size of a replacement means when the old order was partly filled (section 8.7)."""

    REMAINING = "remaining"
    TOTAL = "total"


class ReplaceEvents(StrEnum):
    """Which event of a successful replace comes first (section 8.3)."""

    OLD_FIRST = "old_first"
    NEW_FIRST = "new_first"


class UnknownCancel(StrEnum):
    """The answer to a cancel of an order that is not open (section 9.1)."""

    NOT_FOUND = "not_found"
    OK = "ok"


class MixedSelectors(StrEnum):
    """What a mass cancel with `cancelAll` and further selectors takes (section 9.2)."""

    ALL = "all"
    SELECTED = "selected"


class CountdownUnit(StrEnum):
    """Unit of the dead-man countdown (section 10)."""

    SECONDS = "s"
    MILLISECONDS = "ms"


class RateWindow(StrEnum):
    """How requests are counted (section 16)."""

    FIXED = "fixed"
    SLIDING = "sliding"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedAccount:
    """An account (sub-account) that exists from the start.

    `stark_public_key` is the number the account signs for, `vault` its position id, `collateral`
    USD. Accounts with the same `client` (None: the account alone) belong together.
    """

    name: str
    api_key: str = field(repr=False)
    stark_public_key: int
    vault: int
    collateral: Decimal = Decimal(100_000)
    client: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimMarket:
    """One perpetual to list; the fields are those of sections 5.1 and 5.2, money is USD.

    `price` is the index at the start. `limit_price_cap` and `limit_price_floor` are fractions of
    the mark, `risk_step` the position value after which the risk factor grows by `risk_factor`.
    """

    symbol: str
    price: Decimal
    min_price_change: Decimal
    min_order_size_change: Decimal
    min_order_size: Decimal
    asset_precision: int = 5
    max_limit_order_value: Decimal = Decimal(15_000_000)
    max_market_order_value: Decimal = Decimal(3_000_000)
    max_position_value: Decimal = Decimal(60_000_000)
    max_leverage: Decimal = Decimal(50)
    leverage: Decimal = Decimal(10)
    max_num_orders: int = 200
    limit_price_cap: Decimal = Decimal("0.05")
    limit_price_floor: Decimal = Decimal("0.05")
    risk_factor: Decimal = Decimal("0.02")
    risk_step: Decimal = Decimal(4_000_000)
    collateral_id: str = "0x1"
    collateral_resolution: int = 1_000_000
    synthetic_id: str = "0x4254432d3600000000000000000000"
    synthetic_resolution: int = 1_000_000
    status: MarketStatus = MarketStatus.ACTIVE
    is_rfq: bool = False
    flow: FlowKind = FlowKind.SYNTHETIC
    regime: str = "calm"
    replay: Path | None = None

    @property
    def asset(self) -> str:
        """Name of the traded asset."""
        return self.symbol.partition("-")[0]


BTC_USD = SimMarket(
    symbol="BTC-USD",
    price=Decimal(60_000),
    min_price_change=Decimal(1),
    min_order_size_change=Decimal("0.00001"),
    min_order_size=Decimal("0.0001"),
)
ETH_USD = SimMarket(
    symbol="ETH-USD",
    price=Decimal(3_000),
    min_price_change=Decimal("0.1"),
    min_order_size_change=Decimal("0.001"),
    min_order_size=Decimal("0.01"),
    asset_precision=3,
    synthetic_id="0x4554482d3500000000000000000000",
    synthetic_resolution=100_000,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """What a signature is bound to (section 2.1); the test network, so nothing is valid live."""

    name: str = "Perpetuals"
    version: str = "v0"
    chain_id: str = "SN_SEPOLIA"
    revision: str = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What replies leave open.

    `error_status` is the HTTP status of refusals by a rule of the venue (section 8.4).
    `reply_delay_s` holds back the answer to an order call after it was applied, `event_delay_s`
    the account stream, so either may come first.
    """

    error_status: int = 400
    missing_agent_status: int = 403
    not_found_as_text: bool = False
    unknown_cancel: UnknownCancel = UnknownCancel.NOT_FOUND
    empty_leverage_body: bool = False
    reply_delay_s: float = 0.0
    event_delay_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What the order path leaves open (sections 6 to 9).

    A post-only order that would cross ends with `post_only_status`. When the matching engine
    refuses a replacement, the old order ends with the two `failed_replace` words. `booking_delay_s`
    passes between the answer to a fresh order and its booking.
    """

    signatures: SignatureCheck = SignatureCheck.FULL
    expiry_max_days: int = 28
    post_only_status: str = "REJECTED"
    replace_events: ReplaceEvents = ReplaceEvents.OLD_FIRST
    carry_over: CarryOver = CarryOver.REMAINING
    replace_counts_both: bool = False
    failed_replace_status: str = "CANCELLED"
    failed_replace_reason: str = "NONE"
    booking_delay_s: float = 0.0
    mass_cancel_delay_s: float = 0.005
    mixed_selectors: MixedSelectors = MixedSelectors.ALL
    trade_event_first: bool = False
    maker_history: bool = False
    history: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Payments:
    """What the histories of money leave open (section 4.3).

    An operation is `IN_PROGRESS` for `pending_s` after its time. `fee_is_paid` turns the sign of
    `fundingFee` around, `withdrawals_signed` gives withdrawals their minus.
    """

    pending_s: float = 0.0
    fee_is_paid: bool = False
    withdrawals_signed: bool = True
    page: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadMan:
    """What section 10 leaves open."""

    unit: CountdownUnit = CountdownUnit.SECONDS
    empty_body: bool = False
    cancel_reason: str = "NONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """Cadences of section 12 in seconds. A connection that falls `backlog` messages behind is cut.

    `hostile` has the account stream send words and fields that the official client does not know.
    """

    book_interval_s: float = 0.1
    top_interval_s: float = 0.01
    snapshot_interval_s: float = 60.0
    price_interval_s: float = 0.5
    funding_interval_s: float = 60.0
    ping_s: float = 15.0
    pong_s: float = 10.0
    backlog: int = 20_000
    hostile: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """Fees (fractions of notional), funding and mark of every market (sections 17 and 18)."""

    maker_fee: Decimal = Decimal(0)
    taker_fee: Decimal = Decimal("0.00025")
    funding_interval_ms: int = 3_600_000
    funding_cap: Decimal = Decimal("0.0025")
    mark: MarkRules = field(default_factory=MarkRules)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """One simulated deployment; the rate counts requests of one address, whatever they ask."""

    accounts: tuple[SeedAccount, ...] = ()
    markets: tuple[SimMarket, ...] = (BTC_USD, ETH_USD)
    domain: Domain = field(default_factory=Domain)
    answers: Answers = field(default_factory=Answers)
    orders: Orders = field(default_factory=Orders)
    payments: Payments = field(default_factory=Payments)
    dead_man: DeadMan = field(default_factory=DeadMan)
    streams: Streams = field(default_factory=Streams)
    money: Money = field(default_factory=Money)
    rate_per_minute: int = 1_000
    rate_window: RateWindow = RateWindow.FIXED
    rate_window_ns: int = 60 * NS_PER_S
    steps_per_s: int = 20
    control: bool = True
