"""What a hedge owes: never the wrong way, never back and forth, never what a venue would refuse."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.hedging import (
    HedgePart,
    HedgeReceipt,
    HedgeRule,
    TooSmall,
    least_lots,
    next_part,
    weigh,
)
from desk.instrument import Instrument

LOT = Decimal("0.01")
PRICE = 1_000
INSTRUMENT = Instrument(
    venue="ocx", symbol="ETH-PERP", tick_size=Decimal("0.1"), lot_size=LOT, min_lots=1
)
RULE = HedgeRule(threshold=Decimal(2), release=Decimal("0.5"))

instruments = st.builds(
    Instrument,
    venue=st.just("ocx"),
    symbol=st.just("ETH-PERP"),
    tick_size=st.just(Decimal("0.1")),
    lot_size=st.sampled_from([Decimal(1), LOT, Decimal("0.003")]),
    min_lots=st.integers(1, 50),
    min_notional=st.decimals(0, 500, places=2),
)
quantities = st.decimals(-500, 500, places=3)


@st.composite
def rules(draw: st.DrawFn) -> HedgeRule:
    threshold = draw(st.decimals("0.01", 100, places=2))
    return HedgeRule(
        threshold=threshold,
        release=threshold * draw(st.decimals(0, "0.99", places=2)),
        ratio=draw(st.decimals("0.1", 3, places=1)),
    )


lots = st.integers(-10_000, 10_000)


@pytest.mark.parametrize(
    ("source", "position", "owing", "owed"),
    [
        ("1.99", 0, False, 0),  # the threshold is not reached
        ("2", 0, False, -200),
        ("-2", 0, False, 200),
        ("3.456", 0, False, -345),  # never more than a whole lot of it
        ("3", -200, False, 0),  # within the band of what stands
        ("3", -200, True, -100),  # an open obligation is worked off to the last lot
        ("3.5", -200, False, -150),
        ("1", -200, True, 100),  # between: it may only shrink
        ("1", -50, True, 0),
        ("1", -200, False, 0),
        ("0.5", -200, False, 200),  # at release it is taken off
        ("0.5", -3, False, 3),
        ("0", 0, False, 0),
        ("2", 40, False, -240),  # a position the wrong way counts in full
    ],
)
def test_what_is_owed(source: str, position: int, owing: bool, owed: int) -> None:
    need = weigh(RULE, INSTRUMENT, Decimal(source), position, owing=owing)
    assert need.owed == owed
    assert need.target == position + owed


def test_the_ratio_scales_the_hedge() -> None:
    rule = HedgeRule(threshold=Decimal(1), release=Decimal(0), ratio=Decimal("2.5"))
    assert weigh(rule, INSTRUMENT, Decimal(2), 0, owing=False).owed == -500


@given(rules(), instruments, quantities, lots, st.booleans())
def test_a_hedge_that_was_traded_owes_nothing_more(
    rule: HedgeRule, instrument: Instrument, source: Decimal, position: int, owing: bool
) -> None:
    target = weigh(rule, instrument, source, position, owing=owing).target
    assert weigh(rule, instrument, source, target, owing=False).owed == 0
    if owing:
        assert weigh(rule, instrument, source, target, owing=True).owed == 0


@given(rules(), instruments, quantities, lots, st.booleans(), lots)
def test_exposure_never_grows_and_never_changes_its_sign(
    rule: HedgeRule,
    instrument: Instrument,
    source: Decimal,
    position: int,
    owing: bool,
    waived: int,
) -> None:
    need = weigh(rule, instrument, source, position, owing=owing, waived=waived)
    if abs(source) <= rule.release:
        assert need.target == 0 or abs(need.target) <= abs(position)
        return
    before = source * rule.ratio + instrument.quantity(position)
    after = source * rule.ratio + instrument.quantity(need.target)
    if need.owed:
        assert abs(after) < abs(before) or abs(after) <= instrument.lot_size
    assert before * after >= 0 or abs(after) <= instrument.lot_size


@given(
    rules(),
    instruments,
    st.sampled_from([-1, 1]),
    st.decimals(0, 100, places=3),
    st.decimals(-1, 1, places=3),
)
def test_inside_the_band_nothing_flips_back_and_forth(
    rule: HedgeRule, instrument: Instrument, sign: int, over: Decimal, share: Decimal
) -> None:
    source = sign * (rule.threshold + over)
    room = rule.threshold - rule.release - 2 * instrument.lot_size / rule.ratio
    other = source - sign * share * max(room, Decimal(0))
    hedged = weigh(rule, instrument, source, 0, owing=True).target
    assert weigh(rule, instrument, other, hedged, owing=False).owed == 0


@given(rules(), instruments, quantities, lots)
def test_a_waiver_ends_what_is_owed_and_nothing_else(
    rule: HedgeRule, instrument: Instrument, source: Decimal, position: int
) -> None:
    need = weigh(rule, instrument, source, position, owing=True)
    waived = weigh(rule, instrument, source, position, owing=False, waived=need.owed)
    if abs(source) > rule.release:
        assert (waived.owed, waived.waived) == (0, need.owed)
    else:
        assert (waived.owed, waived.waived) == (need.owed, 0), "taking a hedge off is never waived"


@given(rules(), instruments, quantities, quantities, lots, lots)
def test_a_waiver_only_shrinks(
    rule: HedgeRule,
    instrument: Instrument,
    source: Decimal,
    later: Decimal,
    position: int,
    waived: int,
) -> None:
    first = weigh(rule, instrument, source, position, owing=False, waived=waived).waived
    assert abs(first) <= abs(waived)
    assert first * waived >= 0
    second = weigh(rule, instrument, later, position, owing=False, waived=first).waived
    assert abs(second) <= abs(first)


@given(instruments, lots, lots.filter(bool), st.integers(1, 10_000), st.decimals(1, 10_000))
def test_a_part_is_something_the_venue_takes(
    instrument: Instrument, position: int, owed: int, price: int, notional: Decimal
) -> None:
    part = next_part(instrument, position=position, owed=owed, price=price, slice_notional=notional)
    least = least_lots(instrument, price)
    reducing = position * owed < 0
    if isinstance(part, TooSmall):
        assert abs(part.lots) < least == part.least
        assert abs(part.lots) <= abs(owed)
        return
    assert part.lots * owed > 0
    assert abs(part.lots) <= abs(owed)
    assert part.reduce_only is reducing
    if reducing:
        assert abs(part.lots) <= abs(position), "a part never passes through zero"
    assert abs(part.lots) >= least or (reducing and part.lots == -position)


@given(instruments, lots, lots.filter(bool), st.integers(1, 10_000), st.decimals(1, 10_000))
def test_parts_lead_to_the_target_and_stop_only_below_the_minimum(
    instrument: Instrument, position: int, owed: int, price: int, notional: Decimal
) -> None:
    began, target, stopped = position, position + owed, False
    while position != target and not stopped:
        part = next_part(
            instrument,
            position=position,
            owed=target - position,
            price=price,
            slice_notional=max(notional, instrument.notional(price, abs(owed)) / 20),
        )
        stopped = isinstance(part, TooSmall)
        position += part.lots if isinstance(part, HedgePart) else 0
    if stopped:
        # Only the first part, or the first beyond zero: no part leaves such a rest behind.
        assert position in {began, 0}
        assert 0 < abs(target - position) < least_lots(instrument, price)


def test_what_passes_through_zero_is_split_there() -> None:
    crossing = {"owed": -500, "price": PRICE, "slice_notional": Decimal(10_000)}
    first = next_part(INSTRUMENT, position=200, **crossing)  # type: ignore[arg-type]
    assert first == HedgePart(lots=-200, reduce_only=True)
    rest = {**crossing, "owed": -300}
    assert next_part(INSTRUMENT, position=0, **rest) == HedgePart(lots=-300, reduce_only=False)  # type: ignore[arg-type]


def test_a_slice_leaves_no_rest_below_the_minimum() -> None:
    instrument = Instrument(
        venue="ocx", symbol="E", tick_size=Decimal(1), lot_size=Decimal(1), min_lots=10
    )
    part = next_part(instrument, position=0, owed=25, price=1, slice_notional=Decimal(20))
    assert part == HedgePart(lots=25, reduce_only=False)
    small = next_part(instrument, position=0, owed=9, price=1, slice_notional=Decimal(20))
    assert isinstance(small, TooSmall)
    assert small.sentence == "9 lots are below the venue's minimum of 10; nothing is sent yet"
    closing = next_part(instrument, position=-9, owed=9, price=1, slice_notional=Decimal(20))
    assert closing == HedgePart(lots=9, reduce_only=True)
    nibble = next_part(instrument, position=-50, owed=9, price=1, slice_notional=Decimal(20))
    assert isinstance(nibble, TooSmall), "a reducing order that does not close needs the minimum"


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        (HedgeRule(threshold=Decimal(0), release=Decimal(0)), "threshold: 0 is not above zero"),
        (HedgeRule(threshold=Decimal(1), release=Decimal(1)), "release: 1 is not from zero"),
        (HedgeRule(threshold=Decimal(1), release=Decimal(-1)), "release: -1"),
        (
            HedgeRule(threshold=Decimal(1), release=Decimal(0), ratio=Decimal(0)),
            "ratio: 0 is not above zero",
        ),
    ],
)
def test_contradictions_are_sentences(rule: HedgeRule, word: str) -> None:
    assert any(sentence.startswith(word) for sentence in rule.problems())
    assert RULE.problems() == ()


@given(lots, lots.filter(bool), lots)
def test_a_receipt_is_shown_by_the_books_from_what_was_filled_on(
    position: int, filled: int, further: int
) -> None:
    receipt = HedgeReceipt(position=position, filled=filled)
    more = abs(further) if filled > 0 else -abs(further)
    assert receipt.shown_at(position + filled + more)
    short = 1 + abs(further)
    assert not receipt.shown_at(position + filled + (-short if filled > 0 else short))
    assert f"{filled} lots" in receipt.sentence(position)
