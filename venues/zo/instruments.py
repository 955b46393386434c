"""The market list of 01.xyz as instruments; only order-book markets are offered.

Decimals are taken by market id, never by place in the list (zo.md sections 2.2 and 10.2).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from desk.errors import Refused
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.orders import RejectReason
from venues.zo.config import VENUE, ZoConfig
from venues.zo.scale import Scale
from venues.zo.settings import MarketOverride

_NO_OVERRIDE = MarketOverride()
_BOOK_MODE = "clob"
_PPM_PER_BPS = 100


class WireMarket(msgspec.Struct, frozen=True, rename="camel"):
    """One market; margins are fractions. `mode` is missing on older servers."""

    market_id: int
    symbol: str
    price_decimals: int
    size_decimals: int
    mode: str | None = None
    imf: Decimal | None = None
    mmf: Decimal | None = None
    cmf: Decimal | None = None


class WireInfo(msgspec.Struct, frozen=True):
    """Body of `/info`; tokens are not read."""

    markets: list[WireMarket]


class WireTier(msgspec.Struct, frozen=True):
    """Fees in either spelling (zo.md section 2.4); positive when the account pays."""

    maker_fee_bps: Decimal | None = None
    taker_fee_bps: Decimal | None = None
    maker_fee_ppm: Decimal | None = None
    taker_fee_ppm: Decimal | None = None

    @property
    def maker_bps(self) -> Decimal | None:
        """Basis points of notional."""
        return _bps(self.maker_fee_bps, self.maker_fee_ppm)

    @property
    def taker_bps(self) -> Decimal | None:
        """Basis points of notional."""
        return _bps(self.taker_fee_bps, self.taker_fee_ppm)


decode_info = msgspec.json.Decoder(WireInfo).decode
decode_brackets = msgspec.json.Decoder(list[tuple[int, WireTier]]).decode


@dataclass(frozen=True, slots=True)
class Market:
    """One order-book market as the adapter needs it; `tag` is that of our client order ids."""

    market_id: int
    symbol: str
    tag: str
    prices: Scale
    sizes: Scale


class Catalog:
    """Markets as last read. Unknown symbols are simply absent."""

    def __init__(self, config: ZoConfig, *, account: str) -> None:
        self._config = config
        self._account = account
        self._by_symbol: dict[str, Market] = {}
        self._by_id: dict[int, Market] = {}
        self._modes: dict[str, str] = {}
        self._instruments: dict[str, Instrument] = {}

    @property
    def loaded(self) -> bool:
        """Whether the venue's list was read."""
        return bool(self._modes)

    @property
    def refusals(self) -> list[str]:
        """A sentence for every market that cannot be quoted."""
        return [told for symbol in self._modes if (told := self.refusal(symbol))]

    def learn(self, markets: Iterable[WireMarket], tier: WireTier) -> list[Instrument]:
        """Take in a fresh list; gives what can be quoted."""
        offered = []
        for wire in markets:
            self._modes[wire.symbol] = (wire.mode or _BOOK_MODE).lower()
            market = self._by_id.get(wire.market_id)
            if market is None or _differs(market, wire):
                market = self._market(wire)
            self._by_symbol[wire.symbol] = self._by_id[wire.market_id] = market
            self._instruments[wire.symbol] = self._instrument(wire, tier)
            if self.refusal(wire.symbol) is None:
                offered.append(self._instruments[wire.symbol])
        return offered

    def check(self, instrument: Instrument) -> None:
        """Refused for a market that is known to take no limit orders."""
        told = self.refusal(instrument.symbol)
        if told is not None:
            raise Refused(RejectReason.INVALID, told)

    def of(self, instrument: Instrument) -> Market:
        """The market of an instrument; Refused when it is unknown or takes no limit orders."""
        self.check(instrument)
        market = self._by_symbol.get(instrument.symbol)
        if market is None:
            raise Refused(
                RejectReason.UNKNOWN_MARKET, f"{instrument.symbol}: the venue lists no such market"
            )
        return market

    def at_hand(self, symbol: str) -> Market | None:
        """The market, None when it is unknown or takes no limit orders."""
        if self._modes.get(symbol) != _BOOK_MODE:
            return None
        return self._by_symbol[symbol]

    def by_id(self, market_id: int) -> Market | None:
        """Market with this id, whatever its mode."""
        return self._by_id.get(market_id)

    def instrument(self, symbol: str) -> Instrument | None:
        """Instrument last seen under this symbol."""
        return self._instruments.get(symbol)

    def refusal(self, symbol: str) -> str | None:
        """Why a listed market cannot be quoted, None when it can."""
        mode = self._modes.get(symbol, _BOOK_MODE)
        if mode == _BOOK_MODE:
            return None
        return f"{symbol} is a market of mode '{mode}': it takes no limit orders, only clob does"

    def _market(self, wire: WireMarket) -> Market:
        return Market(
            wire.market_id,
            wire.symbol,
            MarketId(VENUE, self._account, wire.symbol).tag,
            Scale(wire.price_decimals),
            Scale(wire.size_decimals),
        )

    def _instrument(self, wire: WireMarket, tier: WireTier) -> Instrument:
        override = self._config.markets.get(wire.symbol, _NO_OVERRIDE)
        maker, taker = tier.maker_bps, tier.taker_bps
        return Instrument(
            venue=VENUE,
            symbol=wire.symbol,
            tick_size=Scale(wire.price_decimals).size,
            lot_size=Scale(wire.size_decimals).size,
            min_lots=override.min_lots or 1,
            min_notional=override.min_notional or Decimal(0),
            maker_fee_bps=self._config.maker_bps if maker is None else maker,
            taker_fee_bps=self._config.taker_bps if taker is None else taker,
        )


def tier_of(brackets: Iterable[tuple[int, WireTier]], tier_id: int) -> WireTier:
    """Fees of a tier; empty when the venue does not list it."""
    found: Mapping[int, WireTier] = dict(brackets)
    return found.get(tier_id, WireTier())


def _differs(market: Market, wire: WireMarket) -> bool:
    return (market.symbol, market.prices.decimals, market.sizes.decimals) != (
        wire.symbol,
        wire.price_decimals,
        wire.size_decimals,
    )


def _bps(bps: Decimal | None, ppm: Decimal | None) -> Decimal | None:
    if bps is not None:
        return bps
    return None if ppm is None else ppm / _PPM_PER_BPS
