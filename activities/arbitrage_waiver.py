"""What a person took over by name: put on record, and found there again by whoever runs the set.

The rule: a named decision outlives the workflow it was told to. Lots of an outcome set are waived,
for what it owes is a matter of positions; of a triangle whole trades are handed over instead.
"""

from collections.abc import Sequence

from activities.arbitrage_messages import ReleaseSetInput, SetPlan
from activities.ports import ActivityPorts
from desk.arbitrage.waiving import lesser
from desk.arbitrage_records import TradeKey
from desk.units import Lots
from quoting.arbitrage.report import SetKind


async def release(ports: ActivityPorts, request: ReleaseSetInput) -> Sequence[TradeKey]:
    """Put a release on record; trades that were handed over. Repeating it changes nothing.

    Lots first: with the trades alone on record, what is owed would be worked off as nobody's.
    """
    plan = request.plan
    if request.waived:
        lots = dict(zip(plan.legs, request.waived, strict=True))
        await ports.waivers.waive(plan.name, lots, epoch=request.epoch)
    keys = [trade.fired.key for trade in await ports.trades.open_for(plan.name)]
    if plan.kind is SetKind.TRIANGLE and request.trade is not None:
        keys = [request.trade]  # what another round owes, nobody has released
    for key in keys:
        await ports.trades.hand_over(key, request.by, request.reason)
    return keys


async def released_before(ports: ActivityPorts, plan: SetPlan) -> tuple[Lots, ...]:
    """What is waived of each leg by the record; empty for nothing. Raises Unavailable."""
    recorded = await ports.waivers.waived(plan.name)
    lots = tuple(recorded.get(market, 0) for market in plan.legs)
    return lots if any(lots) else ()


async def waiver_on_record(
    ports: ActivityPorts, plan: SetPlan, waived: tuple[Lots, ...]
) -> tuple[Lots, ...]:
    """A waiver as far as the record bears it out; empty when nothing is left. Raises Unavailable.

    A run that died may have found lots gone, and told nobody but the record.
    """
    if not any(waived):
        return ()
    recorded = await ports.waivers.waived(plan.name)
    known = zip(plan.legs, waived, strict=True)
    left = lesser(waived, [recorded.get(market, lots) for market, lots in known])
    return left if any(left) else ()
