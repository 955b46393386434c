"""Histories of an account's money: funding, deposits and withdrawals (zo.md section 2.4).

Pages are newest first; amounts of deposits and withdrawals carry no sign.
"""

from decimal import Decimal
from typing import Any

from desk.units import NS_PER_MS, Side
from venues.simulation.events import FundingPaid
from venues.zo.simulator import numbers
from venues.zo.simulator.account import account_of
from venues.zo.simulator.accountfeed import side_word
from venues.zo.simulator.calls import Call, Route
from venues.zo.simulator.history import Transfer
from venues.zo.simulator.paging import page
from venues.zo.simulator.settings import FundingShape
from venues.zo.simulator.world import World


def funding(world: World, call: Call) -> dict[str, Any]:
    """`GET /account/{id}/history/funding`."""
    name, wanted = account_of(world, call).name, call.whole("marketId")
    mine = [
        one
        for one in reversed(world.history.funding)
        if one[0].account == name and wanted in {None, world.listing.market_id(one[0].symbol)}
    ]
    return page(
        world,
        call,
        mine,
        cursor=lambda one: one[0].sequence,
        shown=lambda one: _funding(world, *one),
        at_ms=lambda one: one[0].at_ns // NS_PER_MS,
    )


def deposits(world: World, call: Call) -> dict[str, Any]:
    """`GET /account/{id}/history/deposit`."""
    return _transfers(world, call, 1)


def withdrawals(world: World, call: Call) -> dict[str, Any]:
    """`GET /account/{id}/history/withdrawal`."""
    return _transfers(world, call, -1)


def _transfers(world: World, call: Call, sign: int) -> dict[str, Any]:
    found = account_of(world, call)
    mine = [
        one
        for one in reversed(world.history.transfers)
        if one.moved.account == found.name and one.moved.amount * sign > 0
    ]
    return page(
        world,
        call,
        mine,
        cursor=lambda one: one.action_id,
        shown=lambda one: _transfer(found.account_id, one),
        at_ms=lambda one: one.moved.at_ns // NS_PER_MS,
    )


def _funding(world: World, one: FundingPaid, action_id: int) -> dict[str, Any]:
    instrument, market_id = (
        world.listing.instrument(one.symbol),
        world.listing.market_id(one.symbol),
    )
    row = {
        "time": numbers.moment(one.at_ns),
        "fundingPnl": numbers.money(one.amount),
    }
    if world.settings.reads.funding_shape is FundingShape.FLAT:
        size = numbers.size(instrument, one.lots)
        return row | {
            "actionId": str(action_id),
            "marketId": market_id,
            "positionSize": size,
        }
    return row | {
        "fundingRate": numbers.money(one.rate),
        "fundingSize": numbers.size(instrument, abs(one.lots)),
        "side": side_word(Side.BUY if one.lots > 0 else Side.SELL),
        "fundingIndexChange": None,
        "market": {"market_id": market_id, "market_symbol": one.symbol},
    }


def _transfer(account_id: int, one: Transfer) -> dict[str, Any]:
    row = {
        "time": numbers.moment(one.moved.at_ns),
        "actionId": str(one.action_id),
        "accountId": account_id,
        "tokenId": 0,
        "amount": numbers.money(abs(one.moved.amount)),
        "balance": numbers.money(one.balance),
    }
    if one.moved.amount > 0:
        return row | {"eventIndex": one.moved.payment}
    return row | {"fee": Decimal(0), "destPubkey": None}


ROUTES = (
    Route(path="/account/{account}/history/funding", handler=funding),
    Route(path="/account/{account}/history/deposit", handler=deposits),
    Route(path="/account/{account}/history/withdrawal", handler=withdrawals),
)
