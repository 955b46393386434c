"""A copy of the engine's state to try a step on; nothing done to it reaches anybody.

Only what the named markets can touch is copied; the rest is shared and must not be changed.
"""

from collections import deque
from collections.abc import Collection
from copy import deepcopy
from dataclasses import replace
from typing import Any

from venues.simulation.accounts import Account
from venues.simulation.log import EventLog
from venues.simulation.state import State

_REMEMBERED = 1_000


def rehearsed(state: State, owner: Account, symbols: Collection[str]) -> State:
    """The state with these markets and everybody who rests in them copied, histories empty."""
    names = {owner.name} | {
        order.account
        for symbol in symbols
        for side in (state.markets[symbol].book.bids, state.markets[symbol].book.asks)
        for order in side.orders()
    }
    memo: dict[int, Any] = {}
    for symbol in symbols:
        market = state.markets[symbol]
        memo[id(market.trades)] = deque(maxlen=1)
        memo[id(market.rules)] = market.rules
        memo[id(market.instrument)] = market.instrument
    for name in names:
        memo[id(state.accounts[name].trades)] = deque(maxlen=0)
    markets = {symbol: deepcopy(state.markets[symbol], memo) for symbol in symbols}
    accounts = {name: deepcopy(state.accounts[name], memo) for name in names}
    return replace(
        state,
        log=EventLog(_REMEMBERED),
        markets={**state.markets, **markets},
        accounts={**state.accounts, **accounts},
        asset_fees=dict(state.asset_fees),
        touched={},
    )
