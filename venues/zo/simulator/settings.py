"""Every switch of the simulated 01.xyz: one for each thing its documentation leaves open.

Accounts are seeded by wallet public keys only; no secret ever enters the simulator.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from venues.simulation.counterflow import FlowKind as FlowKind  # noqa: PLC0414 - offered here
from venues.simulation.rules import MarkRules, SelfTrade


class Revision(StrEnum):
    """Which published schema the server follows (zo.md section 4.6)."""

    R2025_12 = "2025-12"
    R2026_02 = "2026-02"
    R2026_03 = "2026-03"


class SchemaShown(StrEnum):
    """What `GET /schema.proto` serves.

    `live`: the revision in force. `flat`: the same numbers with top-level messages and old names.
    `moved`: price and size one field earlier, as a page of the venue's documentation has them.
    `absent`: 404.
    """

    LIVE = "live"
    FLAT = "flat"
    MOVED = "moved"
    ABSENT = "absent"


class ReduceOnly(StrEnum):
    """Which fill modes a reduce-only order may have (zo.md section 4.4, a conflict)."""

    IMMEDIATE = "immediate"
    POST_ONLY = "post_only"
    ANY = "any"


class Oversize(StrEnum):
    """What happens to a reduce-only order larger than the position."""

    CAP = "cap"
    REFUSE = "refuse"


class ClientIds(StrEnum):
    """How long a client order id may not be used again by its account."""

    WHILE_OPEN = "while_open"
    FOR_EVER = "for_ever"


class Registered(StrEnum):
    """What happens when a session key is registered a second time."""

    REFUSE = "refuse"
    REFRESH = "refresh"


class TooLarge(StrEnum):
    """How a body above the limit is refused."""

    RECEIPT = "receipt"
    STATUS = "status"


class PageSizes(StrEnum):
    """What a page size above the most means."""

    CLAMP = "clamp"
    REFUSE = "refuse"


class QuoteSizes(StrEnum):
    """How `quote_size` is understood."""

    U128 = "u128"
    PRICE_AND_SIZE = "price_and_size"


class FeeSpelling(StrEnum):
    """Unit and names of the fee brackets; `revision` follows the schema in force."""

    REVISION = "revision"
    BPS = "bps"
    PPM = "ppm"


class FundingShape(StrEnum):
    """How a row of the funding history names its market and size.

    `object`: as the published description has it. `flat`: as newer servers were read.
    """

    OBJECT = "object"
    FLAT = "flat"


class TradesShape(StrEnum):
    """Which of the three shapes seen the trades stream has (zo.md section 3.3)."""

    LIVE = "live"
    SDK = "sdk"
    FLAT = "flat"


class FillKey(StrEnum):
    """Whose order id keys a fill: the account's own, or always the maker's."""

    OWN = "own"
    MAKER = "maker"


class FillSide(StrEnum):
    """Whose side a fill names."""

    OWN = "own"
    TAKER = "taker"


class FillCount(StrEnum):
    """Several fills of one order in one action: an update each, or one with the mean price."""

    SPLIT = "split"
    MEAN = "mean"


class BalanceKey(StrEnum):
    """What keys the balances of an account update."""

    TOKEN_ID = "token_id"  # noqa: S105 - a word of the protocol
    SYMBOL = "symbol"


class Pings(StrEnum):
    """What becomes of a client's WebSocket pings (zo.md section 3.1, a conflict)."""

    ANSWER = "answer"
    IGNORE = "ignore"
    CLOSE = "close"


class LevelShape(StrEnum):
    """Book levels on the stream: `[price, size]`, or an object as the SDK types them."""

    PAIR = "pair"
    OBJECT = "object"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedAccount:
    """An account that exists from the start.

    `wallet` is the owner's public key in base58; accounts of one wallet are subaccounts of one
    user, the first is its default. `collateral` is USDC. `account_id` None takes the next free
    number from 1.
    """

    name: str
    wallet: str
    collateral: Decimal = Decimal(100_000)
    account_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimMarket:
    """One perpetual to list: price in USDC, grid as decimals; its id is its place in the list.

    Margins are fractions of notional. `regime` names a regime of the synthetic flow. `mode` is
    `clob` or `rfq` (which takes no orders), None leaves the field out of `/info`.
    """

    symbol: str
    price: Decimal
    price_decimals: int
    size_decimals: int
    imf: Decimal = Decimal("0.10")
    cmf: Decimal = Decimal("0.0625")
    mmf: Decimal = Decimal("0.05")
    mode: str | None = "clob"
    regime: str = "calm"
    flow: FlowKind = FlowKind.SYNTHETIC
    replay: Path | None = None
    min_lots: int = 1
    min_notional: Decimal = Decimal(0)
    price_band_bps: Decimal | None = None

    @property
    def tick(self) -> Decimal:
        """Quote currency of one tick."""
        return Decimal(1).scaleb(-self.price_decimals)

    @property
    def lot(self) -> Decimal:
        """Base units of one lot."""
        return Decimal(1).scaleb(-self.size_decimals)


DEFAULT_MARKETS = (
    SimMarket(symbol="BTCUSD", price=Decimal(60_000), price_decimals=1, size_decimals=5),
    SimMarket(symbol="ETHUSD", price=Decimal(3_000), price_decimals=2, size_decimals=4),
    SimMarket(symbol="SOLUSD", price=Decimal(150), price_decimals=2, size_decimals=2),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """`POST /action`. Sizes are bytes, times seconds; None means no limit.

    `order_id_base` is added to the engine's own numbers: order ids exceed 2^53 in places.
    """

    max_body: int = 1024
    too_large: TooLarge = TooLarge.RECEIPT
    max_subactions: int = 4
    tolerance_s: int = 60
    duplicate_window_s: int = 60
    cancel_by_client_id: bool = True
    client_ids: ClientIds = ClientIds.WHILE_OPEN
    reduce_only: ReduceOnly = ReduceOnly.IMMEDIATE
    oversize: Oversize = Oversize.CAP
    quote_sizes: QuoteSizes = QuoteSizes.U128
    max_open_orders: int | None = None
    first_action_id: int = 1_000
    order_id_base: int = 1 << 53


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRules:
    """Session keys. `cap` sessions a user; more revoke the earliest to expire."""

    cap: int = 32
    max_ttl_s: int | None = None
    registered: Registered = Registered.REFUSE
    first_id: int = 41
    create_delay_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRules:
    """Limits the venue does not state, None: none. Orders and cancels per user, requests per IP."""

    orders_per_s: int | None = None
    cancels_per_s: int | None = None
    requests_per_min: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """What WebSocket streams leave open. A reader more than `queue` frames behind is cut off."""

    max_streams: int = 12
    pings: Pings = Pings.ANSWER
    ping_s: float | None = None
    trades: TradesShape = TradesShape.LIVE
    levels: LevelShape = LevelShape.PAIR
    fill_key: FillKey = FillKey.OWN
    fill_side: FillSide = FillSide.OWN
    fill_count: FillCount = FillCount.SPLIT
    balance_key: BalanceKey = BalanceKey.TOKEN_ID
    client_ids_in_places: bool = True
    timestamps: bool = True
    first_last_id_zero: bool = False
    queue: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """What REST reads leave open. `depth` bounds the levels of a book side, None: all."""

    depth: int | None = None
    page: int = 50
    page_sizes: PageSizes = PageSizes.CLAMP
    fee_spelling: FeeSpelling = FeeSpelling.REVISION
    signed_base_size: bool = True
    lower_case_reasons: bool = False
    funding_shape: FundingShape = FundingShape.FLAT
    history: int = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """Fees, funding, mark and self-trade of every market, and how margin is judged.

    `gains_back_risk`: whether unrealized gains count towards `omf`. `cmf_cancels`: whether the
    venue cancels the open orders of an account whose `omf` is below `cmf`.
    """

    maker_bps: Decimal = Decimal(1)
    taker_bps: Decimal = Decimal(5)
    funding_interval_ms: int = 3_600_000
    funding_cap_bps: Decimal = Decimal(25)
    mark: MarkRules = field(default_factory=MarkRules)
    self_trade: SelfTrade = SelfTrade.NONE
    gains_back_risk: bool = False
    cmf_cancels: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """One simulated deployment. `codes` replaces error numbers by the name of their cause."""

    accounts: tuple[SeedAccount, ...] = ()
    markets: tuple[SimMarket, ...] = DEFAULT_MARKETS
    revision: Revision = Revision.R2026_03
    schema: SchemaShown = SchemaShown.LIVE
    clock_offset_s: int = 0
    paused: bool = False
    actions: Actions = field(default_factory=Actions)
    sessions: SessionRules = field(default_factory=SessionRules)
    rates: RateRules = field(default_factory=RateRules)
    streams: Streams = field(default_factory=Streams)
    reads: Reads = field(default_factory=Reads)
    money: Money = field(default_factory=Money)
    codes: Mapping[str, int] = field(default_factory=dict)
    steps_per_s: int = 20
    control: bool = True
