"""Public reads: markets, books, statistics, trades, bars and fees.

A missing mark is shown as null, never as an old one.
"""

from decimal import Decimal
from typing import Any

from desk.instrument import Instrument, Settlement
from venues.ocx.simulator import shapes
from venues.ocx.simulator.answers import Answer, invalid, unknown_market
from venues.ocx.simulator.bodies import whole
from venues.ocx.simulator.calls import Call, Route
from venues.ocx.simulator.credentials import Access
from venues.ocx.simulator.settings import SimMarket, Spelling
from venues.ocx.simulator.world import World
from venues.simulation.clock import iso_ms
from venues.simulation.settlement import SETTLEMENT_TAG
from venues.simulation.tape import Bar

_RESOLUTIONS = {"1": 1, "5": 5, "15": 15, "30": 30, "60": 60, "240": 240, "D": 1440}
_RANGE_S = 90 * 86_400
_HOUR_MS = 3_600_000
_PAGE = 500


def markets(world: World, _call: Call) -> Answer:
    """`GET /perps/markets`: an array of what is listed."""
    return Answer(body=[_market(world, symbol) for symbol in world.listed()])


def orderbook(world: World, call: Call) -> Answer:
    """`GET /perps/orderbook/{marketId}`: two-element levels, best first."""
    symbol = call.path_id
    instrument = world.instrument(symbol)
    depth = whole(call.query, "depth", None)
    if depth is not None and depth < 1:
        raise invalid("depth must be at least 1")
    bids, asks = world.engine.book(symbol, depth)
    body: dict[str, Any] = {
        name: [
            [shapes.price_text(instrument, ticks), shapes.size_text(instrument, lots)]
            for ticks, lots in side
        ]
        for name, side in (("bids", bids), ("asks", asks))
    }
    if world.settings.book_extras:
        body |= {
            "marketId": symbol,
            "sequence": world.engine.book_sequence(symbol),
            "timestamp": iso_ms(world.clock.told_ms()),
        }
    return Answer(body=body)


def market_stats(world: World, call: Call) -> Answer:
    """`GET /perps/market-stats`: one market, or all where the spelling allows it."""
    symbol = call.query.get("marketId")
    if symbol is not None:
        return Answer(body=_stats(world, symbol))
    if world.settings.stats_spelling is Spelling.DOCS:
        raise invalid("marketId is required")
    return Answer(body=[_stats(world, name) for name in world.listed()])


def trades(world: World, call: Call) -> Answer:
    """`GET /perps/trades`: own fills with credentials, else the market's latest executions."""
    limit = whole(call.query, "limit", 100) or 100
    if not 1 <= limit <= _PAGE:
        raise invalid(f"limit must lie between 1 and {_PAGE}")
    symbol = call.query.get("marketId")
    if symbol is not None and symbol not in world.markets:
        raise unknown_market(symbol)
    if call.caller is not None:
        since = whole(call.query, "from", 0) or 0
        own = world.engine.trades(call.account, symbol, since)[:limit]
        return Answer(body=[shapes.own_trade(_any(world, one.symbol), one) for one in own])
    if symbol is None:
        raise invalid("marketId is required")
    instrument = world.instrument(symbol)
    latest = world.engine.public_trades(symbol, limit)
    return Answer(body=[shapes.public_trade(instrument, one) for one in latest])


def fees(world: World, call: Call) -> Answer:
    """`GET /perps/fees`: the tier, with the caller's rolling volume when known."""
    volume = Decimal(0)
    if call.caller is not None:
        volume = volume_30d(world, call.account)
    money = world.settings.money
    return Answer(
        body={
            "makerBps": shapes.money(money.maker_bps),
            "takerBps": shapes.money(money.taker_bps),
            "volume30d": shapes.money(volume),
        }
    )


def ohlc(world: World, call: Call) -> Answer:
    """`GET /perps/ohlc`: columns as charting libraries take them."""
    symbol = call.query.get("symbol")
    if symbol is None:
        raise invalid("symbol is required")
    world.instrument(symbol)
    minutes = _RESOLUTIONS.get(call.query.get("resolution", "15"))
    if minutes is None:
        raise invalid("resolution must be one of " + ", ".join(_RESOLUTIONS))
    now = world.clock.now_s()
    end = whole(call.query, "to", now) or now
    start = whole(call.query, "from", end - 86_400) or 0
    if start > end:
        raise invalid("from must not be after to")
    bars = world.tapes[symbol].bars(max(start, end - _RANGE_S), end, minutes * 60)
    columns: dict[str, Any] = {"s": "ok" if bars else "no_data", "t": [b.start_s for b in bars]}
    columns |= {
        "o": [shapes.money(bar.open) for bar in bars],
        "h": [shapes.money(bar.high) for bar in bars],
        "l": [shapes.money(bar.low) for bar in bars],
        "c": [shapes.money(bar.close) for bar in bars],
        "v": [shapes.money(bar.volume) for bar in bars],
    }
    return Answer(body=columns)


def volume_30d(world: World, account: str) -> Decimal:
    """Notional an account traded in thirty days, in collateral; other currencies do not count."""
    since = world.clock.now_ns() // 1_000_000 - 30 * 86_400_000
    return sum(
        (
            _any(world, one.symbol).notional(one.price, one.lots)
            for one in world.engine.trades(account, None, since)
            if one.tag != SETTLEMENT_TAG
            and _any(world, one.symbol).quote == world.engine.assets.cash
        ),
        Decimal(0),
    )


def _any(world: World, symbol: str) -> Instrument:
    return world.engine.market_rules(symbol).instrument


def _market(world: World, symbol: str) -> dict[str, Any]:
    spelling = world.settings.market_spelling
    shown: dict[str, Any] = {}
    if spelling is not Spelling.GITBOOK:
        shown |= _docs_market(world, symbol)
    if spelling is not Spelling.DOCS:
        shown |= _gitbook_market(world, symbol)
    market = world.markets[symbol]
    if market.expiry is not None:
        shown["expiry"] = market.expiry
    if market.settlement is not None:
        shown["settlement"] = _settlement(world, symbol, market.settlement)
    return shown


def _settlement(world: World, symbol: str, settlement: Settlement) -> dict[str, Any]:
    """What an outcome's share pays if it comes true, and what it was paid once that is known."""
    paid = world.paid.get(symbol)
    instrument = world.instrument(symbol)
    return {
        "event": settlement.event,
        "outcome": settlement.outcome,
        "outcomes": settlement.outcomes,
        "pays": "1",
        "paid": None if paid is None else shapes.money(instrument.price(paid)),
    }


def _kind(market: SimMarket, perpetual: str) -> str:
    if market.settlement is not None:
        return "outcome"
    if market.spot:
        return "spot"
    return "future" if market.expiry else perpetual


def _status(world: World, symbol: str) -> str:
    if symbol in world.paid:
        return "settled"
    return "active" if world.engine.tradable(symbol) else "halted"


def _docs_market(world: World, symbol: str) -> dict[str, Any]:
    instrument, market = world.instrument(symbol), world.markets[symbol]
    margined = market.settlement is None and not market.spot
    return {
        "id": symbol,
        "symbol": symbol,
        "marketType": _kind(market, "perp"),
        "baseSymbol": instrument.base or None,
        "quoteSymbol": instrument.quote,
        "markPrice": shapes.money_or_none(world.mark(symbol)),
        "priceDecimals": _decimals(instrument.tick_size),
        "sizeDecimals": _decimals(instrument.lot_size),
        "indexMarketId": f"{instrument.base}-USDC-SPOT" if margined else None,
    }


def _gitbook_market(world: World, symbol: str) -> dict[str, Any]:
    instrument = world.instrument(symbol)
    rules = world.engine.market_rules(symbol)
    low, high = world.band(symbol)
    return {
        "marketId": symbol,
        "type": _kind(world.markets[symbol], "perpetual"),
        "base": instrument.base or None,
        "quote": instrument.quote,
        "tickSize": format(instrument.tick_size, "f"),
        "stepSize": format(instrument.lot_size, "f"),
        "minQuantity": format(instrument.quantity(instrument.min_lots), "f"),
        "tradingStatus": _status(world, symbol),
        "priceBandLow": shapes.money_or_none(low),
        "priceBandHigh": shapes.money_or_none(high),
        "makerFeeBps": shapes.money(instrument.maker_fee_bps),
        "takerFeeBps": shapes.money(instrument.taker_fee_bps),
        "fundingIntervalMs": rules.funding_interval_ms,
        "fundingMaxRateBps": shapes.money(rules.funding_cap_bps),
    }


def _stats(world: World, symbol: str) -> dict[str, Any]:
    instrument = world.instrument(symbol)
    spelling = world.settings.stats_spelling
    day = world.tapes[symbol].day(world.clock.now_s())
    shown: dict[str, Any] = {}
    if spelling is not Spelling.GITBOOK:
        shown |= _docs_stats(world, instrument, day)
    if spelling is not Spelling.DOCS:
        shown |= _gitbook_stats(world, instrument, day)
    return shown


def _docs_stats(world: World, instrument: Instrument, day: Bar | None) -> dict[str, Any]:
    symbol = instrument.symbol
    mark, funding = world.mark(symbol), world.engine.funding(symbol)
    interest = instrument.quantity(world.engine.open_interest(symbol))
    hourly = funding.rate * _HOUR_MS / funding.interval_ms * 100
    return {
        "markPrice": shapes.money_or_none(mark),
        "indexPrice": shapes.money_or_none(world.engine.index(symbol)),
        "change24hPct": shapes.money(_change(day) * 100),
        "volume24hUsd": shapes.money(day.turnover if day else Decimal(0)),
        "openInterestUsd": None if mark is None else shapes.money(interest * mark),
        "funding1hPct": shapes.money(hourly),
    }


def _gitbook_stats(world: World, instrument: Instrument, day: Bar | None) -> dict[str, Any]:
    symbol = instrument.symbol
    funding = world.engine.funding(symbol)
    return {
        "marketId": symbol,
        "last": shapes.money(day.close) if day else None,
        "high24h": shapes.money(day.high) if day else None,
        "low24h": shapes.money(day.low) if day else None,
        "volume24h": shapes.money(day.volume if day else Decimal(0)),
        "openInterest": shapes.size_text(instrument, world.engine.open_interest(symbol)),
        "change24h": shapes.money(_change(day)),
        "fundingRate": shapes.money(funding.rate),
        "nextFundingAt": iso_ms(funding.next_at_ms),
    }


def _change(day: Bar | None) -> Decimal:
    return Decimal(0) if day is None else day.close / day.open - 1


def _decimals(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


ROUTES = (
    Route(method="GET", path="/perps/markets", handler=markets),
    Route(method="GET", path="/markets/linear", handler=markets),
    Route(method="GET", path="/perps/orderbook/{id}", handler=orderbook),
    Route(method="GET", path="/perps/market-stats", handler=market_stats),
    Route(method="GET", path="/perps/trades", handler=trades, access=Access.OPTIONAL),
    Route(method="GET", path="/perps/fees", handler=fees, access=Access.OPTIONAL),
    Route(method="GET", path="/perps/ohlc", handler=ohlc),
)
