"""A trade before it leaves: what it claims, its orders, and what goes on record of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from desk.arbitrage.verdicts import Aim, Opportunity, PlannedLeg
from desk.arbitrage_ports import Claim, ClaimedRequests, ClaimedSize
from desk.arbitrage_records import FiredLeg, HeldCapital, TradeFired, TradeKey
from desk.identity import MarketId, OrderIdentity, Slot
from desk.orders import Batch, NewOrder, TimeInForce
from desk.risk.approval import Approved
from quoting.arbitrage.leg import LiveLeg
from quoting.arbitrage.report import RunOrder

FIRED_CYCLE: Final = 1
"""Cycle in the ids of the orders that fire; what is sent to hedge them counts on from here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One trade, approved and not sent. `legs` and `batches` are in the order of the chance's."""

    key: TradeKey
    chance: Opportunity
    claim: Claim
    legs: tuple[LiveLeg, ...]
    batches: tuple[Approved[Batch], ...]


def claim_of(
    key: TradeKey,
    chance: Opportunity,
    legs: Mapping[MarketId, LiveLeg],
    *,
    owner: str,
    ttl_ms: int,
) -> Claim:
    """What the trade needs: displayed size, capital, and one request for each leg."""
    buckets = Counter(
        purse.bucket for one in chance.legs if (purse := legs[one.market].venue.purse) is not None
    )
    return Claim(
        key=key,
        owner=owner,
        sizes=tuple(
            ClaimedSize(market=one.market, side=one.side, shown=one.shown, lots=one.lots)
            for one in chance.legs
        ),
        capital=capital_of(chance, legs),
        requests=tuple(ClaimedRequests(bucket=name, count=buckets[name]) for name in buckets),
        ttl_ms=ttl_ms,
    )


def capital_of(chance: Opportunity, legs: Mapping[MarketId, LiveLeg]) -> tuple[HeldCapital, ...]:
    """What filled legs cost, by account and currency; a triangle gives three currencies.

    Selling what is held costs nothing. It may have to be bought back, so what a half-filled sale
    could lose is held, at least the worth of a lot.
    """
    held: dict[tuple[str, str, str], Decimal] = {}
    for one in chance.legs:
        if one.locks > 0:
            place = (one.market.venue, one.market.account, one.currency)
            held[place] = held.get(place, Decimal(0)) + one.locks
    if not held:
        first = chance.legs[0]
        least = legs[first.market].instrument.notional(first.limit, 1)
        place = (first.market.venue, first.market.account, chance.currency)
        held[place] = max(chance.exposure, least)
    return tuple(
        HeldCapital(venue=venue, account=account, quote=quote, amount=amount)
        for (venue, account, quote), amount in held.items()
    )


def batch_of(leg: LiveLeg, planned: PlannedLeg, aim: Aim) -> Batch:
    """One leg's order: immediate-or-cancel, reduce-only where held sets are sold.

    One leg of a set sold alone adds risk, so none leaves later than the others.
    """
    slot, selling = Slot(planned.side, 0), aim is Aim.UNWIND
    identity = OrderIdentity(
        tag=leg.market.tag, epoch=leg.epoch, cycle=FIRED_CYCLE, slot=slot, exit=selling
    )
    order = NewOrder(
        client_order_id=identity.encode(),
        slot=slot,
        side=planned.side,
        price=planned.limit,
        lots=planned.lots,
        time_in_force=TimeInForce.IOC,
        post_only=False,
        reduce_only=selling,
    )
    symbol = leg.instrument.symbol
    return Batch(batch_id=order.client_order_id, symbol=symbol, orders=(order,), at_once=True)


def fits(chance: Opportunity, claimed: Claim, capital: Sequence[HeldCapital]) -> str:
    """Why a chance looked at again is more than was claimed; empty when it is not."""
    most = {(size.market, size.side): size.lots for size in claimed.sizes}
    for one in chance.legs:
        if one.lots > most.get((one.market, one.side), 0):
            return f"{one.market.path} would take more than was claimed"
    held = {(one.venue, one.account, one.quote): one.amount for one in claimed.capital}
    for part in capital:
        if part.amount > held.get((part.venue, part.account, part.quote), Decimal(0)):
            return f"{part.venue}/{part.account} would need more {part.quote} than was claimed"
    return ""


def fired_of(shot: Shot, order: RunOrder, fired_at_ms: int) -> TradeFired:
    """The record of a trade, as it leaves."""
    chance = shot.chance
    takes_outcomes = chance.aim is Aim.TAKE and not chance.way
    payout = chance.units * (1 - order.rules.settlement_cost)
    return TradeFired(
        key=shot.key,
        quote=chance.currency,
        units=chance.units,
        legs=tuple(
            FiredLeg(
                market=leg.market,
                side=planned.side,
                lots=planned.lots,
                limit=planned.limit,
                client_order_id=approved.value.orders[0].client_order_id,
            )
            for leg, planned, approved in zip(shot.legs, chance.legs, shot.batches, strict=True)
        ),
        capital=shot.claim.capital,
        edge_expected=chance.gain,
        payout_expected=payout if takes_outcomes else Decimal(0),
        by=order.owner,
        fired_at_ms=fired_at_ms,
    )
