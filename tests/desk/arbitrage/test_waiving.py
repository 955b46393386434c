"""A waiver only shrinks, and never takes a complete set apart."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.arbitrage.obligation import owed_by_outcomes
from desk.arbitrage.sets import Leg, OutcomeSet
from desk.arbitrage.waiving import lesser, within
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.units import Side

LOTS = st.integers(-40, 40)
PAIRS = st.tuples(LOTS, LOTS)


def _leg(name: str, lot: str) -> Leg:
    market = MarketId("ocx", "main", name)
    instrument = Instrument(
        venue="ocx", symbol=name, tick_size=Decimal("0.001"), lot_size=Decimal(lot)
    )
    return Leg(market=market, instrument=instrument, side=Side.BUY)


# A unit is one lot of the first leg and two of the other.
OUTCOMES = OutcomeSet(
    name="e", event="E", quote="USDC", legs=(_leg("UP", "1"), _leg("DOWN", "0.5"))
)


@pytest.mark.parametrize(
    ("held", "waived", "left"),
    [
        ((13, 20), (-3, 0), (-3, 0)),  # as it was over
        ((12, 20), (-3, 0), (-2, 0)),  # one of them was traded away by hand
        ((10, 20), (-3, 0), (0, 0)),  # all of them: nothing is bought back, no set is opened
        ((15, 20), (-3, 0), (-3, 0)),  # what came later is not waived
        ((13, 26), (-3, 0), (0, 0)),  # somebody completed them
        ((13, 24), (0, 2), (0, 0)),  # nothing is over that a purchase would take off
        ((-3, 0), (3, 0), (3, 0)),  # sold short by hand, and kept
        ((0, 0), (-3, 6), (0, 0)),
    ],
)
def test_a_waiver_is_cut_to_what_is_over_now(
    held: tuple[int, int], waived: tuple[int, int], left: tuple[int, int]
) -> None:
    assert within(OUTCOMES, held, waived) == left


@given(PAIRS, PAIRS)
def test_it_only_shrinks_and_leaves_every_complete_set_alone(
    held: tuple[int, int], waived: tuple[int, int]
) -> None:
    left = within(OUTCOMES, held, waived)
    assert all(
        abs(one) <= abs(most) and one * most >= 0 for one, most in zip(left, waived, strict=True)
    )
    kept = [lots + one for lots, one in zip(held, left, strict=True)]
    now, then = (owed_by_outcomes(OUTCOMES, lots, lots) for lots in (held, kept))
    assert then.complete == now.complete
    assert within(OUTCOMES, held, left) == left


@given(PAIRS, PAIRS)
def test_of_two_waivers_only_what_both_say_counts(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    both = lesser(one, other)
    assert both == lesser(other, one)
    assert all(
        abs(lots) <= min(abs(a), abs(b)) for lots, a, b in zip(both, one, other, strict=True)
    )
    assert lesser(one, one) == one
