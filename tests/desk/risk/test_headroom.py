"""Less equity or more held never allows more, and an alarm has one beginning and one end."""

from decimal import Decimal

from hypothesis import assume, given
from hypothesis import strategies as st

from desk.orders import Balance
from desk.risk.headroom import (
    HeadroomLimits,
    alarm,
    allowed_lots,
    maintenance_share,
    room,
    scale,
)

MONEY = st.decimals(-1_000_000, 1_000_000, places=2)
WORTH = st.decimals(0, 10_000_000, places=2)
FRACTION = st.decimals(Decimal("0.01"), 2, places=3)
LIMITS = HeadroomLimits(shrink_below=Decimal("0.4"), reduce_below=Decimal("0.2"))


def funds(equity: Decimal | int, **told: Decimal | None) -> Balance:
    return Balance(equity=Decimal(equity), available=Decimal(0), **told)


@st.composite
def limits(draw: st.DrawFn) -> HeadroomLimits:
    reduce = draw(FRACTION)
    return HeadroomLimits(shrink_below=reduce + draw(FRACTION), reduce_below=reduce)


@given(equity=MONEY, less=WORTH, exposure=WORTH, more=WORTH, given_limits=limits())
def test_sizes_never_grow_while_the_account_gets_worse(
    equity: Decimal, less: Decimal, exposure: Decimal, more: Decimal, given_limits: HeadroomLimits
) -> None:
    before = scale(funds(equity), exposure, given_limits)
    after = scale(funds(equity - less), exposure + more, given_limits)
    assert 0 <= after <= before <= 1
    space = room(funds(equity), exposure, given_limits)
    later = room(funds(equity - less), exposure + more, given_limits)
    assert space is not None
    assert later is not None
    assert 0 <= later <= space


@given(equity=MONEY, exposure=WORTH, given_limits=limits())
def test_full_size_far_away_and_nothing_at_the_limit(
    equity: Decimal, exposure: Decimal, given_limits: HeadroomLimits
) -> None:
    shrink, reduce = given_limits.shrink_below, given_limits.reduce_below
    assert shrink is not None
    assert reduce is not None
    found = scale(funds(equity), exposure, given_limits)
    if equity <= 0 or equity <= reduce * exposure:
        assert found == 0
    elif equity >= shrink * exposure:
        assert found == 1
    else:
        assert found <= (equity / exposure - reduce) / (shrink - reduce)


def test_a_straight_line_in_between() -> None:
    shares = [scale(funds(equity), Decimal(100), LIMITS) for equity in (19, 20, 25, 30, 35, 40)]
    assert shares == [Decimal(text) for text in ("0", "0", "0.25", "0.5", "0.75", "1")]


@given(equity=st.decimals(1, 10**6, places=2), exposure=WORTH, given_limits=limits())
def test_what_fills_the_room_leaves_the_fraction_at_its_limit(
    equity: Decimal, exposure: Decimal, given_limits: HeadroomLimits
) -> None:
    space = room(funds(equity), exposure, given_limits)
    reduce = given_limits.reduce_below
    assert space is not None
    assert reduce is not None
    assume(space > 0)
    assert abs(equity - reduce * (exposure + space)) < Decimal("0.01")


@given(
    lots=st.integers(1, 10**6),
    reducing=st.integers(0, 10**6),
    share=st.decimals(0, 1, places=2),
    most=st.none() | st.integers(-5, 10**6),
)
def test_what_only_reduces_is_never_made_smaller(
    lots: int, reducing: int, share: Decimal, most: int | None
) -> None:
    found = allowed_lots(lots, reducing, share, most)
    assert min(lots, reducing) <= found <= lots
    if most is not None:
        assert found - min(lots, reducing) <= max(0, most)


def test_nothing_is_asked_while_the_limits_are_off() -> None:
    assert scale(funds(-5), Decimal(100), HeadroomLimits()) == 1
    assert room(funds(-5), Decimal(100), HeadroomLimits()) is None


def test_limits_that_contradict_each_other_are_told() -> None:
    (said,) = HeadroomLimits(shrink_below=Decimal(1)).problems()
    assert said.startswith("reduce_below_margin: it is missing")
    (said,) = HeadroomLimits(shrink_below=Decimal(1), reduce_below=Decimal(2)).problems()
    assert said.startswith("shrink_below_margin: 1 is below reduce_below_margin 2")
    assert LIMITS.problems() == ()


def test_the_share_that_keeps_the_positions() -> None:
    assert maintenance_share(funds(100)) is None
    assert maintenance_share(funds(100, maintenance=Decimal(80))) == Decimal("0.8")
    assert maintenance_share(funds(0, maintenance=Decimal(1))) == 1
    assert maintenance_share(funds(-5, maintenance=Decimal(0))) == 0


def test_an_alarm_begins_at_its_limit_and_ends_well_beyond_it() -> None:
    near = HeadroomLimits(alarm_above_maintenance=Decimal("0.8"))

    def heard(required: str, *, sounding: bool) -> bool:
        told = funds(100, maintenance=Decimal(required))
        return bool(alarm(told, near, sounding=sounding))

    assert [heard(one, sounding=False) for one in ("79", "80")] == [False, True]
    assert [heard(one, sounding=True) for one in ("72", "71")] == [True, False]
    assert "80%" in alarm(funds(100, maintenance=Decimal(85)), near, sounding=False)


def test_the_alarm_on_the_fraction_needs_no_word_of_the_venue() -> None:
    near = HeadroomLimits(alarm_below=Decimal("0.1"))

    def heard(exposure: int | None, *, sounding: bool) -> bool:
        told = funds(100, exposure=None if exposure is None else Decimal(exposure))
        return bool(alarm(told, near, sounding=sounding))

    assert [heard(one, sounding=False) for one in (None, 0, 1_000, 1_001)] == [
        *(False, False),
        *(False, True),
    ]
    assert [heard(one, sounding=True) for one in (1_000, 909)] == [True, False]


@given(
    figures=st.lists(st.tuples(MONEY, WORTH, WORTH), max_size=30),
    above=st.none() | st.decimals(Decimal("0.1"), 1, places=2),
    below=st.none() | FRACTION,
)
def test_off_is_silent_and_on_is_never_less_alarmed_than_at_its_beginning(
    figures: list[tuple[Decimal, Decimal, Decimal]], above: Decimal | None, below: Decimal | None
) -> None:
    near = HeadroomLimits(alarm_above_maintenance=above, alarm_below=below)
    for equity, exposure, required in figures:
        told = funds(equity, exposure=exposure, maintenance=required)
        if above is None and below is None:
            assert not alarm(told, near, sounding=False)
        if alarm(told, near, sounding=False):
            assert alarm(told, near, sounding=True)
