"""The market list of X10 as instruments, and what signing needs to know of each market.

Only active perpetuals with an order book are offered; all are kept for look-up.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal

import msgspec

from desk.instrument import Instrument
from desk.units import BPS
from venues.x10.config import VENUE, X10Config
from venues.x10.grid import Grid
from venues.x10.signing import Settlement
from venues.x10.wire import Reply


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    """Field names on the wire are camelCase; fields not listed are ignored."""


class WireRules(_Wire, frozen=True):
    """Trading rules of a market (section 5.1); counts come as text or number."""

    min_order_size: str
    min_order_size_change: str
    min_price_change: str
    max_num_orders: str | int | None = None


class WireL2(_Wire, frozen=True):
    """What a market settles in."""

    collateral_id: str
    collateral_resolution: int
    synthetic_id: str
    synthetic_resolution: int


class WireMarket(_Wire, frozen=True):
    """One market. `status` is on the wire though the venue's own client drops it."""

    name: str
    trading_config: WireRules
    l2_config: WireL2
    type: str = "PERPETUAL"
    status: str | None = None
    active: bool = True
    is_rfq: bool = False

    @property
    def quotable(self) -> bool:
        """Whether a resting order makes sense here."""
        open_now = self.active if self.status is None else self.status == "ACTIVE"
        return open_now and self.type == "PERPETUAL" and not self.is_rfq


class WireFee(_Wire, frozen=True):
    """Fee rates of the account in one market, as shares of the value."""

    market: str
    maker_fee_rate: str
    taker_fee_rate: str


class _RawMarkets(msgspec.Struct, frozen=True):
    data: list[msgspec.Raw]


decode_fees = msgspec.json.Decoder(Reply[list[WireFee]]).decode
_decode_list = msgspec.json.Decoder(_RawMarkets).decode
_decode_market = msgspec.json.Decoder(WireMarket).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One market: the desk's instrument, what it settles in, and the rates to sign for."""

    instrument: Instrument
    settlement: Settlement
    maker_rate: Decimal
    taker_rate: Decimal
    max_orders: int | None


def decode_markets(body: bytes) -> list[WireMarket]:
    """The markets we can read; one that has another shape must not hide the others."""
    found = []
    for raw in _decode_list(body).data:
        try:
            found.append(_decode_market(raw))
        except (msgspec.ValidationError, ValueError):
            continue
    return found


class Catalog:
    """Markets by symbol, as last read. Unknown symbols are simply absent."""

    def __init__(self, config: X10Config) -> None:
        self._config = config
        self._listings: dict[str, Listing] = {}
        self._grids: dict[str, tuple[Instrument, tuple[Grid, Grid]]] = {}
        self._adopted: dict[str, Instrument] = {}

    def learn(self, markets: Iterable[WireMarket], fees: Iterable[WireFee]) -> list[Instrument]:
        """Take in a fresh list; gives all of it, and what was listed before as not active any more.

        What cannot be quoted may still have to be cancelled and left. Markets without a readable
        grid are out.
        """
        rates = {fee.market: fee for fee in fees}
        read = [_listing_of(market, rates, self._config) for market in markets]
        found = {one.instrument.symbol: one for one in read if one is not None}
        gone = {
            symbol: replace(old, instrument=replace(old.instrument, active=False))
            for symbol, old in self._listings.items()
            if symbol not in found
        }
        self._listings = {**found, **gone}
        return [one.instrument for one in self._listings.values()]

    def listing(self, symbol: str) -> Listing | None:
        """What the venue last said of a market, also when it is not active any more."""
        return self._listings.get(symbol)

    def known(self, symbol: str) -> Instrument | None:
        """Instrument of a symbol, from the venue or from whoever follows it."""
        listing = self._listings.get(symbol)
        return self._adopted.get(symbol) if listing is None else listing.instrument

    def adopt(self, instrument: Instrument) -> None:
        """Learn of an instrument a caller holds."""
        self._adopted[instrument.symbol] = instrument

    def grids(self, instrument: Instrument) -> tuple[Grid, Grid]:
        """Price and size grid, the same objects as long as tick and lot stay the same."""
        held = self._grids.get(instrument.symbol)
        if held is not None and (held[0] is instrument or _same_grid(held[0], instrument)):
            return held[1]
        grids = (Grid(instrument.tick_size), Grid(instrument.lot_size))
        self._grids[instrument.symbol] = (instrument, grids)
        return grids


def _listing_of(
    market: WireMarket, fees: Mapping[str, WireFee], config: X10Config
) -> Listing | None:
    rules, fee = market.trading_config, fees.get(market.name)
    try:
        tick, lot = Decimal(rules.min_price_change), Decimal(rules.min_order_size_change)
        least = Decimal(rules.min_order_size)
        settlement = _settlement(market.l2_config)
        maker = config.maker_bps / BPS if fee is None else Decimal(fee.maker_fee_rate)
        taker = config.taker_bps / BPS if fee is None else Decimal(fee.taker_fee_rate)
        max_orders = None if rules.max_num_orders is None else int(rules.max_num_orders)
    except (ValueError, ArithmeticError):
        return None
    if not (tick > 0 and lot > 0):
        return None
    instrument = Instrument(
        venue=VENUE,
        symbol=market.name,
        tick_size=tick,
        lot_size=lot,
        min_lots=max(1, int((least / lot).to_integral_value(ROUND_CEILING))),
        maker_fee_bps=maker * BPS,
        taker_fee_bps=taker * BPS,
        # The venue's band is one-sided (section 5.3) and the desk's is not: the venue judges.
        active=market.quotable,
    )
    return Listing(
        instrument=instrument,
        settlement=settlement,
        maker_rate=maker,
        taker_rate=taker,
        max_orders=max_orders,
    )


def _settlement(told: WireL2) -> Settlement:
    return Settlement(
        synthetic_id=int(told.synthetic_id, 16),
        synthetic_resolution=told.synthetic_resolution,
        collateral_id=int(told.collateral_id, 16),
        collateral_resolution=told.collateral_resolution,
    )


def _same_grid(one: Instrument, other: Instrument) -> bool:
    return (one.tick_size, one.lot_size) == (other.tick_size, other.lot_size)
