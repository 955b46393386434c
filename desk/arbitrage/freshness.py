"""Whether the legs' books show one moment: their ages, and the skew between them.

A price seen on one leg and an older one on another make edges that nobody can take. The one rule:
what cannot be known to be of one moment makes the size smaller, down to nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from desk.arbitrage.rules import ArbitrageRules
from desk.arbitrage.sets import Leg
from desk.arbitrage.verdicts import PassReason
from desk.book import Book
from desk.units import NS_PER_MS

WHOLE = Fraction(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LegBook:
    """A leg's book, and when it was last heard to be as it is (monotonic, at our end).

    A heartbeat on the book's own stream says that nothing changed; without one it is when the book
    changed.
    """

    book: Book
    heard_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """How near in time the legs are: nanoseconds between them, and the share of a size to take."""

    skew_ns: int
    share: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """Why the books may not be used."""

    reason: PassReason
    sentence: str


def moment(
    legs: Sequence[Leg],
    books: Sequence[LegBook],
    rules: ArbitrageRules,
    now_ns: int,
    offsets_ns: Mapping[str, int],
) -> Moment | Unfit:
    """How near the legs' books are to each other, or what is wrong with them.

    `offsets_ns` says of a venue how much later than the event its books are stamped here: the
    difference of clocks where its own time is used, its delay where that is known. Up to half of
    the allowed skew the whole size may be taken, from there on linearly less, at all of it none.
    """
    told = []
    for leg, one in zip(legs, books, strict=True):
        if not one.book.ready:
            return _stale(leg, "shows no book")
        offset = offsets_ns.get(leg.market.venue, 0)
        age_ns = now_ns - one.book.updated_ns + offset
        if age_ns > rules.max_age_ms * NS_PER_MS:
            return _stale(leg, f"has not changed for {age_ns // NS_PER_MS} ms")
        heard_ns = max(one.heard_ns, one.book.updated_ns) - offset
        if heard_ns - now_ns > rules.max_skew_ms * NS_PER_MS:
            return _stale(leg, f"is {(heard_ns - now_ns) // NS_PER_MS} ms ahead of our clock")
        told.append(heard_ns)
    skew_ns = max(told) - min(told)
    share = _share(skew_ns, rules.max_skew_ms * NS_PER_MS)
    if share <= 0:
        last = legs[told.index(min(told))].market.path
        return Unfit(
            reason=PassReason.SKEWED,
            sentence=f"{last} was heard {skew_ns // NS_PER_MS} ms before the newest leg; "
            f"{rules.max_skew_ms} ms or more is not one moment",
        )
    return Moment(skew_ns=skew_ns, share=share)


def _share(skew_ns: int, most_ns: int) -> Fraction:
    return min(WHOLE, 2 * (WHOLE - Fraction(skew_ns, most_ns)))


def _stale(leg: Leg, what: str) -> Unfit:
    return Unfit(
        reason=PassReason.STALE_LEG,
        sentence=f"{leg.market.path} {what}; a stale leg is no leg",
    )
