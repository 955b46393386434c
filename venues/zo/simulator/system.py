"""Reads about the venue itself: clock, markets, schema, health and executed actions."""

import base64
from decimal import Decimal
from typing import Any

from desk.units import NS_PER_MS
from venues.simulation.clock import iso_ms
from venues.zo.simulator.calls import Call, HttpRefusal, Route, Text, missing
from venues.zo.simulator.live_schema import schema_text
from venues.zo.simulator.settings import SchemaShown, SimMarket
from venues.zo.simulator.world import World

USDC = 0
_USDC_DECIMALS = 6
_WHOLE_BPS = 10_000
_WIDEST_RANGE = 1_000


def timestamp(world: World, _call: Call) -> int:
    """`GET /timestamp`: the engine's clock in unix seconds."""
    return world.engine_s()


def info(world: World, _call: Call) -> dict[str, Any]:
    """`GET /info`: markets and tokens, each at the place of its id."""
    markets = world.listing.markets()
    return {
        "markets": [_market(number, market) for number, market in enumerate(markets)],
        "tokens": [token(world, number) for number in range(len(markets) + 1)],
    }


def schema(world: World, _call: Call) -> Text:
    """`GET /schema.proto`: the schema in force, or what a test makes of it."""
    if world.schema is SchemaShown.ABSENT:
        raise missing()
    return Text(text=schema_text(world.schema, world.settings.revision))


def openapi(_world: World, _call: Call) -> dict[str, Any]:
    """`GET /openapi.json`: only that there is one."""
    return {"openapi": "3.1.0", "info": {"title": "nord", "version": "0"}, "paths": {}}


def state_info(world: World, _call: Call) -> dict[str, Any]:
    """`GET /state/info`: whether the engine is paused."""
    state = {
        "version": 1,
        "action_id": world.journal.last_id,
        "action_nonce": 0,
        "timestamp": world.engine_s(),
        "paused": world.is_paused(),
    }
    return {"version": "simulated", "state": state}


def last_executed(world: World, _call: Call) -> int:
    """`GET /action/last-executed-id`."""
    return world.journal.last_id


def last_acked(_world: World, _call: Call) -> int:
    """`GET /event/last-acked-nonce`: of the settlement layer, which is not simulated."""
    return 0


def executed(world: World, call: Call) -> list[dict[str, Any]]:
    """`GET /action?from=&to=`: executed actions, both ends included."""
    first = call.whole("from")
    last = call.whole("to")
    first = world.journal.last_id if first is None else first
    last = world.journal.last_id if last is None else last
    if last - first >= _WIDEST_RANGE:
        raise HttpRefusal(400, {"requested": last - first + 1, "maximal": _WIDEST_RANGE})
    return [
        {
            "actionId": str(one.action_id),
            "physicalTime": iso_ms(one.at_ns // NS_PER_MS),
            "payload": base64.b64encode(one.raw).decode(),
        }
        for one in world.journal.between(first, last)
    ]


def proton_config(_world: World, _call: Call) -> dict[str, Any]:
    """`GET /proton/v0/config`: bridging is not simulated."""
    return {}


def token_stats(world: World, call: Call) -> dict[str, Any]:
    """`GET /tokens/{id}/stats`."""
    number = call.number("token")
    if number > len(world.listing.markets()):
        raise missing()
    shown = token(world, number)
    index = Decimal(1)
    if number != USDC:
        told = world.engine.index(world.listing.markets()[number - 1].symbol)
        index = Decimal(0) if told is None else told
    return {
        "symbol": shown["symbol"],
        "decimals": shown["decimals"],
        "mintAddr": shown["mintAddr"],
        "weightBps": shown["weightBps"],
        "oracleSymbol": shown["symbol"],
        "indexPrice": {"median": index, "confidence": Decimal(0)} if index else None,
    }


def token(world: World, number: int) -> dict[str, Any]:
    """A token as `/info` shows it: USDC, then the base of each market."""
    symbol, decimals, weight = "USDC", _USDC_DECIMALS, _WHOLE_BPS
    if number != USDC:
        market = world.listing.markets()[number - 1]
        symbol, decimals, weight = market.symbol.removesuffix("USD"), market.size_decimals, 0
    return {
        "tokenId": number,
        "symbol": symbol,
        "decimals": decimals,
        "mintAddr": "1" * 32,
        "weightBps": weight,
    }


def _market(number: int, market: SimMarket) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "marketId": number,
        "symbol": market.symbol,
        "priceDecimals": market.price_decimals,
        "sizeDecimals": market.size_decimals,
        "baseTokenId": number + 1,
        "quoteTokenId": USDC,
        "imf": market.imf,
        "mmf": market.mmf,
        "cmf": market.cmf,
    }
    if market.mode is not None:
        shown["mode"] = market.mode
    return shown


ROUTES = (
    Route(path="/timestamp", handler=timestamp),
    Route(path="/info", handler=info),
    Route(path="/schema.proto", handler=schema),
    Route(path="/openapi.json", handler=openapi),
    Route(path="/state/info", handler=state_info),
    Route(path="/action/last-executed-id", handler=last_executed),
    Route(path="/event/last-acked-nonce", handler=last_acked),
    Route(path="/action", handler=executed),
    Route(path="/proton/v0/config", handler=proton_config),
    Route(path="/tokens/{token}/stats", handler=token_stats),
)
