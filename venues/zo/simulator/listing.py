"""The venue's markets and numbers: symbols, market ids, order ids on the wire.

A market's id is its place in the list, as clients that look it up by index need it.
"""

from desk.instrument import Instrument
from venues.simulation.clock import VenueClock
from venues.simulation.engine import Engine
from venues.simulation.rules import MarketRules
from venues.simulation.tape import Tape
from venues.zo.simulator.settings import SimMarket, SimulatorSettings

VENUE = "zo"


class Listing:
    """Markets in the order they were listed."""

    def __init__(self, settings: SimulatorSettings, engine: Engine, clock: VenueClock) -> None:
        self.settings = settings
        self.engine = engine
        self.clock = clock
        self.tapes: dict[str, Tape] = {}
        self.expired: set[str] = set()
        self._markets: list[SimMarket] = []
        self._ids: dict[str, int] = {}

    def add(self, market: SimMarket) -> None:
        """List a market in the engine too."""
        money = self.settings.money
        instrument = Instrument(
            venue=VENUE,
            symbol=market.symbol,
            tick_size=market.tick,
            lot_size=market.lot,
            min_lots=market.min_lots,
            min_notional=market.min_notional,
            maker_fee_bps=money.maker_bps,
            taker_fee_bps=money.taker_bps,
        )
        self.engine.add_market(
            MarketRules(
                instrument=instrument,
                index_price=market.price,
                funding_interval_ms=money.funding_interval_ms,
                funding_cap_bps=money.funding_cap_bps,
                initial_margin=market.imf,
                maintenance_margin=market.mmf,
                price_band_bps=market.price_band_bps,
                self_trade=money.self_trade,
                mark=money.mark,
            )
        )
        self._ids[market.symbol] = len(self._markets)
        self._markets.append(market)
        self.tapes[market.symbol] = Tape()

    def markets(self) -> list[SimMarket]:
        """All markets; the place is the id."""
        return list(self._markets)

    def market(self, symbol: str) -> SimMarket:
        """A market's settings; KeyError when it is not listed."""
        return self._markets[self._ids[symbol]]

    def by_id(self, market_id: int) -> SimMarket | None:
        """A market that trades, by its id."""
        if not 0 <= market_id < len(self._markets):
            return None
        market = self._markets[market_id]
        return None if market.symbol in self.expired else market

    def has(self, symbol: str) -> bool:
        """Whether a market is listed and has not expired."""
        return symbol in self._ids and symbol not in self.expired

    def market_id(self, symbol: str) -> int:
        """A market's id; KeyError when it is not listed."""
        return self._ids[symbol]

    def instrument(self, symbol: str) -> Instrument:
        """A market's grid; KeyError when it is not listed."""
        return self.engine.market_rules(symbol).instrument

    def wire_id(self, order_id: str) -> int:
        """An engine order id as the wire has it."""
        return self.settings.actions.order_id_base + int(order_id[1:])

    def engine_id(self, wire_id: int) -> str:
        """The engine's name of a wire order id; one nobody has when it is too small."""
        return f"o{wire_id - self.settings.actions.order_id_base}"
