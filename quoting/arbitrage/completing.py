"""Complete sets whose legs are lots of several trades: pure.

A leg of one trade may be filled late, and the same leg of the next be traded back for it: then
neither trade alone holds a complete set, and both together do. Such a set is one trade's in the
end, which has the missing lots from the others at what they cost.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from desk.arbitrage_records import TradeStage
from desk.identity import MarketId
from desk.units import Lots
from quoting.arbitrage.accounts import Account

_NOTHING: Final = Decimal(0)
_GRAIN: Final = Decimal("1e-12")


def complete(accounts: Iterable[Account]) -> None:
    """Bring together what several trades hold of complete sets; what a person has is left alone.

    Accounts come oldest first, with what was sold shared out already (`accounts_of`). Whoever gets
    the sets is the oldest open one that holds part of them, so that a newer one changes nothing; a
    settled trade locks nothing, and has them only where all are settled.
    """
    apart = [
        one
        for one in accounts
        if one.trade.stage is not TradeStage.HANDED_OVER and any(_beyond(one).values())
    ]
    if len(apart) < 2:
        return
    steps = apart[0].steps
    beyond = [_beyond(one) for one in apart]
    sets = min(sum(one[market] for one in beyond) // step for market, step in steps.items())
    if not sets:
        return
    open_ones = [one for one in apart if one.trade.stage is not TradeStage.SETTLED]
    keeper = open_ones[0] if open_ones else apart[-1]
    own = _beyond(keeper)
    for market, step in steps.items():
        _take(keeper, market, max(0, sets * step - own[market]), apart)


def _beyond(account: Account) -> dict[MarketId, Lots]:
    """Lots that are left of it beyond complete sets."""
    whole = account.whole
    return {
        market: account.left.get(market, 0) - whole * step for market, step in account.steps.items()
    }


def _take(keeper: Account, market: MarketId, lots: Lots, accounts: Sequence[Account]) -> None:
    """So many lots of others, the oldest first, at what they cost."""
    for giver in accounts:
        some = 0 if giver is keeper else min(lots, _beyond(giver)[market])
        if not some:
            continue
        cost = giver.cost(market, some).quantize(_GRAIN)
        had, paid = keeper.taken.get(market, (0, _NOTHING))
        keeper.taken[market] = had + some, paid + cost
        keeper.left[market] = keeper.left.get(market, 0) + some
        giver.left[market] -= some
        giver.passed += cost
        keeper.passed -= cost
        lots -= some
