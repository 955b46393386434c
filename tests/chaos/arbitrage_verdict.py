"""What must hold of a set whatever died: the venue's log against ledger, record and claims.

A rule gives the breaches it found as sentences, none when it holds; `test_arbitrage_verdict.py`
shows that each can fail.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from decimal import Decimal

from desk.units import NS_PER_S
from quoting.arbitrage.report import SetKind
from tests.chaos.arbitrage_facts import ON_ITS_WAY_NS, STATED_S, SetFacts
from tests.chaos.arbitrage_log import rounds_of
from tests.chaos.arbitrage_pennies import (
    booked_otherwise,
    claims_apart,
    not_over,
    pennies,
    unrecorded,
)
from workflows.arbitrage_messages import ArbitrageState

_ZERO = Decimal(0)


def breaches(facts: SetFacts) -> list[str]:
    """Everything that does not hold."""
    return [
        *exposed_too_long(facts),
        *apart_at_the_end(facts),
        *dust_untold(facts),
        *ids_taken_twice(facts),
        *taken_while_killed(facts),
        *more_than_planned(facts),
        *more_than_claimed(facts),
        *booked_otherwise(facts),
        *unrecorded(facts),
        *not_over(facts),
        *claims_apart(facts),
        *pennies(facts),
    ]


def exposed_too_long(facts: SetFacts) -> list[str]:
    """Back under the cap within the stated time."""
    longest = facts.longest_s
    return [f"above {facts.cap} for {longest:.1f} s"] if longest > STATED_S else []


def apart_at_the_end(facts: SetFacts) -> list[str]:
    """Nothing is left beyond complete sets but what no venue takes; everything was paid out."""
    last = facts.standings[-1]
    found = [
        f"{last.excess[leg.symbol]:+d} lots of {leg.symbol} are left beyond complete sets"
        for leg in facts.legs
        if abs(last.excess.get(leg.symbol, 0)) >= leg.least
    ]
    if facts.status.state is ArbitrageState.SETTLED:
        found += [
            f"{lots} lots of {one} outlived it" for one, lots in facts.log.held().items() if lots
        ]
    return found


def dust_untold(facts: SetFacts) -> list[str]:
    """What stays because it is too small is reported, and nothing else is."""
    if facts.kind is not SetKind.OUTCOME_SET or facts.status.state is ArbitrageState.SETTLED:
        return []
    left, told = any(facts.standings[-1].excess.values()), facts.status.dust
    if left == bool(told):
        return []
    return [f"dust is told as {told}, and {'some' if left else 'none'} is left"]


def ids_taken_twice(facts: SetFacts) -> list[str]:
    """No client order id is accepted twice."""
    counts = Counter(one.name for one in facts.log.taken)
    return [f"{name} was accepted {count} times" for name, count in counts.items() if count > 1]


def taken_while_killed(facts: SetFacts) -> list[str]:
    """After a kill only what reduces is taken; of a triangle, only what works off a round."""
    found = []
    for one in facts.log.taken:
        reduces = one.reduce_only if facts.kind is SetKind.OUTCOME_SET else not one.fired
        for kill in facts.kills:
            sent_ns = facts.sent_ns(one)
            if kill.from_ns + ON_ITS_WAY_NS < sent_ns < kill.until_ns and not reduces:
                late = (sent_ns - kill.from_ns) / NS_PER_S
                found.append(f"{one.name} ({one.lots:+d}) was sent {late:.2f} s after a kill")
    return found


def more_than_planned(facts: SetFacts) -> list[str]:
    """At no moment has a trade moved a leg beyond its plan, or to the other side of nothing.

    What trades before it left over, too small to be traded alone, may be traded back with its own.
    """
    rounds = rounds_of(facts.trades)
    plans = {
        (number, leg.market.symbol): leg
        for number, trade in enumerate(facts.trades)
        for leg in trade.fired.legs
    }
    moved: defaultdict[tuple[int, str], int] = defaultdict(int)
    over: dict[int, Mapping[str, int]] = {}
    found = []
    for one in facts.log.done:
        number = rounds.get((one.symbol, one.epoch))
        if number is None:
            continue
        before = over.setdefault(number, _over_before(facts, one.at_ns))
        plan = plans[number, one.symbol]
        moved[number, one.symbol] += one.lots
        done = plan.side.sign * moved[number, one.symbol]
        least = -max(0, plan.side.sign * before.get(one.symbol, 0))
        if not least <= done <= plan.lots:
            key = facts.trades[number].fired.key.text
            found.append(f"{key} moved {one.symbol} by {done} lots, {plan.lots} were planned")
    return found


def _over_before(facts: SetFacts, at_ns: int) -> Mapping[str, int]:
    """What was in excess before that moment."""
    standing = [one for one in facts.standings if one.at_ns < at_ns]
    return standing[-1].excess if standing else {}


def more_than_claimed(facts: SetFacts) -> list[str]:
    """What was taken at once is no more than what was fired, and that no more than was claimed."""
    fired = {leg.client_order_id: leg for trade in facts.trades for leg in trade.fired.legs}
    found = [
        f"{one.name}: {abs(one.lots)} lots were taken, {fired[one.name].lots} fired"
        for one in facts.log.taken
        if one.name in fired and abs(one.lots) > fired[one.name].lots
    ]
    costs: defaultdict[str, Decimal] = defaultdict(Decimal)
    by_symbol = {leg.symbol: leg.instrument for leg in facts.legs}
    for done in facts.log.done:
        leg = fired.get(done.name)
        # What completes a leg of whose order nothing was heard has its id, and a price of its own.
        if leg is not None and done.lots > 0 and done.price <= leg.limit:
            costs[done.name] += by_symbol[done.symbol].notional(done.price, done.lots) + done.fee
    for trade in facts.trades:
        key = trade.fired.key
        bought = sum((costs[one.client_order_id] for one in trade.fired.legs), _ZERO)
        held = sum((one.amount for one in trade.fired.capital), _ZERO)
        if facts.kind is SetKind.OUTCOME_SET and held and bought > held:
            found.append(f"{key.text} spent {bought} at once, {held} were claimed")
        if key in facts.seen:
            lots = {size.market: size.lots for size in facts.seen[key].sizes}
            found += [
                f"{key.text} fired {one.lots} lots, {lots[one.market]} were claimed"
                for one in trade.fired.legs
                if one.lots > lots[one.market]
            ]
    return found
