"""Every leg, hedge and penny: ledger, record and claims against the venue's log, to the digit."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from desk.arbitrage_ports import ClaimStage
from desk.arbitrage_records import HeldCapital, TradeStage
from desk.orders import Fill
from quoting.arbitrage.report import SetKind
from tests.chaos.arbitrage_facts import SetFacts
from tests.chaos.arbitrage_log import rounds_of
from workflows.arbitrage_messages import ArbitrageState

_ZERO = Decimal(0)
_CENT: Final = Decimal("1e-8")
"""The last digit that the venue has."""
_MILLIONTH: Final = Decimal("1e-6")
"""Capital is counted in these."""
_OVER = frozenset({TradeStage.BALANCED, TradeStage.HANDED_OVER, TradeStage.SETTLED})
_ENDED = frozenset({ArbitrageState.STOPPED, ArbitrageState.SETTLED})


def booked_otherwise(facts: SetFacts) -> list[str]:
    """The ledger has exactly the venue's executions: by id, and by lots, price and fee."""
    venue = Counter(
        (one.symbol, one.name, one.lots, one.price, one.fee.quantize(_CENT))
        for one in facts.log.done
    )
    ledger = Counter(
        (symbol, fill.client_order_id or "", fill.side.sign * fill.lots, fill.price, _fee(fill))
        for symbol, fills in facts.booked.items()
        for fill in fills
    )
    found = [
        f"{sum(some.values())} executions are only {where}: {sorted(some)[:3]}"
        for some, where in ((venue - ledger, "at the venue"), (ledger - venue, "in the ledger"))
        if some
    ]
    for symbol, fills in facts.booked.items():
        ours = Counter(fill.trade_id for fill in fills)
        theirs = Counter(fill.trade_id for fill in facts.history[symbol])
        if ours != theirs:
            found.append(f"{symbol}: trade ids differ: {ours - theirs} and {theirs - ours}")
    return found


def unrecorded(facts: SetFacts) -> list[str]:
    """Every order that was filled belongs to a trade on record."""
    rounds = rounds_of(facts.trades)
    strays = {
        one.name for one in facts.log.done if one.name and (one.symbol, one.epoch) not in rounds
    }
    return [f"{name} was filled, and no trade on record knows it" for name in sorted(strays)]


def not_over(facts: SetFacts) -> list[str]:
    """Every trade came to an end, and so did the set."""
    found = [
        f"{trade.fired.key.text} is still {trade.stage.value}"
        for trade in facts.trades
        if trade.stage not in _OVER
    ]
    if facts.status.state not in _ENDED:
        found.append(f"the set is {facts.status.state.value}: {facts.status.reason}")
    return found


def claims_apart(facts: SetFacts) -> list[str]:
    """Redis holds exactly the capital that the record says is locked."""
    claimed = {one.key: _amounts(one.capital) for one in facts.claims}
    locked = {one.fired.key: _amounts(one.locked) for one in facts.trades if one.locked}
    found = [
        f"{one.key.text} is {one.stage.value} in Redis"
        for one in facts.claims
        if one.stage is not ClaimStage.HELD
    ]
    # Redis counts in whole millionths, claims rounded up.
    same = claimed.keys() == locked.keys() and all(
        claimed[key].keys() == locked[key].keys()
        and all(0 <= claimed[key][one] - locked[key][one] < _MILLIONTH for one in locked[key])
        for key in locked
    )
    return found if same else [*found, f"Redis holds {claimed}, the record {locked}"]


def pennies(facts: SetFacts) -> list[str]:
    """Cash by the venue is cash in the ledger, and what trades brought adds up to it."""
    by_symbol = {leg.symbol: leg.instrument for leg in facts.legs}
    cash: defaultdict[str, Decimal] = defaultdict(Decimal)
    for one in facts.log.done:
        worth = by_symbol[one.symbol].notional(one.price, abs(one.lots))
        # Of each execution the venue tells so many digits: they are what anybody can book.
        cash[one.symbol] -= (worth if one.lots > 0 else -worth) + one.fee.quantize(_CENT)
    found = [
        f"{symbol}: {cash[symbol]} by the venue, {fold.cash - fold.fees} in the ledger"
        for symbol, fold in facts.folds.items()
        if cash[symbol].quantize(_CENT) != (fold.cash - fold.fees).quantize(_CENT)
    ]
    if facts.kind is not SetKind.OUTCOME_SET or found:
        return found
    total = sum(cash.values(), _ZERO)
    if facts.status.state is not ArbitrageState.SETTLED:
        total += facts.status.complete
    edges = sum((trade.edge or _ZERO for trade in facts.trades), _ZERO)
    if abs(edges - total) > _MILLIONTH:
        found.append(f"trades brought {edges} by the record, {total} by the venue")
    return found


def _amounts(parts: Iterable[HeldCapital]) -> dict[str, Decimal]:
    found: defaultdict[str, Decimal] = defaultdict(Decimal)
    for part in parts:
        found[part.quote] += part.amount
    return {quote: amount for quote, amount in found.items() if amount}


def _fee(fill: Fill) -> Decimal:
    return fill.fee.quantize(_CENT)
