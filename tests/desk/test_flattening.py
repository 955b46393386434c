"""How a position is traded to zero: always less, never past, never stuck on a cap of our own."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.flattening import (
    RUSHES,
    FlattenPhase,
    FlattenPlan,
    FlattenProgress,
    Regime,
    advanced,
    alarm_after_s,
    budget_bps,
    exit_limits,
    exit_lots,
    next_move,
    pause_s,
    regime_of,
    slice_goal,
    within_collar,
)
from desk.identity import Slot
from desk.instrument import Instrument
from desk.orders import Batch, NewOrder, TimeInForce
from desk.risk.approval import Approved
from desk.risk.gate import GateContext, GateLimits, review
from desk.risk.limits import RiskLimits
from desk.units import BPS, Side

PLAN = FlattenPlan(slices=5, maker_s=0)
INSTRUMENT = Instrument(
    venue="ocx", symbol="BTC-PERP", tick_size=Decimal("0.1"), lot_size=Decimal("0.001"), min_lots=10
)

positions = st.integers(-(10**6), 10**6).filter(bool)
plans = st.builds(
    FlattenPlan,
    slices=st.integers(1, 50),
    interval_s=st.integers(1, 600),
    maker_s=st.sampled_from([0, 3, 600]),
)
progresses = st.builds(
    FlattenProgress,
    remaining=positions,
    attempts=st.integers(0, 99),
    slices_done=st.integers(0, 60),
    goal=st.none() | st.integers(0, 10**6),
    maker_tried=st.booleans(),
    makers_off=st.booleans(),
    late=st.integers(0, 9),
    stuck=st.integers(0, 99),
)


@given(plan=plans, progress=progresses, seconds_left=st.integers(-100, 100))
def test_a_move_is_something_and_never_more_than_is_left(
    plan: FlattenPlan, progress: FlattenProgress, seconds_left: int
) -> None:
    move = next_move(plan, progress, seconds_left)
    assert 0 < move.lots <= abs(progress.remaining)
    assert (move.wait_s > 0) is (move.phase is FlattenPhase.MAKER)
    assert move.wait_s <= max(0, seconds_left)
    if seconds_left <= 0:
        assert move.lots == abs(progress.remaining), "what is left goes at once"


@given(plan=plans, position=positions, data=st.data())
def test_slices_that_fill_reach_zero_in_as_many_slices(
    plan: FlattenPlan, position: int, data: st.DataObject
) -> None:
    progress, moves = FlattenProgress(remaining=position), 0
    while progress.remaining:
        move = next_move(plan, progress, 1_000_000)
        moves += move.phase is not FlattenPhase.MAKER
        met = move.phase is not FlattenPhase.MAKER or data.draw(st.booleans())
        side = 1 if progress.remaining > 0 else -1
        after = progress.remaining - side * (move.lots if met else 0)
        progress = advanced(plan, progress, move, after, maker_refused=False)
        assert moves <= plan.slices
        assert progress.stuck == 0
    assert progress.slices_done <= plan.slices


@given(position=positions, filled=st.integers(0, 10**6))
def test_what_a_maker_left_of_its_slice_is_taken_next(position: int, filled: int) -> None:
    plan = replace(PLAN, maker_s=5)
    start = FlattenProgress(remaining=position)
    maker = next_move(plan, start, 100)
    assert maker.phase is FlattenPhase.MAKER
    part = min(filled, maker.lots)
    after = position - (part if position > 0 else -part)
    progress = advanced(plan, start, maker, after, maker_refused=False)
    if not after:
        return
    taker = next_move(plan, progress, 100)
    if part == maker.lots:
        assert taker.phase is FlattenPhase.MAKER, "the slice is done, the next one begins"
    else:
        assert taker.phase is FlattenPhase.TAKER
        assert taker.lots == maker.lots - part


def test_a_maker_the_venue_refuses_is_not_tried_again() -> None:
    plan = replace(PLAN, maker_s=5)
    start = FlattenProgress(remaining=100)
    progress = advanced(plan, start, next_move(plan, start, 100), 100, maker_refused=True)
    for _ in range(3):
        move = next_move(plan, progress, 100)
        assert move.phase is FlattenPhase.TAKER
        progress = advanced(plan, progress, move, progress.remaining - 1, maker_refused=False)


def test_a_slice_nobody_met_is_not_counted_as_done() -> None:
    progress = FlattenProgress(remaining=100)
    for _ in range(9):
        move = next_move(PLAN, progress, 100)
        assert move.lots == 20
        progress = advanced(PLAN, progress, move, 100, maker_refused=False)
    assert progress.stuck == 9


def test_after_the_deadline_it_rushes_and_then_closes_and_takes_in_turn() -> None:
    progress, phases = FlattenProgress(remaining=100), []
    for _ in range(RUSHES + 3):
        move = next_move(PLAN, progress, 0)
        phases.append((move.phase, move.by_venue))
        progress = advanced(PLAN, progress, move, 100, maker_refused=False)
    rush = (FlattenPhase.RUSH, False)
    by_venue, by_order = (FlattenPhase.CLOSE, True), (FlattenPhase.CLOSE, False)
    assert phases == [rush] * RUSHES + [by_venue, by_order, by_venue]


@given(progress=progresses)
def test_a_goal_lies_between_zero_and_what_is_left(progress: FlattenProgress) -> None:
    assert 0 <= slice_goal(PLAN, progress) < abs(progress.remaining)


@pytest.mark.parametrize(
    ("spread", "move", "elapsed", "regime"),
    [
        ("50", "0", "1", Regime.CALM),
        ("50.1", "0", "1", Regime.FAST),
        ("1", "10", "1", Regime.CALM),
        ("1", "10.1", "1", Regime.FAST),
        ("1", "10.1", "0.1", Regime.FAST),
        ("1", "30", "9", Regime.CALM),
        ("1", "30.1", "9", Regime.FAST),
    ],
)
def test_the_regime_is_of_spread_and_movement(
    spread: str, move: str, elapsed: str, regime: Regime
) -> None:
    assert regime is regime_of(
        spread_bps=Decimal(spread),
        move_bps=Decimal(move),
        elapsed_s=Decimal(elapsed),
        slippage_bps=Decimal(100),
    )


@pytest.mark.parametrize(
    ("phase", "regime", "budget"),
    [
        (FlattenPhase.MAKER, Regime.FAST, 0),
        (FlattenPhase.TAKER, Regime.CALM, 100),
        (FlattenPhase.TAKER, Regime.FAST, 200),
        (FlattenPhase.RUSH, Regime.CALM, 200),
        (FlattenPhase.CLOSE, Regime.CALM, None),
    ],
)
def test_the_budget_is_of_phase_and_regime(
    phase: FlattenPhase, regime: Regime, budget: int | None
) -> None:
    given_bps = budget_bps(phase, regime, slippage_bps=Decimal(100), fast_slippage_bps=Decimal(200))
    assert given_bps == budget


@given(
    mid_x2=st.integers(2_000, 2_000_000),
    slippage=st.integers(0, 9_000),
    collar=st.integers(1, 5_000),
    notional=st.integers(1, 10_000),
    quantity=st.none() | st.decimals("0.001", "10", places=3),
    wanted=st.integers(1, 10**6),
    position=positions,
)
def test_an_exit_always_passes_the_gate(
    mid_x2: int,
    slippage: int,
    collar: int,
    notional: int,
    quantity: Decimal | None,
    wanted: int,
    position: int,
) -> None:
    given_limits = RiskLimits(
        max_order_notional=Decimal(notional),
        max_order_quantity=quantity,
        collar_bps=Decimal(collar),
    )
    side = Side.SELL if position > 0 else Side.BUY
    far = mid_x2 // 2 * (BPS + side.sign * slippage) // BPS
    price = within_collar(int(far), side, mid_x2, GateLimits.of(INSTRUMENT, given_limits))
    limits = GateLimits.of(INSTRUMENT, exit_limits(given_limits, INSTRUMENT, price))
    lots = exit_lots(min(wanted, abs(position)), position, price, limits)
    order = NewOrder(
        client_order_id="x",
        slot=Slot(side, 0),
        side=side,
        price=price,
        lots=lots,
        time_in_force=TimeInForce.IOC,
        post_only=False,
        reduce_only=True,
    )
    context = GateContext(
        limits=limits,
        mid_x2=mid_x2,
        book_age_ns=None,
        account_age_ns=None,
        position=position,
        working=(),
        orders_last_minute=0,
    )
    batch = Batch(batch_id="x", symbol=INSTRUMENT.symbol, orders=(order,))
    verdict = review(batch, context)
    collar_has_room = mid_x2 * collar >= 10_000
    if collar_has_room:
        assert isinstance(verdict, Approved), verdict
    assert 0 < lots <= abs(position)
    caps = GateLimits.of(INSTRUMENT, given_limits)
    assert lots * price <= caps.order_notional or lots <= INSTRUMENT.min_lots
    if side is Side.SELL:
        assert price >= int(far)
    else:
        assert price <= int(far)


def test_no_remainder_below_the_venues_minimum_is_left() -> None:
    limits = GateLimits.of(INSTRUMENT, RiskLimits())
    assert exit_lots(6, 15, 1_000, limits) == 15
    assert exit_lots(6, 25, 1_000, limits) == 10
    assert exit_lots(3, 4, 1_000, limits) == 4


def test_pauses_and_alarms_grow_to_a_bound() -> None:
    assert [pause_s(1, stuck) for stuck in (0, 1, 5, 6, 50)] == [1, 2, 32, 60, 60]
    assert [alarm_after_s(alarms) for alarms in (0, 1, 2, 7, 50)] == [30, 60, 120, 3_600, 3_600]
