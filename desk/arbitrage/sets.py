"""Sets of legs whose prices are tied: outcomes of one event, or three pairs of three currencies.

The one rule: what is not certainly such a set is refused, in one sentence that names the leg.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from desk.identity import MarketId
from desk.instrument import Instrument, Settlement
from desk.units import Side

Member: TypeAlias = tuple[MarketId, Instrument]


class NotASet(ValueError):
    """Legs that are no set: one sentence that names the leg and what it lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One market of a set; `side` is what taking the set does there."""

    market: MarketId
    instrument: Instrument
    side: Side


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeSet:
    """Markets of which exactly one pays 1 `quote` per base unit: one unit of each pays exactly 1.

    Make one with `outcome_set`. All legs buy.
    """

    name: str
    event: str
    quote: str
    legs: tuple[Leg, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Triangle:
    """Three pairs traded in a circle, in the order of the legs, from `start` back to `start`.

    Make both directions with `triangles`. They have one name and are owned as one, for they use
    the same markets; `currencies` tells them apart: leg i turns the i-th into the next.
    """

    name: str
    currencies: tuple[str, str, str]
    legs: tuple[Leg, Leg, Leg]

    @property
    def start(self) -> str:
        """The currency a round begins and ends in; edge and gain are counted in it."""
        return self.currencies[0]

    @property
    def way(self) -> str:
        """The direction for people, such as `USDC>BTC>ETH`."""
        return ">".join(self.currencies)


def outcome_set(name: str, members: Sequence[Member]) -> OutcomeSet:
    """The set of these markets; NotASet unless their metadata says that exactly one pays.

    Markets may be at several venues, where these name the event alike: only a person who knows
    both can say so, and does by listing them.
    """
    _distinct(name, members)
    settlements = [_settlement(name, market, instrument) for market, instrument in members]
    event = settlements[0].event
    for (market, instrument), settlement in zip(members, settlements, strict=True):
        if settlement.event != event:
            raise NotASet(
                f"{name}: {market.path} settles event '{settlement.event}' and not '{event}'"
            )
        if settlement.outcomes != settlements[0].outcomes or settlement.outcomes != len(members):
            raise NotASet(
                f"{name}: {market.path} is one of {settlement.outcomes} outcomes, but "
                f"{len(members)} legs are given; every outcome is needed once"
            )
        if not instrument.quote or instrument.quote != members[0][1].quote:
            raise NotASet(
                f"{name}: {market.path} is quoted in '{instrument.quote}' and not in "
                f"'{members[0][1].quote}', or nobody says in what"
            )
    for outcome, count in Counter(one.outcome for one in settlements).items():
        if count > 1:
            raise NotASet(f"{name}: {count} legs are for the outcome '{outcome}'")
    legs = tuple(Leg(market=one, instrument=each, side=Side.BUY) for one, each in members)
    return OutcomeSet(name=name, event=event, quote=members[0][1].quote, legs=legs)


def triangles(
    name: str, members: Sequence[Member], start: str | None = None
) -> tuple[Triangle, Triangle]:
    """Both directions around three pairs; NotASet unless they join three currencies in a circle.

    `start` is the currency counted in; without one it is what most of the pairs are quoted in,
    the first by name where that is open.
    """
    if len(members) != 3:
        raise NotASet(f"{name}: {len(members)} pairs are given; a triangle has three")
    _distinct(name, members)
    for market, instrument in members:
        _tradable(name, market, instrument)
        if not instrument.base or not instrument.quote or instrument.base == instrument.quote:
            raise NotASet(
                f"{name}: {market.path} is not a pair of two known currencies "
                f"('{instrument.base}' and '{instrument.quote}')"
            )
        if instrument.settlement is not None:
            raise NotASet(
                f"{name}: {market.path} pays a fixed sum in the end; it exchanges no currencies"
            )
    joined = {frozenset((each.base, each.quote)) for _, each in members}
    known = sorted(frozenset[str]().union(*joined))
    if len(joined) != 3 or len(known) != 3:
        raise NotASet(
            f"{name}: the pairs join {', '.join(known)}; a triangle has three currencies, "
            "each in two pairs"
        )
    if start is None:
        quoted = Counter(each.quote for _, each in members)
        start = min(known, key=lambda currency: (-quoted[currency], currency))
    if start not in known:
        raise NotASet(f"{name}: no pair trades {start}; start from one of {', '.join(known)}")
    first, second = (one for one in known if one != start)
    return (
        _around(name, members, (start, first, second)),
        _around(name, members, (start, second, first)),
    )


def _around(name: str, members: Sequence[Member], currencies: tuple[str, str, str]) -> Triangle:
    first, second, third = currencies
    legs = (
        _exchange(members, first, second),
        _exchange(members, second, third),
        _exchange(members, third, first),
    )
    return Triangle(name=name, currencies=currencies, legs=legs)


def _exchange(members: Sequence[Member], given: str, wanted: str) -> Leg:
    for market, instrument in members:
        if {instrument.base, instrument.quote} == {given, wanted}:
            side = Side.BUY if instrument.base == wanted else Side.SELL
            return Leg(market=market, instrument=instrument, side=side)
    raise AssertionError(f"no pair of {given} and {wanted}")


def _distinct(name: str, members: Sequence[Member]) -> None:
    if len(members) < 2:
        raise NotASet(f"{name}: {len(members)} legs are given; a set has at least two")
    places = Counter((market.venue, market.symbol) for market, _ in members)
    for (venue, symbol), count in places.items():
        if count > 1:
            raise NotASet(f"{name}: {venue}/{symbol} is given {count} times")


def _settlement(name: str, market: MarketId, instrument: Instrument) -> Settlement:
    _tradable(name, market, instrument)
    settlement = instrument.settlement
    if settlement is None:
        raise NotASet(
            f"{name}: {market.path} carries no settlement identity, so nothing says that exactly "
            "one of the legs pays"
        )
    return settlement


def _tradable(name: str, market: MarketId, instrument: Instrument) -> None:
    if not instrument.active:
        raise NotASet(f"{name}: {market.path} is not active")
    if instrument.multiplier != Decimal(1):
        raise NotASet(
            f"{name}: a base unit of {market.path} is worth {instrument.multiplier} times its "
            "price; only a multiplier of 1 can be summed up"
        )
