"""How a position is traded to zero: which phase comes next, how much, how far, after what wait.

The one rule: a move is never larger than what was last seen left, and no order is ever too large or
too far for the gate: it is made smaller or nearer, so that a flatten is slow but never stuck.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from desk.instrument import Instrument
from desk.risk.context import GateLimits
from desk.risk.limits import RiskLimits
from desk.units import Lots, Side, Ticks

RUSHES = 3
"""Tries at all that is left, once the deadline has passed, before the last resort."""

_LONGEST_PAUSE_S = 60
_FIRST_ALARM_S, _LONGEST_ALARM_S = 30, 3_600
_SPREAD_SHARE = 2
_MOVE_SHARE = 10


class FlattenPhase(StrEnum):
    """How the next order tries to leave.

    A maker rests at our touch for a while; a taker takes one slice; a rush takes all that is left
    within the wider budget; a close asks the venue itself, or takes to the collar's edge.
    """

    MAKER = "maker"
    TAKER = "taker"
    RUSH = "rush"
    CLOSE = "close"


class Regime(StrEnum):
    """How the market is at a slice."""

    CALM = "calm"
    FAST = "fast"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlattenPlan:
    """How a position is to be left. Slippages are basis points from the best price taken."""

    slices: int = 5
    interval_s: int = 1
    maker_s: int = 0
    slippage_bps: Decimal = Decimal(100)
    fast_slippage_bps: Decimal = Decimal(200)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlattenProgress:
    """How far it has come. `remaining` are signed lots as last seen at the venue.

    `goal` is how many unsigned lots may be left when the current slice is done, None between
    slices. `stuck` counts moves in a row that took nothing away, `late` those after the deadline.
    """

    remaining: Lots
    attempts: int = 0
    slices_done: int = 0
    goal: Lots | None = None
    maker_tried: bool = False
    makers_off: bool = False
    late: int = 0
    stuck: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """The next order: unsigned lots, and for a maker how many seconds it may rest.

    `by_venue`: the venue is asked to close by itself, where it does that.
    """

    phase: FlattenPhase
    lots: Lots
    wait_s: int = 0
    by_venue: bool = False


def next_move(plan: FlattenPlan, progress: FlattenProgress, seconds_left: int) -> Move:
    """What to try next; `seconds_left` until the deadline may be negative."""
    size = abs(progress.remaining)
    if seconds_left <= 0:
        tries = progress.late - RUSHES
        if tries < 0:
            return Move(phase=FlattenPhase.RUSH, lots=size)
        # A venue whose close does not help must not keep us from taking.
        return Move(phase=FlattenPhase.CLOSE, lots=size, by_venue=tries % 2 == 0)
    lots = size - slice_goal(plan, progress)
    if plan.maker_s and not (progress.maker_tried or progress.makers_off):
        wait_s = min(plan.maker_s, seconds_left)
        return Move(phase=FlattenPhase.MAKER, lots=lots, wait_s=wait_s)
    return Move(phase=FlattenPhase.TAKER, lots=lots)


def slice_goal(plan: FlattenPlan, progress: FlattenProgress) -> Lots:
    """Unsigned lots that may be left after the current slice: slices are equal, rounded up."""
    size = abs(progress.remaining)
    if progress.goal is not None and progress.goal < size:
        return progress.goal
    left = max(1, plan.slices - progress.slices_done)
    return size + (-size // left)


def advanced(
    plan: FlattenPlan, progress: FlattenProgress, move: Move, after: Lots, *, maker_refused: bool
) -> FlattenProgress:
    """The progress after a move, with so many signed lots seen left.

    `maker_refused`: the venue takes no such resting order, so none is tried any more.
    """
    goal = slice_goal(plan, progress)
    moved = abs(after) < abs(progress.remaining)
    maker = move.phase is FlattenPhase.MAKER
    done = abs(after) <= goal or (moved and not maker)
    return FlattenProgress(
        remaining=after,
        attempts=progress.attempts + 1,
        slices_done=progress.slices_done + done,
        goal=None if done else goal,
        maker_tried=(maker or progress.maker_tried) and not done,
        makers_off=progress.makers_off or maker_refused,
        late=progress.late + (move.phase in {FlattenPhase.RUSH, FlattenPhase.CLOSE}),
        # A maker that nobody met is no sign that the venue does not let us out.
        stuck=0 if moved else progress.stuck + (not maker),
    )


def regime_of(
    *, spread_bps: Decimal, move_bps: Decimal, elapsed_s: Decimal, slippage_bps: Decimal
) -> Regime:
    """Fast when the spread is above half the calm slippage, or the mid moved too far.

    Too far is more than a tenth of the calm slippage times the root of the seconds since it was
    last seen (at least one): 10 bps in a second and 30 bps in nine, where the slippage is 100.
    """
    if spread_bps * _SPREAD_SHARE > slippage_bps:
        return Regime.FAST
    allowed = slippage_bps * slippage_bps * max(Decimal(1), elapsed_s)
    return Regime.FAST if (move_bps * _MOVE_SHARE) ** 2 > allowed else Regime.CALM


def budget_bps(
    phase: FlattenPhase, regime: Regime, *, slippage_bps: Decimal, fast_slippage_bps: Decimal
) -> Decimal | None:
    """How far beyond the best price an order may take; None: as far as the collar lets it."""
    match phase:
        case FlattenPhase.MAKER:
            return Decimal(0)
        case FlattenPhase.CLOSE:
            return None
        case FlattenPhase.RUSH:
            return max(slippage_bps, fast_slippage_bps)
        case FlattenPhase.TAKER:
            fast = max(slippage_bps, fast_slippage_bps)
            return fast if regime is Regime.FAST else slippage_bps


def within_collar(price: Ticks, side: Side, mid_x2: Ticks, limits: GateLimits) -> Ticks:
    """The price, brought back to the collar's edge where it lies beyond it."""
    numerator, denominator = limits.collar
    reach = mid_x2 * numerator // denominator
    if side is Side.SELL:
        return max(price, -((reach - mid_x2) // 2))
    return min(price, (mid_x2 + reach) // 2)


def exit_limits(limits: RiskLimits, instrument: Instrument, price: Ticks) -> RiskLimits:
    """The caps on one order, but never below the smallest order the venue takes at all."""
    least = max(1, instrument.min_lots)
    quantity = limits.max_order_quantity
    return replace(
        limits,
        max_order_notional=max(limits.max_order_notional, instrument.notional(price, least)),
        max_order_quantity=None if quantity is None else max(quantity, instrument.quantity(least)),
    )


def exit_lots(wanted: Lots, position: Lots, price: Ticks, limits: GateLimits) -> Lots:
    """Unsigned lots of the next order: as wanted, cut to the caps, never more than the position.

    Not below the venue's minimum, and no remainder below it is left behind, where the position and
    the caps allow that.
    """
    size, least = abs(position), max(1, limits.instrument.min_lots)
    most = limits.order_notional // max(1, price)
    if limits.order_lots is not None:
        most = min(most, limits.order_lots)
    lots = min(size, max(wanted, least))
    if 0 < size - lots < least:
        lots = size
    return min(lots, most)


def pause_s(interval_s: int, stuck: int) -> int:
    """Seconds before the next move: ever longer while nothing is taken away, at most a minute."""
    return min(_LONGEST_PAUSE_S, interval_s << min(stuck, 6))


def alarm_after_s(alarms: int) -> int:
    """Seconds without progress before the next alarm: 30, 60, 120 … at most an hour."""
    return min(_LONGEST_ALARM_S, _FIRST_ALARM_S << min(alarms, 7))
