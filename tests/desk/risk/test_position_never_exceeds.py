"""The promise of the position gate, against a venue that answers, fills and loses as it likes."""

from dataclasses import replace
from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from desk.orders import NewOrder
from desk.risk.exposure import exposure_of
from desk.risk.gate import DenialReason, Denied, review
from desk.units import Side
from desk.working import WorkingOrder, WorkingState
from tests.desk.risk.samples import batch, context, leave, quote

LIMIT_LOTS = 100
LADDERS = st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 60)), min_size=1, max_size=6)
PICK = st.integers(0, 1_000)


class Desk(RuleBasedStateMachine):
    """Sends ladders through the gate; the venue may fill any order that is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.position = 0
        self.working: list[WorkingOrder] = []
        self.cycles = count(1)

    def send(self, orders: list[NewOrder], *, replace_all: bool) -> Denied | None:
        given = context(position=self.position, working=tuple(self.working))
        answer = review(batch(*orders, replace_all=replace_all), given)
        if isinstance(answer, Denied):
            return answer
        if replace_all:
            self.move_all(WorkingState.RESTING, WorkingState.CANCELLING)
        state = WorkingState.IN_FLIGHT
        self.working += [WorkingOrder(order=o, state=state, remaining=o.lots) for o in orders]
        return None

    def move_all(self, before: WorkingState, after: WorkingState) -> None:
        self.working = [replace(w, state=after) if w.state is before else w for w in self.working]

    def move(self, pick: int, after: WorkingState, *before: WorkingState) -> None:
        places = [i for i, w in enumerate(self.working) if w.state in before]
        if places:
            place = places[pick % len(places)]
            self.working[place] = replace(self.working[place], state=after)

    @rule(ladder=LADDERS, replace_all=st.booleans())
    def quote(self, ladder: list[tuple[Side, int]], replace_all: bool) -> None:
        cycle = next(self.cycles)
        orders = [
            quote(side, lots=lots, level=level, cycle=cycle)
            for level, (side, lots) in enumerate(ladder)
        ]
        denied = self.send(orders, replace_all=replace_all)
        assert denied is None or denied.reason is DenialReason.POSITION

    @rule(pick=PICK)
    def accept(self, pick: int) -> None:
        self.move(pick, WorkingState.RESTING, WorkingState.IN_FLIGHT)

    @rule(pick=PICK)
    def lose_the_answer(self, pick: int) -> None:
        self.move(pick, WorkingState.UNRESOLVED, WorkingState.IN_FLIGHT)

    @rule(pick=PICK)
    def reject(self, pick: int) -> None:
        self.move(pick, WorkingState.CLOSED, WorkingState.IN_FLIGHT, WorkingState.UNRESOLVED)

    @rule(pick=PICK)
    def find(self, pick: int) -> None:
        self.move(pick, WorkingState.RESTING, WorkingState.UNRESOLVED)

    @rule()
    def cancel_all(self) -> None:
        self.move_all(WorkingState.RESTING, WorkingState.CANCELLING)

    @rule()
    def confirm_cancels(self) -> None:
        self.move_all(WorkingState.CANCELLING, WorkingState.CLOSED)

    @rule(pick=PICK, lots=st.integers(1, 60))
    def fill(self, pick: int, lots: int) -> None:
        places = [i for i, w in enumerate(self.working) if w.state is not WorkingState.CLOSED]
        if not places:
            return
        place = places[pick % len(places)]
        working = self.working[place]
        done = min(lots, working.remaining)
        traded = done
        if working.order.reduce_only:
            traded = min(done, max(-self.position * working.order.side.sign, 0))
        self.position += working.order.side.sign * traded
        left = working.remaining - done
        state = working.state if left else WorkingState.CLOSED
        self.working[place] = replace(working, remaining=left, state=state)

    @rule(lots=st.integers(1, 100))
    def flatten(self, lots: int) -> None:
        """Cancel first, then exit: no exit is ever refused, and none breaks the bound."""
        self.working = [replace(w, state=WorkingState.CLOSED) for w in self.working]
        side = Side.SELL if self.position >= 0 else Side.BUY
        exit_order = leave(side, lots=lots, cycle=next(self.cycles))
        assert self.send([exit_order], replace_all=False) is None

    @invariant()
    def bounded(self) -> None:
        exposure = exposure_of(self.position, self.working)
        assert -LIMIT_LOTS <= self.position <= LIMIT_LOTS
        assert exposure.worst_short >= -LIMIT_LOTS
        assert exposure.worst_long <= LIMIT_LOTS


Desk.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestPositionNeverExceeds = Desk.TestCase
