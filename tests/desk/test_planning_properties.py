"""Plans against a model venue: they arrive at the target, stop there, and touch nothing else."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from desk.identity import Slot
from desk.instrument import Instrument
from desk.orders import Batch, NewOrder
from desk.planning import PlanRules, plan
from desk.quoting.decide import TargetLevel
from desk.risk.approval import Approved
from desk.risk.gate import GateContext, GateLimits, review
from desk.risk.limits import RiskLimits
from desk.units import Side
from desk.working import WorkingOrder, WorkingState
from tests.desk.planning_samples import ATOMIC, STEPS, TAG, level, shown

MID = 20_000
LEVELS = 3
LADDERS = st.dictionaries(
    st.tuples(st.sampled_from(Side), st.integers(0, LEVELS - 1)),
    st.tuples(st.integers(0, 3), st.integers(1, 20)),
).map(
    lambda slots: tuple(
        level(side, depth, MID - side.sign * (2 + 4 * depth + away), lots)
        for (side, depth), (away, lots) in slots.items()
    )
)
SHIFTS = st.integers(-8, 8)
RULES = st.builds(
    lambda rules, replaces, bound: replace(rules, replaces_orders=replaces, max_batch_orders=bound),
    st.sampled_from([ATOMIC, STEPS]),
    st.booleans(),
    st.sampled_from([6, 20]),
)
GATE = GateLimits.of(
    Instrument(
        venue="paper", symbol=STEPS.symbol, tick_size=Decimal(1), lot_size=Decimal("0.00001")
    ),
    RiskLimits(),
)


@st.composite
def workings(draw: st.DrawFn) -> tuple[WorkingOrder, ...]:
    """What may rest: an older ladder, partly filled, around a mid that has moved since."""
    shift = draw(SHIFTS)
    older = tuple(replace(old, price=old.price + shift) for old in draw(LADDERS))
    return tuple(
        replace(working, remaining=draw(st.integers(1, working.remaining)))
        for working in shown(older)
    )


@st.composite
def troubled(draw: st.DrawFn) -> tuple[WorkingOrder, ...]:
    """The same with some outcomes open."""
    states = st.sampled_from(WorkingState)
    return tuple(replace(working, state=draw(states)) for working in draw(workings()))


def step(
    target: tuple[TargetLevel, ...], working: tuple[WorkingOrder, ...], rules: PlanRules, cycle: int
) -> Batch | None:
    identity = (TAG, 1, cycle)
    return plan(target, working, rules=rules, identity=identity, now_ns=0, last_sent_ns=None).batch


def applied(working: tuple[WorkingOrder, ...], batch: Batch) -> tuple[WorkingOrder, ...]:
    """What rests once the venue did all it was asked."""
    gone = set(batch.cancels) | {order.replaces for order in batch.orders}
    stays = () if batch.replace_all else working
    return tuple(w for w in stays if w.order.client_order_id not in gone) + tuple(
        WorkingOrder(order=order, state=WorkingState.RESTING, remaining=order.lots)
        for order in batch.orders
    )


def near(wanted: TargetLevel, working: WorkingOrder, rules: PlanRules) -> bool:
    """The rule as the product states it, in fractions."""
    order, remaining = working.order, Decimal(working.remaining)
    least = Decimal("0.5") if working.remaining < order.lots else Decimal("0.8")
    distance = abs(order.price - wanted.price)
    return (
        distance <= rules.tolerance_bps * wanted.price / 10_000
        and least * wanted.lots <= remaining <= Decimal("1.2") * wanted.lots
    )


def by_slot(working: tuple[WorkingOrder, ...]) -> dict[Slot, WorkingOrder]:
    assert len({w.order.slot for w in working}) == len(working)
    return {w.order.slot: w for w in working}


@given(LADDERS, workings(), RULES)
def test_a_plan_carried_out_shows_the_target_and_leaves_nothing_to_do(
    target: tuple[TargetLevel, ...], working: tuple[WorkingOrder, ...], rules: PlanRules
) -> None:
    batch = step(target, working, rules, 2)
    after = working if batch is None else applied(working, batch)
    resting = by_slot(after)
    assert resting.keys() == {wanted.slot for wanted in target}
    assert all(near(wanted, resting[wanted.slot], rules) for wanted in target)
    assert step(target, after, rules, 3) is None


@given(LADDERS, workings(), st.integers(1, 3))
def test_small_batches_arrive_too(
    target: tuple[TargetLevel, ...], working: tuple[WorkingOrder, ...], bound: int
) -> None:
    rules = replace(STEPS, max_batch_orders=bound)
    for cycle in range(2, 2 + 2 * LEVELS + 1):
        batch = step(target, working, rules, cycle)
        if batch is None:
            break
        assert len(batch.orders) <= bound
        working = applied(working, batch)
    assert by_slot(working).keys() == {wanted.slot for wanted in target}
    assert step(target, working, rules, 99) is None


@given(LADDERS, workings())
def test_no_operation_for_a_slot_that_is_near_enough(
    target: tuple[TargetLevel, ...], working: tuple[WorkingOrder, ...]
) -> None:
    batch = step(target, working, STEPS, 2)
    placed = {order.slot for order in batch.orders} if batch else set()
    cancelled = set(batch.cancels) if batch else set()
    resting = by_slot(working)
    for wanted in target:
        old = resting.get(wanted.slot)
        if old is not None and near(wanted, old, STEPS) and not meets(old.order, target):
            assert wanted.slot not in placed
            assert old.order.client_order_id not in cancelled
    unwanted = resting.keys() - {wanted.slot for wanted in target}
    assert cancelled == {resting[slot].order.client_order_id for slot in unwanted}


def meets(order: NewOrder, target: tuple[TargetLevel, ...]) -> bool:
    sign = order.side.sign
    others = [wanted.price for wanted in target if wanted.slot.side is not order.side]
    return any(sign * order.price >= sign * price for price in others)


@given(LADDERS, troubled(), st.booleans())
def test_open_outcomes_are_never_touched(
    target: tuple[TargetLevel, ...], working: tuple[WorkingOrder, ...], replaces: bool
) -> None:
    held = [w for w in working if w.state not in {WorkingState.RESTING, WorkingState.CLOSED}]
    batch = step(target, working, replace(STEPS, replaces_orders=replaces), 2)
    if batch is not None:
        touched = set(batch.cancels) | {order.replaces for order in batch.orders}
        assert not touched & {w.order.client_order_id for w in held}
        assert not {order.slot for order in batch.orders} & {w.order.slot for w in held}
    if held:
        assert step(target, working, ATOMIC, 2) is None


@given(LADDERS, troubled(), RULES)
def test_the_gate_never_has_to_stop_a_plan_for_crossing_ourselves(
    target: tuple[TargetLevel, ...], working: tuple[WorkingOrder, ...], rules: PlanRules
) -> None:
    batch = step(target, working, rules, 2)
    if batch is None:
        return
    given_now = GateContext(
        limits=GATE,
        mid_x2=2 * MID,
        book_age_ns=0,
        account_age_ns=0,
        position=0,
        working=working,
        orders_last_minute=0,
    )
    answer = review(batch, given_now)
    assert isinstance(answer, Approved), answer


@given(troubled(), RULES, st.integers(0, 10**6))
def test_an_empty_target_takes_down_all_that_rests_at_once(
    working: tuple[WorkingOrder, ...], rules: PlanRules, now_ns: int
) -> None:
    answer = plan(
        (), working, rules=rules, identity=(TAG, 1, 2), now_ns=now_ns, last_sent_ns=now_ns
    )
    resting = {w.order.client_order_id for w in working if w.state is WorkingState.RESTING}
    if answer.batch is None:
        held = any(w.state not in {WorkingState.RESTING, WorkingState.CLOSED} for w in working)
        assert not resting or (held and rules.atomic_ladder)
    else:
        assert not answer.batch.orders
        assert answer.batch.replace_all or set(answer.batch.cancels) == resting


@given(LADDERS, workings(), RULES)
def test_the_same_inputs_give_the_same_batch(
    target: tuple[TargetLevel, ...], working: tuple[WorkingOrder, ...], rules: PlanRules
) -> None:
    assert step(target, working, rules, 2) == step(target, working, rules, 2)
