"""The market list of OCX as instruments, in both spellings its documentation uses.

Ids are opaque; only active perpetuals, dated futures and outcomes are offered, and spot pairs where
we are told where their orders go; all are kept for look-up.
"""

from collections.abc import Iterable
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal, InvalidOperation

import msgspec

from desk.instrument import Instrument, Settlement
from desk.units import Side
from venues.ocx.config import VENUE, OcxConfig
from venues.ocx.grid import Grid
from venues.ocx.settings import MarketOverride

_SPOT = "spot"
_QUOTED_TYPES = frozenset({"perp", "perpetual", "future", "futures", "outcome", ""})
_LEAST_OUTCOMES = 2
_NO_OVERRIDE = MarketOverride()


class WireMarket(msgspec.Struct, frozen=True, rename="camel"):
    """One market; what one spelling lacks the other has."""

    id: str | None = None
    market_id: str | None = None
    market_type: str | None = None
    type: str | None = None
    price_decimals: int | None = None
    size_decimals: int | None = None
    tick_size: str | None = None
    step_size: str | None = None
    min_quantity: str | None = None
    price_band_low: str | None = None
    price_band_high: str | None = None
    trading_status: str | None = None
    maker_fee_bps: str | None = None
    taker_fee_bps: str | None = None
    base_symbol: str | None = None
    base: str | None = None
    quote_symbol: str | None = None
    quote: str | None = None
    settlement: object = None

    @property
    def kind(self) -> str:
        """What is traded, in lower case; "" when the venue does not say."""
        return (self.market_type or self.type or "").lower()


class WireFees(msgspec.Struct, frozen=True, rename="camel"):
    """Fee tier of the account, basis points."""

    maker_bps: str | None = None
    taker_bps: str | None = None


decode_markets = msgspec.json.Decoder(list[WireMarket]).decode
decode_fees = msgspec.json.Decoder(WireFees).decode


class Catalog:
    """Instruments by symbol with their grids, as last read. Unknown symbols are simply absent."""

    def __init__(self, config: OcxConfig) -> None:
        self._config = config
        self._instruments: dict[str, Instrument] = {}
        self._spot: frozenset[str] = frozenset()
        self._grids: dict[str, tuple[Instrument, tuple[Grid, Grid]]] = {}

    def learn(self, markets: Iterable[WireMarket], fees: WireFees) -> list[Instrument]:
        """Take in a fresh list; gives all of it, and what was listed before as not active any more.

        What cannot be quoted may still have to be cancelled and left. Markets without tick or step
        are left out (set them under `markets` to trade them).
        """
        markets = tuple(markets)
        self._spot |= {one.id or one.market_id or "" for one in markets if one.kind == _SPOT}
        read = [instrument_of(market, fees, self._config) for market in markets]
        found = {one.symbol: one for one in read if one is not None}
        gone = {
            symbol: replace(old, active=False)
            for symbol, old in self._instruments.items()
            if symbol not in found
        }
        self._instruments = {**found, **gone}
        return list(self._instruments.values())

    def known(self, symbol: str) -> Instrument | None:
        """Instrument last seen under this symbol, also when it is not active any more."""
        return self._instruments.get(symbol)

    def owns(self, symbol: str) -> bool:
        """Whether what is traded here is owned, so that a position owes nothing."""
        return symbol in self._spot

    def adopt(self, instrument: Instrument) -> None:
        """Learn of an instrument a caller holds, unless the venue's list had it."""
        self._instruments.setdefault(instrument.symbol, instrument)

    def grids(self, instrument: Instrument) -> tuple[Grid, Grid]:
        """Price and size grid, the same objects as long as tick and lot stay the same."""
        held = self._grids.get(instrument.symbol)
        if held is not None and (held[0] is instrument or _same_grid(held[0], instrument)):
            return held[1]
        grids = (Grid(instrument.tick_size), Grid(instrument.lot_size))
        self._grids[instrument.symbol] = (instrument, grids)
        return grids


def instrument_of(market: WireMarket, fees: WireFees, config: OcxConfig) -> Instrument | None:
    """One market as the desk sees it; None without an id, a tick or a step."""
    symbol = market.id or market.market_id
    override = config.markets.get(symbol or "", _NO_OVERRIDE)
    tick = override.tick or _size(market.tick_size, market.price_decimals)
    step = override.step or _size(market.step_size, market.size_decimals)
    if symbol is None or tick is None or step is None:
        return None
    least = override.min_qty or _decimal(market.min_quantity)
    bare = Instrument(venue=VENUE, symbol=symbol, tick_size=tick, lot_size=step)
    low = override.band_low or _decimal(market.price_band_low)
    high = override.band_high or _decimal(market.price_band_high)
    return Instrument(
        venue=VENUE,
        symbol=symbol,
        tick_size=tick,
        lot_size=step,
        min_lots=1 if least is None else max(1, _ceiling(least / step)),
        min_notional=override.min_notional or Decimal(0),
        multiplier=override.multiplier or Decimal(1),
        maker_fee_bps=_first(market.maker_fee_bps, fees.maker_bps, config.maker_bps),
        taker_fee_bps=_first(market.taker_fee_bps, fees.taker_bps, config.taker_bps),
        # The band closes inwards: the lowest price inside is rounded up, the highest down.
        band_low=None if low is None else bare.price_ticks(low, Side.SELL),
        band_high=None if high is None else bare.price_ticks(high, Side.BUY),
        active=_active(market, config),
        base=market.base_symbol or market.base or "",
        quote=market.quote_symbol or market.quote or "",
        settlement=settlement_of(market.settlement),
    )


def settlement_of(told: object) -> Settlement | None:
    """What a share pays in the end; None unless the venue says all of it, and that it pays 1.

    Nothing is guessed: an outcome taken for one of an event it does not belong to costs money.
    """
    if not isinstance(told, dict):
        return None
    event, outcome, outcomes = told.get("event"), told.get("outcome"), told.get("outcomes")
    if not (isinstance(event, str) and event and isinstance(outcome, str) and outcome):
        return None
    if type(outcomes) is not int or outcomes < _LEAST_OUTCOMES or not _pays_one(told.get("pays")):
        return None
    return Settlement(event=event, outcome=outcome, outcomes=outcomes)


def _pays_one(told: object) -> bool:
    try:
        return isinstance(told, str) and Decimal(told) == 1
    except InvalidOperation:
        return False


def _active(market: WireMarket, config: OcxConfig) -> bool:
    if (market.trading_status or "active").lower() != "active":
        return False
    if isinstance(market.settlement, dict) and market.settlement.get("paid") is not None:
        return False
    return market.kind in _QUOTED_TYPES or (market.kind == _SPOT and config.spot_route == "perps")


def _size(text: str | None, decimals: int | None) -> Decimal | None:
    given = _decimal(text)
    if given is not None and given > 0:
        return given
    return None if decimals is None else Decimal(1).scaleb(-decimals)


def _ceiling(number: Decimal) -> int:
    return int(number.to_integral_value(ROUND_CEILING))


def _decimal(text: str | None) -> Decimal | None:
    return Decimal(text) if text else None


def _first(market: str | None, tier: str | None, default: Decimal) -> Decimal:
    return Decimal(market or tier or default)


def _same_grid(one: Instrument, other: Instrument) -> bool:
    return (one.tick_size, one.lot_size) == (other.tick_size, other.lot_size)
