"""What must hold before a set may begin: legs that are a set, that nobody has, and known positions.

The one rule: what is not certain is refused, in one sentence with the remedy; nothing is traded.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from activities.arbitrage_messages import OpenSetInput, SetPlan
from activities.held_by_set import runs, why_a_sets
from activities.listing import listed, traded
from activities.ports import ActivityPorts
from desk.arbitrage.sets import Leg, NotASet, outcome_set, triangles
from desk.arbitrage_caps import caps_of, scopes_without
from desk.arbitrage_records import ArbitrageTrade, ClaimRecord, TradeStage
from desk.errors import ConfigurationFault, Unavailable
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.ports import Venue
from desk.units import Lots, Side
from quoting.arbitrage.report import SetKind
from quoting.hedge import read_books

_TRADES_LOOKED_AT = 1_000
_ARM_TRIES = 5
_ANY_EPOCH = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One leg where it is traded."""

    market: MarketId
    venue: Venue
    instrument: Instrument


async def check_set(ports: ActivityPorts, request: OpenSetInput) -> str:
    """What the legs hold at the beginning, in words; ConfigurationFault for what is refused."""
    plan = request.plan
    if problems := (*plan.rules.problems(), *plan.limits.problems()):
        raise ConfigurationFault("; ".join(problems))
    # What it holds of a market that has ended meanwhile is still to be told, and its payout booked.
    holds = bool(await ports.trades.unsettled(plan.name))
    legs = [await _leg(ports, market, may_have_ended=holds) for market in plan.legs]
    tied = legs_of(plan, legs)
    _may_lock(ports, plan, tied)
    await _nobody_elses(ports, request)
    await _same_legs(ports, plan)
    return await _explained(ports, plan, legs)


async def rearm_claims(ports: ActivityPorts, plan: SetPlan) -> ClaimRecord:
    """Have claims take over the durable record and all caps; that record. Raises Unavailable."""
    for _ in range(_ARM_TRIES):
        memory = await ports.claims.memory()
        record = await ports.trades.standing()
        names = {plan.name, *(name for name, _ in record.epochs)}
        if await ports.claims.rearm(record, caps_of(ports.cap_rules, sorted(names)), memory):
            return record
    raise Unavailable("redis: what was claimed is forgotten again and again while it is armed")


def legs_of(plan: SetPlan, legs: Iterable[Listed]) -> Sequence[Leg]:
    """Legs as what ties them says, in their order; ConfigurationFault when they are no set."""
    members = [(leg.market, replace(leg.instrument, active=True)) for leg in legs]
    try:
        if plan.kind is SetKind.OUTCOME_SET:
            return outcome_set(plan.name, members).legs
        around = triangles(plan.name, members)[0].legs
    except NotASet as refusal:
        raise ConfigurationFault(str(refusal)) from refusal
    return sorted(around, key=lambda leg: plan.legs.index(leg.market))


async def _leg(ports: ActivityPorts, market: MarketId, *, may_have_ended: bool) -> Listed:
    found = await traded(ports.venues, market)
    if found is None and may_have_ended:
        found = await listed(ports.venues, market)
    if found is None:
        raise ConfigurationFault(
            f"legs: {market.venue} has no market {market.symbol} that is traded now"
        )
    venue, instrument = found
    if not venue.capabilities.ids_refused_for_good:
        raise ConfigurationFault(
            f"legs: {market.venue} refuses a client order id only while its order is open, so an "
            "order with a lost answer could fill twice; take legs at other venues"
        )
    await ports.ledger.remember_instrument(instrument)
    return Listed(market=market, venue=venue, instrument=instrument)


def _may_lock(ports: ActivityPorts, plan: SetPlan, legs: Iterable[Leg]) -> None:
    """A scope without a cap grants nothing: it would be watched, and never traded."""
    places = [
        (leg.market.venue, leg.market.account, currency)
        for leg in legs
        for currency in _given(plan.kind, leg.instrument)
    ]
    lacking = scopes_without(ports.cap_rules, plan.name, places)
    if lacking:
        raise ConfigurationFault(
            f"caps: nobody said how much may be locked; add {', '.join(lacking)} to "
            "FLOTILLA_ARBITRAGE_CAPS of every worker"
        )


def _given(kind: SetKind, instrument: Instrument) -> Sequence[str]:
    """Currencies that orders of a leg need: a triangle is taken in both directions."""
    both = (instrument.quote, instrument.base)
    return both[:1] if kind is SetKind.OUTCOME_SET else both


# --- nobody else's -----------------------------------------------------------------------------


async def _nobody_elses(ports: ActivityPorts, request: OpenSetInput) -> None:
    plan = request.plan
    for market, owner in (await ports.holders.holders(plan.legs)).items():
        # Under this workflow id nobody else runs: an owner of ours is dead, and its lease ends.
        if not owner.startswith(f"{plan.workflow_id}/"):
            raise ConfigurationFault(
                f"legs: {market.path} is held by {owner}, who quotes, hedges or trades a set "
                "there; stop that first, or take another leg"
            )
    for market in plan.legs:
        if why := await why_a_sets(ports, market, but=plan.workflow_id):
            raise ConfigurationFault(f"legs: {why}")
        for beginning in request.rivals:
            if await runs(f"{beginning}{market.path}"):
                raise ConfigurationFault(
                    f"legs: {beginning}{market.path} runs, which could not be stopped while the "
                    f"set has its market; stop it first with 'flotilla market stop {market.path}'"
                )


async def _same_legs(ports: ActivityPorts, plan: SetPlan) -> None:
    """A name is that of its legs for good: what trades of it hold and owe is told by these."""
    runs_before = await ports.trades.earlier(plan.name, below=_ANY_EPOCH, since_ms=0)
    others = {leg.market for run in runs_before for leg in run.legs} - set(plan.legs)
    if others:
        paths = ", ".join(sorted(market.path for market in others))
        raise ConfigurationFault(
            f"name: {plan.name} had other legs before ({paths}), and its record is theirs; "
            "give this set another name"
        )


# --- positions ---------------------------------------------------------------------------------


async def _explained(ports: ActivityPorts, plan: SetPlan, legs: Sequence[Listed]) -> str:
    """Positions that the set's trades explain; every other one is somebody's, and is refused.

    Of a triangle nothing is asked: its pairs leave balances, and its rounds are told by trade.
    """
    if plan.kind is not SetKind.OUTCOME_SET:
        return ""
    trades = await ports.trades.recent(_TRADES_LOOKED_AT, plan.name)
    most = _bought(trade for trade in trades if trade.stage is not TradeStage.SETTLED)
    held = []
    for leg in legs:
        position = await _position(ports, leg)
        if not 0 <= position <= most[leg.market]:
            raise ConfigurationFault(
                f"legs: {leg.market.path} holds {position} lots and the trades of {plan.name} on "
                f"record explain at most {most[leg.market]}; trade it away there first "
                f"('flotilla market flatten {leg.market.path} --by NAME')"
            )
        if position:
            quantity: Decimal = leg.instrument.quantity(position)
            held.append(f"{quantity:f} of {leg.market.path}")
    return ", ".join(held)


def _bought(trades: Iterable[ArbitrageTrade]) -> Counter[MarketId]:
    """Lots that trades meant to buy, by market: what is completed never goes beyond them."""
    most: Counter[MarketId] = Counter()
    for trade in trades:
        for leg in trade.fired.legs:
            if leg.side is Side.BUY:
                most[leg.market] += leg.lots
    return most


async def _position(ports: ActivityPorts, leg: Listed) -> Lots:
    books = await read_books(leg.market, leg.instrument, leg.venue, ports.ledger, ports.clock)
    if books.difference:
        raise ConfigurationFault(
            f"legs: books of {leg.market.path} are out of step: {books.difference}; compare them "
            "with 'flotilla reconcile' first"
        )
    return books.position
