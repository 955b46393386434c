"""Public reads of markets: books, statistics, trades, funding and bars.

A missing mark is shown as null, never as an old one.
"""

from decimal import Decimal
from typing import Any

from desk.units import NS_PER_MS
from venues.simulation.clock import iso_ms
from venues.simulation.faults import FaultKind
from venues.simulation.views import PublicTrade
from venues.zo.simulator import numbers
from venues.zo.simulator.accountfeed import side_word
from venues.zo.simulator.calls import Call, HttpRefusal, Route, missing
from venues.zo.simulator.candles import RESOLUTIONS
from venues.zo.simulator.paging import page
from venues.zo.simulator.settings import FeeSpelling, Revision, SimMarket
from venues.zo.simulator.world import World

_HOUR_MS = 3_600_000
_FAR = Decimal(10)
_BPS = Decimal(10_000)
_PPM_PER_BPS = 100


def orderbook(world: World, call: Call) -> dict[str, Any]:
    """`GET /market/{id}/orderbook`: best first; `updateId` is the stream's."""
    market = _market(world, call)
    symbol, instrument = market.symbol, world.listing.instrument(market.symbol)
    bids, asks = world.engine.book(symbol, world.settings.reads.depth)
    deep = world.faults.take(call.site, FaultKind.DEEP_SNAPSHOT)
    if deep is not None:
        bids, asks = _deepened(bids, -1, deep.levels // 2), _deepened(asks, 1, deep.levels // 2)
    body: dict[str, Any] = {"updateId": world.feeds.book(symbol).update_id}
    for name, levels in (("asks", asks), ("bids", bids)):
        body[name] = [
            [numbers.price(instrument, ticks), numbers.size(instrument, lots)]
            for ticks, lots in levels
        ]
        total = numbers.size(instrument, sum(lots for _, lots in levels))
        body[f"{name}Summary"] = {"sum": total, "count": len(levels)}
    return body


def stats(world: World, call: Call) -> dict[str, Any]:
    """`GET /market/{id}/stats`: several fields may be null (zo.md section 2.3)."""
    market = _market(world, call)
    symbol, instrument = market.symbol, world.listing.instrument(market.symbol)
    day = world.listing.tapes[symbol].day(world.clock.now_s())
    index, mark = world.engine.index(symbol), world.mark(symbol)
    funding = world.engine.funding(symbol)
    return {
        "indexPrice": None if index is None else numbers.money(index),
        "indexPriceConf": None if index is None else Decimal(0),
        "frozen": not world.engine.tradable(symbol),
        "volumeBase24h": day.volume if day else Decimal(0),
        "volumeQuote24h": numbers.money(day.turnover) if day else Decimal(0),
        "high24h": day.high if day else None,
        "low24h": day.low if day else None,
        "close24h": day.close if day else None,
        "prevClose24h": day.open if day else None,
        "perpStats": {
            "mark_price": None if mark is None else numbers.money(mark),
            "aggregated_funding_index": Decimal(0),
            "funding_rate": numbers.money(funding.rate * _HOUR_MS / funding.interval_ms),
            "next_funding_time": iso_ms(funding.next_at_ms),
            "open_interest": numbers.size(instrument, world.engine.open_interest(symbol)),
        },
    }


def live(world: World, call: Call) -> dict[str, Any]:
    """`GET /market/{id}/live`."""
    return _live(world, _market(world, call))


def live_all(world: World, _call: Call) -> list[dict[str, Any]]:
    """`GET /markets/live`."""
    return [_live(world, world.listing.market(symbol)) for symbol in world.listed()]


def trades(world: World, call: Call) -> dict[str, Any]:
    """`GET /trades`: public executions, newest first."""
    wanted = call.whole("marketId")
    taker, maker = call.whole("takerId"), call.whole("makerId")
    side = call.query.get("takerSide")
    if side not in {None, "", "bid", "ask"}:
        raise HttpRefusal(400, {"error": "takerSide must be bid or ask"})
    found = [
        one
        for one in world.ledger.latest()
        if (wanted is None or world.listing.market_id(one.symbol) == wanted)
        and (taker is None or world.users.number(one.taker) == taker)
        and (maker is None or world.users.number(one.maker) == maker)
        and (not side or side_word(one.aggressor) == side)
    ]
    return page(
        world,
        call,
        found,
        cursor=lambda one: int(one.trade_id[1:]),
        shown=world.ledger.shown,
        at_ms=lambda one: one.at_ns // NS_PER_MS,
    )


def previous_price(world: World, call: Call) -> dict[str, Any]:
    """`GET /market/{id}/price/prev?atOrBefore=`: the last trade at or before a moment."""
    market = _market(world, call)
    text = call.query.get("atOrBefore", "")
    try:
        at_ms = numbers.parse_moment(text)
    except ValueError:
        raise HttpRefusal(400, {"error": "atOrBefore must be RFC3339"}) from None
    before = [one for one in _public(world, market) if one.at_ms <= at_ms]
    instrument = world.listing.instrument(market.symbol)
    last = numbers.price(instrument, before[-1].price) if before else None
    return {"marketId": call.number("market"), "price": last}


def hourly(world: World, call: Call) -> dict[str, Any]:
    """`GET /market/{id}/history/PT1H`: the hour in progress only."""
    market = _market(world, call)
    index, mark = world.engine.index(market.symbol), world.mark(market.symbol)
    row = {
        "marketId": call.number("market"),
        "time": iso_ms(world.clock.now_ns() // NS_PER_MS // _HOUR_MS * _HOUR_MS),
        "actionId": str(world.journal.last_id),
        "fundingIndex": Decimal(0),
        "fundingRate": world.engine.funding(market.symbol).last_rate or Decimal(0),
        "indexPrice": None if index is None else numbers.money(index),
        "markPrice": None if mark is None else numbers.money(mark),
    }
    return {"items": [row]}


def bars(world: World, call: Call) -> dict[str, Any]:
    """`GET /tv/history`: columns as charting libraries take them."""
    symbol = call.query.get("symbol", "")
    number = call.whole("market_id")
    if number is not None:
        listed = world.listing.by_id(number)
        symbol = "" if listed is None else listed.symbol
    if not world.listing.has(symbol):
        raise missing()
    width_s = RESOLUTIONS.get(call.query.get("resolution", "1"))
    if width_s is None:
        raise HttpRefusal(400, {"error": "resolution is unknown"})
    now = world.clock.now_s()
    start, end = call.whole("from"), call.whole("to")
    found = world.listing.tapes[symbol].bars(start or 0, now if end is None else end, width_s)
    count = call.whole("countback")
    found = found if count is None else found[-count:] if count else []
    if not found:
        return {"s": "no_data"}
    return {
        "s": "ok",
        "t": [bar.start_s for bar in found],
        "o": [bar.open for bar in found],
        "h": [bar.high for bar in found],
        "l": [bar.low for bar in found],
        "c": [bar.close for bar in found],
        "v": [bar.volume for bar in found],
    }


def brackets(world: World, _call: Call) -> list[Any]:
    """`GET /fee/brackets/info`: one tier, in basis points or in millionths."""
    money, spelling = world.settings.money, world.settings.reads.fee_spelling
    old = world.settings.revision is Revision.R2025_12
    if spelling is FeeSpelling.BPS or (spelling is FeeSpelling.REVISION and old):
        fees = {"maker_fee_bps": money.maker_bps, "taker_fee_bps": money.taker_bps}
    else:
        fees = {
            "maker_fee_ppm": money.maker_bps * _PPM_PER_BPS,
            "taker_fee_ppm": money.taker_bps * _PPM_PER_BPS,
        }
    return [[0, fees]]


def fee(world: World, call: Call) -> Decimal:
    """`GET /market/{id}/fees/{maker|taker}/{accountId}`: a fraction, negative when charged."""
    _market(world, call)
    if world.users.account(call.number("account")) is None:
        raise missing()
    rates = {"maker": world.settings.money.maker_bps, "taker": world.settings.money.taker_bps}
    rate = rates.get(call.parts["role"])
    if rate is None:
        raise missing()
    return numbers.money(-rate / _BPS)


def _market(world: World, call: Call) -> SimMarket:
    number = call.number("market")
    market = world.listing.by_id(number)
    if market is None:
        raise missing({"market_id": number})
    return market


def _live(world: World, market: SimMarket) -> dict[str, Any]:
    index, mark = world.engine.index(market.symbol), world.mark(market.symbol)
    return {
        "marketId": world.listing.market_id(market.symbol),
        "indexPrice": None if index is None else numbers.money(index),
        "frozen": not world.engine.tradable(market.symbol),
        "perpetuals": {"markPrice": None if mark is None else numbers.money(mark)},
    }


def _public(world: World, market: SimMarket) -> list[PublicTrade]:
    return world.engine.public_trades(market.symbol, limit=10_000)


def _deepened(levels: list[tuple[int, int]], step: int, wanted: int) -> list[tuple[int, int]]:
    """More levels behind the last, far away, as an old market collects them."""
    if not levels:
        return levels
    last = int(levels[-1][0] * (_FAR if step > 0 else 1 / _FAR))
    more = [last + step * place for place in range(1, max(0, wanted - len(levels)) + 1)]
    return levels + [(ticks, 1) for ticks in more if ticks > 0]


ROUTES = (
    Route(path="/market/{market}/orderbook", handler=orderbook),
    Route(path="/market/{market}/stats", handler=stats),
    Route(path="/market/{market}/live", handler=live),
    Route(path="/markets/live", handler=live_all),
    Route(path="/trades", handler=trades),
    Route(path="/market/{market}/price/prev", handler=previous_price),
    Route(path="/market/{market}/history/PT1H", handler=hourly),
    Route(path="/tv/history", handler=bars),
    Route(path="/fee/brackets/info", handler=brackets),
    Route(path="/market/{market}/fees/{role}/{account}", handler=fee),
)
