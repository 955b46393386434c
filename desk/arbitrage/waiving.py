"""What is left of a waiver: a named decision covers what was over then, and nothing later.

The rule: a waiver only shrinks, so that lots a person traded away by hand are not bought back, and
no complete set is taken apart for them.
"""

from collections.abc import Sequence

from desk.arbitrage.obligation import owed_by_outcomes
from desk.arbitrage.sets import OutcomeSet
from desk.units import Lots


def within(outcomes: OutcomeSet, held: Sequence[Lots], waived: Sequence[Lots]) -> tuple[Lots, ...]:
    """Each leg's waiver, cut to the trade that would take off what is over of that leg by `held`.

    All signed lots, in the order of the set's legs.
    """
    back = owed_by_outcomes(outcomes, held, held).back
    return tuple(_less(one, most) for one, most in zip(waived, back, strict=True))


def lesser(one: Sequence[Lots], other: Sequence[Lots]) -> tuple[Lots, ...]:
    """What two waivers of the same legs both say; a leg they are at odds about is not waived."""
    return tuple(_less(mine, theirs) for mine, theirs in zip(one, other, strict=True))


def _less(one: Lots, most: Lots) -> Lots:
    """As much of it as goes the same way, and no further."""
    return min(one, max(0, most)) if one > 0 else max(one, min(0, most))
