"""What an engine and its markets are told once: margin, fees, funding, mark and self-trade rules.

Every figure a venue does not publish stands here as a default that a configuration may replace.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from desk.instrument import Instrument


class SelfTrade(StrEnum):
    """What happens when an account would trade with itself."""

    NONE = "none"
    CANCEL_NEWEST = "cancel_newest"
    CANCEL_OLDEST = "cancel_oldest"
    CANCEL_BOTH = "cancel_both"


class Backing(StrEnum):
    """What stands behind orders and positions of a market.

    MARGIN: a fraction of notional. PAID: the most that can be lost, for a market whose base unit
    ends at 0 or 1 quote unit. OWNED: the assets an order would hand over; a trade swaps two
    currencies and nothing is owed afterwards.
    """

    MARGIN = "margin"
    PAID = "paid"
    OWNED = "owned"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkRules:
    """How the mark follows index and book.

    The mark moves towards the book's mid when the book is healthy (both sides hold at least
    `min_depth_lots` within `max_spread_bps` of each other) and the mid is within
    `max_distance_bps` of the index; otherwise towards the index. It never leaves the index by
    more than `max_distance_bps`. `smoothing_ms` is the time constant, 0 follows at once. An index
    older than `stale_ms` gives no mark (None: an index never ages).
    """

    smoothing_ms: int = 1_000
    max_distance_bps: Decimal = Decimal(50)
    max_spread_bps: Decimal = Decimal(50)
    min_depth_lots: int = 1
    stale_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRules:
    """One market of the engine.

    `index_price` is quote currency, None when there is no index yet (then there is no mark).
    Margins are fractions of notional. `price_band_bps` limits order prices around the mark on top
    of the instrument's own absolute band; None means no such limit. Only what is backed by margin
    pays funding and can be liquidated; an OWNED market's instrument names both its currencies.
    """

    instrument: Instrument
    index_price: Decimal | None = None
    funding_interval_ms: int = 300_000
    funding_cap_bps: Decimal = Decimal(25)
    initial_margin: Decimal = Decimal("0.10")
    maintenance_margin: Decimal = Decimal("0.0667")
    self_trade: SelfTrade = SelfTrade.NONE
    price_band_bps: Decimal | None = None
    mark: MarkRules = field(default_factory=MarkRules)
    backing: Backing = Backing.MARGIN


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRules:
    """Rules of the whole engine.

    `margin_after_release`: whether a replace tests margin after the old ladder's margin is
    released (True) or on top of it. `history` bounds the event log and each account's trades;
    `remembered_client_ids` bounds how many used client order ids an account's duplicate test
    remembers (None: all, for ever). `collateral` is the currency of the buckets.
    """

    margin_after_release: bool = True
    history: int = 1_000_000
    public_history: int = 10_000
    remembered_client_ids: int | None = None
    insurance_fund: Decimal = Decimal(1_000_000)
    collateral: str = "USDC"
