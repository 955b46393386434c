"""Public reads (x10.md section 4.2): markets with rules and figures, book, trades, funding."""

from decimal import Decimal
from typing import Any

from desk.instrument import Instrument
from desk.units import NS_PER_S, Level
from venues.simulation.faults import FaultKind, Site
from venues.simulation.tape import MINUTE_S, Bar
from venues.x10.simulator import shapes
from venues.x10.simulator.calls import Answer, Call, Route
from venues.x10.simulator.codes import ApiRefused, Code
from venues.x10.simulator.settings import MarketStatus, SimMarket
from venues.x10.simulator.world import World

_INTERVALS_S = {
    "PT1M": 60,
    "PT5M": 300,
    "PT15M": 900,
    "PT30M": 1_800,
    "PT1H": 3_600,
    "PT2H": 7_200,
    "PT4H": 14_400,
    "P1D": 86_400,
}
_RISK_STEPS = 15
_CANDLES = 10_000


def markets(world: World, call: Call) -> Answer:
    """`GET /info/markets`."""
    asked = call.markets or list(world.markets)
    return Answer(data=[market(world, world.market(symbol)) for symbol in asked])


def market(world: World, listed: SimMarket) -> dict[str, Any]:
    """One market (section 5.1)."""
    status = world.status(listed.symbol)
    return {
        "name": listed.symbol,
        "uiName": listed.symbol,
        "type": "PERPETUAL",
        "category": "L1",
        "assetName": listed.asset,
        "assetPrecision": listed.asset_precision,
        "collateralAssetName": "USD",
        "collateralAssetPrecision": 6,
        "active": status in {MarketStatus.ACTIVE, MarketStatus.REDUCE_ONLY},
        "status": str(status),
        "isRfq": listed.is_rfq,
        "isOffHours": False,
        "tradingHours": "CONTINUOUS",
        "visibleOnUi": True,
        "marketStats": stats(world, listed.symbol),
        "tradingConfig": _trading(world, listed),
        "l2Config": {
            "type": "STARKX",
            "collateralId": listed.collateral_id,
            "collateralResolution": listed.collateral_resolution,
            "syntheticId": listed.synthetic_id,
            "syntheticResolution": listed.synthetic_resolution,
        },
    }


def _trading(world: World, listed: SimMarket) -> dict[str, Any]:
    return {
        "minOrderSize": shapes.plain(listed.min_order_size),
        "minOrderSizeChange": shapes.plain(listed.min_order_size_change),
        "minPriceChange": shapes.plain(listed.min_price_change),
        "maxMarketOrderValue": shapes.plain(listed.max_market_order_value),
        "maxLimitOrderValue": shapes.plain(listed.max_limit_order_value),
        "maxPositionValue": shapes.plain(listed.max_position_value),
        "maxLeverage": shapes.plain(listed.max_leverage),
        "maxNumOrders": str(listed.max_num_orders),
        "limitPriceCap": shapes.plain(listed.limit_price_cap),
        "limitPriceFloor": shapes.plain(listed.limit_price_floor),
        "hourlyFundingRateCap": shapes.plain(world.settings.money.funding_cap * 100),
        "riskFactorConfig": [
            {
                "upperBound": shapes.plain(listed.risk_step * step),
                "riskFactor": shapes.plain(listed.risk_factor * step),
            }
            for step in range(1, _RISK_STEPS + 1)
        ],
    }


def stats(world: World, symbol: str) -> dict[str, Any]:
    """A market's figures; a figure nobody knows yet is the index, a volume 0."""
    instrument, engine = world.instrument(symbol), world.engine
    bids, asks = engine.book(symbol, 1)
    index = engine.index(symbol) or world.markets[symbol].price
    mark = engine.mark(symbol) or index
    day = world.tapes[symbol].day(world.clock.now_ns() // NS_PER_S)
    last = index if day is None else day.close
    funding, interest = engine.funding(symbol), engine.open_interest(symbol)
    return {
        "dailyVolume": shapes.plain(Decimal(0) if day is None else day.turnover),
        "dailyVolumeBase": shapes.plain(Decimal(0) if day is None else day.volume),
        "dailyPriceChange": shapes.plain(Decimal(0) if day is None else day.close - day.open),
        "dailyLow": shapes.plain(last if day is None else day.low),
        "dailyHigh": shapes.plain(last if day is None else day.high),
        "lastPrice": shapes.plain(last),
        "askPrice": shapes.plain(_best(instrument, asks)),
        "bidPrice": shapes.plain(_best(instrument, bids)),
        "markPrice": shapes.plain(mark),
        "indexPrice": shapes.plain(index),
        "fundingRate": shapes.plain(funding.rate),
        "nextFundingRate": funding.next_at_ms,
        "openInterest": shapes.plain(instrument.quantity(interest) * mark),
        "openInterestBase": shapes.plain(instrument.quantity(interest)),
    }


def _best(instrument: Instrument, side: list[Level]) -> Decimal:
    return instrument.price(side[0][0]) if side else Decimal(0)


def market_stats(world: World, call: Call) -> Answer:
    """`GET /info/markets/{m}/stats`."""
    return Answer(data=stats(world, world.market(call.parts["market"]).symbol))


def orderbook(world: World, call: Call) -> Answer:
    """`GET /info/markets/{m}/orderbook`."""
    symbol = world.market(call.parts["market"]).symbol
    instrument = world.instrument(symbol)
    bids, asks = world.engine.book(symbol)
    return Answer(
        data={
            "market": symbol,
            "bid": [_level(instrument, each) for each in bids],
            "ask": [_level(instrument, each) for each in asks],
        }
    )


def _level(instrument: Instrument, level: Level) -> dict[str, str]:
    return {
        "qty": shapes.size(instrument, level[1]),
        "price": shapes.price(instrument, level[0]),
    }


def trades(world: World, call: Call) -> Answer:
    """`GET /info/markets/{m}/trades`: newest first."""
    symbol = world.market(call.parts["market"]).symbol
    latest = world.engine.public_trades(symbol, 50)
    instrument = world.instrument(symbol)
    return Answer(data=[shapes.public_trade(instrument, each) for each in reversed(latest)])


def candles(world: World, call: Call) -> Answer:
    """`GET /info/candles/{m}/{type}`: bars of trades, newest first, whatever type is asked."""
    symbol = world.market(call.parts["market"]).symbol
    width_s = _INTERVALS_S.get(call.text("interval") or "PT1M")
    if width_s is None:
        raise ApiRefused(Code.BAD_REQUEST, "interval")
    limit = min(call.whole("limit") or 100, _CANDLES)
    end_ms = call.whole("endTime")
    end_s = world.clock.now_ns() // NS_PER_S if end_ms is None else end_ms // 1000
    bars = world.tapes[symbol].bars(end_s - limit * max(width_s, MINUTE_S), end_s, width_s)
    return Answer(data=[candle(bar) for bar in reversed(bars[-limit:])])


def candle(bar: Bar) -> dict[str, Any]:
    """One bar."""
    return {
        "o": shapes.plain(bar.open),
        "h": shapes.plain(bar.high),
        "l": shapes.plain(bar.low),
        "c": shapes.plain(bar.close),
        "v": shapes.plain(bar.volume),
        "T": bar.start_s * 1000,
    }


def funding(world: World, call: Call) -> Answer:
    """`GET /info/{m}/funding`: the last applied rate, if any."""
    symbol = world.market(call.parts["market"]).symbol
    view = world.engine.funding(symbol)
    rows = []
    if view.last_rate is not None:
        paid_ms = view.next_at_ms - view.interval_ms
        rows.append({"m": symbol, "f": shapes.plain(view.last_rate), "T": paid_ms})
    return Answer(data=rows, pagination={"cursor": 0, "count": len(rows)})


def status(world: World, _call: Call) -> Answer:
    """`GET /info/status`."""
    resting = world.faults.active(FaultKind.MAINTENANCE_MODE, Site()) is not None
    return Answer(data={"operationalStatus": "MAINTENANCE" if resting else "OPERATIONAL"})


def settings(_world: World, _call: Call) -> Answer:
    """`GET /info/settings`."""
    return Answer(data={"starkExContractAddress": "0x0"})


def assets(world: World, _call: Call) -> Answer:
    """`GET /info/assets`: the collateral."""
    first = next(iter(world.markets.values()))
    return Answer(
        data=[
            {
                "id": 1,
                "name": "USD",
                "symbol": "USD",
                "precision": 6,
                "isActive": True,
                "isCollateral": True,
                "starkexId": first.collateral_id,
                "starkexResolution": first.collateral_resolution,
                "l1Id": "0x0",
                "l1Resolution": first.collateral_resolution,
                "version": 1,
                "type": "PERPETUAL",
                "canBeUsedAsCollateral": True,
            }
        ]
    )


def _public(path: str, handler: Any) -> Route:
    return Route(method="GET", path=path, handler=handler, private=False)


ROUTES = (
    _public("/info/markets", markets),
    _public("/info/markets/{market}/stats", market_stats),
    _public("/info/markets/{market}/orderbook", orderbook),
    _public("/info/markets/{market}/trades", trades),
    _public("/info/candles/{market}/{kind}", candles),
    _public("/info/{market}/funding", funding),
    _public("/info/status", status),
    _public("/info/settings", settings),
    _public("/info/assets", assets),
)
