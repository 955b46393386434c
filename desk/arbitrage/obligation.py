"""What a set owes: a fold of the fills booked for its legs, and of nothing else.

Complete sets are no exposure; any excess over them is owed. What a venue answered to an order or
to a cancel does not come in here: only what is in the ledger does, so asking again after a fill
was booked gives what is left, never the same twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from desk.arbitrage.sets import OutcomeSet, Triangle
from desk.arbitrage.values import decimal
from desk.arbitrage.weights import Steps
from desk.units import Lots


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """Signed lots of each leg, in the order of the legs.

    `excess` is held beyond complete sets. `back` are the trades that take it off, `forward` those
    that make it complete instead (None where the plan has no room for that); both are zero
    everywhere when nothing is owed. `complete` is how much is complete: base units of each outcome,
    or the share of the plan that went round. `further` is what `forward` completes beyond that.
    """

    complete: Decimal
    excess: tuple[Lots, ...]
    back: tuple[Lots, ...]
    forward: tuple[Lots, ...] | None
    further: Decimal

    @property
    def owes(self) -> bool:
        """Whether anything is owed."""
        return any(self.excess)


def owed_by_outcomes(outcomes: OutcomeSet, held: Sequence[Lots], planned: Sequence[Lots]) -> Owed:
    """What an outcome set owes, given the signed lots held of each leg by the ledger.

    `planned` are the lots each leg should hold in the end: nothing is completed beyond them.
    """
    steps = Steps.of(outcomes)
    shares = [Fraction(lots, step) for lots, step in zip(held, steps.lots, strict=True)]
    room = min(have // step for have, step in zip(planned, steps.lots, strict=True))
    whole = max(0, int(min(shares) // 1))
    full = max(whole, min(-int(-max(shares) // 1), room))

    def trades(level: int) -> tuple[Lots, ...]:
        return tuple(level * step - lots for lots, step in zip(held, steps.lots, strict=True))

    back = trades(whole)
    return Owed(
        complete=steps.quantity(whole),
        excess=tuple(-lots for lots in back),
        back=back,
        forward=trades(full) if full > whole else None,
        further=steps.quantity(full - whole),
    )


def owed_by_round(triangle: Triangle, filled: Sequence[Lots], planned: Sequence[Lots]) -> Owed:
    """What one round of a triangle owes, given the signed lots its fills moved each leg by.

    `planned` are the unsigned lots of each leg's order. Legs that went the same share of their
    plan are complete; what is less than a lot beyond that cannot be traded and is not owed.
    """
    signs = [leg.side.sign for leg in triangle.legs]
    done = [sign * lots for sign, lots in zip(signs, filled, strict=True)]
    shares = [Fraction(lots, plan) for lots, plan in zip(done, planned, strict=True)]
    low = max(Fraction(0), min(shares))
    # What the coarsest leg reaches of the fullest one's share, so that nobody overtakes that one.
    high = min(Fraction(1), max(shares))
    reached = min(Fraction(int(high * plan // 1), plan) for plan in planned)

    def trades(share: Fraction) -> tuple[Lots, ...]:
        """To between the lots below and above the share, by the fewest lots."""
        found = []
        for sign, lots, plan in zip(signs, done, planned, strict=True):
            above = -int(-share * plan // 1)
            found.append(sign * (above - lots) if lots > above or lots < share * plan else 0)
        return tuple(found)

    back = trades(low)
    return Owed(
        complete=decimal(low),
        excess=tuple(-lots for lots in back),
        back=back,
        forward=trades(reached) if any(back) and reached > low else None,
        further=decimal(max(Fraction(0), reached - low)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """Fills of one leg added up: signed lots, and the quote currency they brought (paid: below 0).

    Fees are in the cash.
    """

    lots: Lots
    cash: Decimal


def exposure_by_currency(triangle: Triangle, booked: Sequence[Booked]) -> dict[str, Decimal]:
    """What the fills of a round left in each currency; in the start it is what the round brought.

    Anything in the other two is exposure, dust of rounding included.
    """
    left = dict.fromkeys(triangle.currencies, Decimal(0))
    for leg, one in zip(triangle.legs, booked, strict=True):
        left[leg.instrument.base] += leg.instrument.lot_size * one.lots
        left[leg.instrument.quote] += one.cash
    return left
