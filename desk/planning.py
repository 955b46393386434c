"""Target against working orders: the fewest operations that bring the one to the other.

An order whose outcome is open is never touched; it blocks its slot, or an atomic ladder as a whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias

from desk.identity import OrderIdentity, Slot
from desk.orders import Batch, NewOrder
from desk.quoting.decide import TargetLevel
from desk.units import BPS, Side, Ticks
from desk.working import WorkingOrder, WorkingState

CycleIdentity: TypeAlias = tuple[str, int, int]
"""Market tag, epoch and cycle number."""

_Inside: TypeAlias = tuple[Ticks | None, Ticks | None]
"""Highest bid and lowest ask, None where there is none."""

# An enum member costs 50 ns to look up in Python 3.11, and a plan looks up dozens.
_BUY: Final = Side.BUY
_SELL: Final = Side.SELL
_RESTING: Final = WorkingState.RESTING
_CLOSED: Final = WorkingState.CLOSED
_OPEN = (
    WorkingState.UNRESOLVED,
    WorkingState.IN_FLIGHT,
    WorkingState.CANCELLING,
    WorkingState.SETTLING,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRules:
    """How a market's orders may be changed; venue abilities are those of its `Capabilities`.

    `tolerance_bps` is relative to the target price. `max_batch_orders` bounds new orders in a
    batch, not cancels. An atomic ladder longer than it is cut to its innermost levels.
    """

    symbol: str
    tolerance_bps: Decimal
    debounce_ns: int
    atomic_ladder: bool
    replaces_orders: bool
    max_batch_orders: int


class PlanReason(StrEnum):
    """Why there is a batch (first three), or why there is none."""

    REQUOTE = "requote"
    UNSAFE = "unsafe_quote"
    PULL = "pull_quotes"
    UNCHANGED = "unchanged"
    DEBOUNCED = "debounced"
    UNRESOLVED = "unresolved"
    IN_FLIGHT = "in_flight"
    CANCELLING = "cancelling"
    SETTLING = "settling"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to send now, if anything; `retry_at_ns` is when planning again would give more.

    No batch for an empty target with an open order in the reason means that planning cannot take
    the quotes down: ask the venue for a cancel-all.
    """

    batch: Batch | None
    reason: PlanReason
    retry_at_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Difference:
    """Levels to place, each with the resting order it stands in for, and orders to remove.

    `unsafe` holds the resting orders that must go even when their level cannot be placed now.
    """

    place: list[tuple[TargetLevel, WorkingOrder | None]]
    remove: list[WorkingOrder]
    unsafe: list[WorkingOrder]


def plan(
    target: Sequence[TargetLevel],
    working: Sequence[WorkingOrder],
    *,
    rules: PlanRules,
    identity: CycleIdentity,
    now_ns: int,
    last_sent_ns: int | None,
) -> Plan:
    """Least batch that makes `working` show `target` (at most one level a slot).

    A resting order is left alone while its price is within tolerance and what remains is at most
    120 % and at least 80 % of the target (50 % once it was partly filled, to keep its place in the
    queue). Requotes wait `debounce_ns` after `last_sent_ns` (None: nothing was sent). Two things do
    not wait: an empty target, and an unsafe quote, that is one on a side where we want to show
    nothing or one that meets the other side of the target.
    """
    if len(target) > rules.max_batch_orders and rules.atomic_ladder:
        target = sorted(target, key=_depth)[: rules.max_batch_orders]
    live = [order for order in working if order.state is not _CLOSED]
    blocked = _blocked(live)
    if blocked and rules.atomic_ladder:
        return Plan(batch=None, reason=_why(live))
    difference = _compare(target, live, blocked, rules.tolerance_bps)
    if blocked:
        difference = _hold_back(difference, live)
    if not (difference.place or difference.remove):
        return Plan(batch=None, reason=_why(live) if blocked else PlanReason.UNCHANGED)
    urgent = bool(difference.unsafe) or not target
    if not urgent and last_sent_ns is not None and now_ns < last_sent_ns + rules.debounce_ns:
        retry_at_ns = last_sent_ns + rules.debounce_ns
        return Plan(batch=None, reason=PlanReason.DEBOUNCED, retry_at_ns=retry_at_ns)
    reason = PlanReason.UNSAFE if urgent else PlanReason.REQUOTE
    if not target:
        reason = PlanReason.PULL
    stem = OrderIdentity.stem(*identity)
    if rules.atomic_ladder:
        orders = tuple([_order(level, stem, None) for level in target])
        return Plan(batch=_batch(orders, (), rules, stem), reason=reason)
    return _stepwise(difference, reason, rules, stem, now_ns)


def _key(slot: Slot) -> int:
    # Hashing a Slot costs more than the rest of a comparison.
    return 2 * slot.level + (slot.side is _BUY)


def _depth(level: TargetLevel) -> int:
    return level.slot.level


def _blocked(live: list[WorkingOrder]) -> set[int]:
    """Keys of slots that hold an order whose outcome is open."""
    return {_key(w.order.slot) for w in live if w.state is not _RESTING}


def _why(live: list[WorkingOrder]) -> PlanReason:
    """The gravest open state."""
    states = {working.state for working in live}
    return PlanReason(next(state for state in _OPEN if state in states).value)


def _compare(
    target: Sequence[TargetLevel],
    live: list[WorkingOrder],
    blocked: set[int],
    tolerance_bps: Decimal,
) -> _Difference:
    bids = [level.price for level in target if level.slot.side is _BUY]
    asks = [level.price for level in target if level.slot.side is _SELL]
    inside = _inside(bids, asks)
    wanted = {_key(level.slot): level for level in target}
    incumbents: dict[int, WorkingOrder] = {}
    remove: list[WorkingOrder] = []
    unsafe: list[WorkingOrder] = []
    for working in live:
        key = _key(working.order.slot)
        if working.state is not _RESTING:
            continue
        wrong = _unsafe(working.order, inside)
        if wrong:
            unsafe.append(working)
        if key not in wanted or key in incumbents or (wrong and key in blocked):
            remove.append(working)
        elif key not in blocked:
            incumbents[key] = working
    tolerance, unit = tolerance_bps.as_integer_ratio()
    reach = (tolerance, unit * int(BPS))
    place: list[tuple[TargetLevel, WorkingOrder | None]] = []
    for key, level in wanted.items():
        if key in blocked:
            continue
        incumbent = incumbents.get(key)
        if incumbent is None or not _near(level, incumbent, reach) or incumbent in unsafe:
            place.append((level, incumbent))
    return _Difference(place=place, remove=remove, unsafe=unsafe)


def _hold_back(difference: _Difference, live: list[WorkingOrder]) -> _Difference:
    """Without the levels that would meet an open order of ours on the other side."""
    pending = [working.order for working in live if working.state is not _RESTING]
    inside = _inside(
        [order.price for order in pending if order.side is _BUY],
        [order.price for order in pending if order.side is _SELL],
    )
    place: list[tuple[TargetLevel, WorkingOrder | None]] = []
    remove = list(difference.remove)
    for level, incumbent in difference.place:
        if not _meets(level.slot.side, level.price, inside):
            place.append((level, incumbent))
        elif incumbent is not None and incumbent in difference.unsafe:
            remove.append(incumbent)
    return _Difference(place=place, remove=remove, unsafe=difference.unsafe)


def _inside(bids: list[Ticks], asks: list[Ticks]) -> _Inside:
    return max(bids, default=None), min(asks, default=None)


def _meets(side: Side, price: Ticks, inside: _Inside) -> bool:
    """Whether an order would trade against the other side of `inside`."""
    bid, ask = inside
    if side is _BUY:
        return ask is not None and price >= ask
    return bid is not None and price <= bid


def _unsafe(order: NewOrder, inside: _Inside) -> bool:
    """Whether a resting order is on a side to be empty, or meets the other side of the target."""
    own = inside[0] if order.side is _BUY else inside[1]
    return own is None or _meets(order.side, order.price, inside)


def _near(level: TargetLevel, working: WorkingOrder, reach: tuple[int, int]) -> bool:
    """Whether a resting order is good enough to be left alone; `reach` is a ratio of the price."""
    away = abs(working.order.price - level.price)
    if away and away * reach[1] > reach[0] * level.price:
        return False
    remaining, lots = working.remaining, level.lots
    if 5 * remaining > 6 * lots:
        return False
    if 5 * remaining >= 4 * lots:
        return True
    return remaining < working.order.lots and 2 * remaining >= lots


def _stepwise(
    difference: _Difference,
    reason: PlanReason,
    rules: PlanRules,
    stem: str,
    now_ns: int,
) -> Plan:
    """Batch for a venue that changes orders one by one."""
    # Wrong quotes first, then gaps; the innermost first among each.
    place = sorted(difference.place, key=lambda pair: (pair[1] is None, pair[0].slot.level))
    later = place[rules.max_batch_orders :]
    gone = difference.remove + [old for _, old in later if old and old in difference.unsafe]
    cancels = [old.order.client_order_id for old in gone]
    orders = []
    for level, incumbent in place[: rules.max_batch_orders]:
        old_id = None if incumbent is None else incumbent.order.client_order_id
        if old_id is not None and not rules.replaces_orders:
            cancels.append(old_id)
            old_id = None
        orders.append(_order(level, stem, old_id))
    batch = _batch(tuple(orders), tuple(cancels), rules, stem)
    return Plan(
        batch=batch, reason=reason, retry_at_ns=now_ns + rules.debounce_ns if later else None
    )


def _order(level: TargetLevel, stem: str, replaces: str | None) -> NewOrder:
    slot = level.slot
    return NewOrder(
        client_order_id=OrderIdentity.name(stem, slot),
        slot=slot,
        side=slot.side,
        price=level.price,
        lots=level.lots,
        replaces=replaces,
    )


def _batch(
    orders: tuple[NewOrder, ...],
    cancels: tuple[str, ...],
    rules: PlanRules,
    stem: str,
) -> Batch:
    """One batch a cycle, so its id needs no more than the cycle."""
    return Batch(
        batch_id=f"b{stem}",
        symbol=rules.symbol,
        orders=orders,
        cancels=cancels,
        replace_all=rules.atomic_ladder,
    )
