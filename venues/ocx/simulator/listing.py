"""The rules of each kind of market, and which outcomes may be listed together.

Outcome markets are an addition of the simulator's: the venue's documents know none.
"""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from desk.errors import ConfigurationFault
from desk.instrument import Instrument, Settlement
from venues.ocx.simulator.settings import Money, SimMarket
from venues.simulation.rules import Backing, MarketRules


def rules_of(market: SimMarket, money: Money) -> MarketRules:
    """What the engine is told of a market; ConfigurationFault when it contradicts itself."""
    backing = _backing(market)
    return MarketRules(
        instrument=_instrument(market, money, backing),
        index_price=market.price,
        funding_interval_ms=money.funding_interval_ms,
        funding_cap_bps=money.funding_cap_bps if backing is Backing.MARGIN else Decimal(0),
        initial_margin=money.initial_margin,
        maintenance_margin=money.maintenance_margin,
        self_trade=money.self_trade,
        mark=money.mark,
        backing=backing,
    )


def check_events(markets: Iterable[SimMarket]) -> None:
    """ConfigurationFault where markets of one event cannot be outcomes of it together."""
    events: defaultdict[str, list[Settlement]] = defaultdict(list)
    for market in markets:
        if market.settlement is not None:
            events[market.settlement.event].append(market.settlement)
    for event, listed in events.items():
        counts = {one.outcomes for one in listed}
        if len(counts) > 1 or len(listed) > min(counts):
            raise ConfigurationFault(
                f"event {event}: {len(listed)} markets do not fit into {min(counts)} outcomes; "
                "give all of them the right number"
            )
        if len({one.outcome for one in listed}) < len(listed):
            raise ConfigurationFault(f"event {event}: an outcome is listed twice; keep one")


def _backing(market: SimMarket) -> Backing:
    kinds = (market.settlement is not None, market.spot, market.expiry is not None)
    if sum(kinds) > 1:
        raise ConfigurationFault(
            f"market {market.symbol}: it can only be one of outcome, spot pair and dated future"
        )
    if market.settlement is None:
        return Backing.OWNED if market.spot else Backing.MARGIN
    if 1 % market.tick or not 0 < market.price < 1:
        raise ConfigurationFault(
            f"market {market.symbol}: an outcome's price lies between 0 and 1, in ticks that make 1"
        )
    return Backing.PAID


def _instrument(market: SimMarket, money: Money, backing: Backing) -> Instrument:
    low, high = _ticks(market.band_low, market.tick), _ticks(market.band_high, market.tick)
    if backing is Backing.PAID:
        low = 1 if low is None else low
        high = int(1 / market.tick) - 1 if high is None else high
    base, quote = market.currencies
    return Instrument(
        venue="ocx",
        symbol=market.symbol,
        tick_size=market.tick,
        lot_size=market.lot,
        min_lots=market.min_lots,
        maker_fee_bps=money.maker_bps,
        taker_fee_bps=money.taker_bps,
        band_low=low,
        band_high=high,
        base=base,
        quote=quote,
        settlement=market.settlement,
    )


def _ticks(price: Decimal | None, tick: Decimal) -> int | None:
    return None if price is None else int(price / tick)
