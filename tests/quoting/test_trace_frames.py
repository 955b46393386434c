"""Whatever a session hears and decides comes back from a frame exactly as it was."""

from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.daily_loss import DayFacts, DayLimits, MarketDay, scopes
from desk.market import BookDelta, BookSnapshot
from desk.orders import Batch
from desk.permit import Permit
from desk.records import Kill, LedgerFacts
from desk.risk.approval import Approved
from desk.risk.limits import RiskLimits
from desk.trace_ports import TraceUnreadable
from desk.trading_day import TradingDay
from quoting.actions import Action, SendBatch
from quoting.inbox import InboxEvent
from quoting.setup import LoopSetup
from quoting.trace_frames import (
    ACTION_KINDS,
    EVENT_KINDS,
    FORMAT,
    Ended,
    Head,
    Lost,
    SentBatch,
    Step,
    day_state,
    decided_bytes,
    ended_frame,
    head_frame,
    lost_frame,
    moment_of,
    read_frame,
    step_frame,
)
from tests.quoting.builders import CAPABILITIES, INSTRUMENT, MARKET, PARAMETERS

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
WHOLE = st.integers(-(2**63), 2**63 - 1)
NUMBER = st.decimals(allow_nan=False, allow_infinity=False)
LEVELS = st.lists(st.tuples(WHOLE, WHOLE), max_size=5)
BOOKS: dict[object, st.SearchStrategy[Any]] = {
    BookSnapshot: st.builds(
        BookSnapshot, bids=LEVELS, asks=LEVELS, sequence=st.none() | WHOLE, received_ns=WHOLE
    ),
    BookDelta: st.builds(
        BookDelta,
        bids=LEVELS,
        asks=LEVELS,
        sequence=st.none() | WHOLE,
        previous=st.none() | WHOLE,
        received_ns=WHOLE,
    ),
}
LEAVES: dict[object, st.SearchStrategy[Any]] = {
    int: WHOLE,
    str: TEXT,
    Decimal: NUMBER,
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
    type(None): st.none(),
    **BOOKS,
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a type, built field by field: a new field is tried as soon as it is there."""
    if kind in LEAVES:
        return LEAVES[kind]
    if get_origin(kind) in (Union, UnionType):
        return st.one_of([values(one) for one in get_args(kind)])
    if get_origin(kind) is tuple:
        return st.lists(values(get_args(kind)[0]), max_size=3).map(tuple)
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return st.builds(kind, **{one.name: values(hints[one.name]) for one in fields(kind)})
    return st.sampled_from(kind)


EVENTS = st.one_of([values(kind) for kind in EVENT_KINDS])
SENDS = st.builds(SentBatch, values(get_type_hints(SentBatch)["approved"]), st.none() | WHOLE)
OTHERS = st.one_of([values(kind) for kind in ACTION_KINDS if kind is not SendBatch])


def approved(batch: Batch) -> Approved[Batch]:
    """As the gate makes them, without asking it: these batches are no real ones."""
    made: Approved[Batch] = Approved.__new__(Approved)
    made.value = batch
    return made


def through(**changes: object) -> Step:
    """A step with these parts, written and read."""
    parts: dict[str, Any] = {
        "permit": None,
        "day": None,
        "left": False,
        "failed": "",
        "reason": "",
        "events": [],
        "actions": [],
    }
    step = read_frame(step_frame(7, 99, **{**parts, **changes}))
    assert isinstance(step, Step)
    return step


def test_every_event_and_every_action_has_a_kind_of_its_own() -> None:
    assert set(EVENT_KINDS) == set(get_args(InboxEvent))
    assert set(ACTION_KINDS) == set(get_args(Action))
    assert len(set(EVENT_KINDS.values())) == len(EVENT_KINDS)
    assert len(set(ACTION_KINDS.values())) == len(ACTION_KINDS)


@given(st.lists(EVENTS, max_size=4))
def test_events_come_back_as_they_were(events: list[InboxEvent]) -> None:
    read = through(events=events).events
    assert list(read) == events
    assert [repr(one) for one in read] == [repr(one) for one in events]


@given(st.lists(SENDS | OTHERS, max_size=3))
def test_actions_come_back_as_they_were(said: list[Any]) -> None:
    actions = [
        SendBatch(approved(one.approved), one.caused_ns) if isinstance(one, SentBatch) else one
        for one in said
    ]
    step = through(actions=actions)
    assert list(step.actions) == said
    assert [repr(one) for one in step.actions] == [repr(one) for one in said]
    assert step.decided == decided_bytes(actions)


@given(values(Permit), values(Kill))
def test_a_permit_comes_back_as_it_was(permit: Permit, kill: Kill) -> None:
    given_ = replace(permit, kills=(kill, *permit.kills))
    assert repr(through(permit=given_).permit) == repr(given_)


@given(values(LedgerFacts), st.frozensets(TEXT, max_size=4), st.none() | NUMBER)
def test_a_head_brings_back_all_that_a_loop_starts_from(
    facts: LedgerFacts, known: frozenset[str], sigma: Decimal | None
) -> None:
    setup = LoopSetup(
        market=MARKET,
        instrument=INSTRUMENT,
        epoch=3,
        parameters=PARAMETERS,
        limits=RiskLimits(max_daily_loss=Decimal("1E+2")),
        capabilities=CAPABILITIES,
        facts=facts,
        known_since_ms=5,
        known=known,
        prior_sigma_bps=sigma,
    )
    day = MarketDay(MARKET, DayLimits(), TradingDay(begins_ms=1, ends_ms=2), None)
    day.facts = DayFacts(scope=scopes(MARKET)[0], day=day.day, start=facts.cash, peak=facts.cash)
    head = Head(
        format=FORMAT,
        run_id="run",
        owner="me",
        code="abc",
        began_ns=1,
        began_wall_ns=2,
        setup=replace(setup, day=day),
        day=day_state(day),
    )
    read = read_frame(head_frame(head))
    assert isinstance(read, Head)
    assert read == replace(head, setup=setup)
    # Sets have no order to be compared by.
    assert repr(replace(read.setup, known=frozenset())) == repr(replace(setup, known=frozenset()))


def test_the_moment_of_a_step_is_read_alone() -> None:
    frame = step_frame(
        1, 42, permit=None, day=None, left=True, failed="", reason="", events=[], actions=[]
    )
    assert (moment_of(frame), moment_of(ended_frame(7))) == (42, None)


def test_marks_say_whether_anything_is_missing() -> None:
    assert read_frame(lost_frame("disk full")) == Lost(why="disk full")
    assert read_frame(ended_frame(7)) == Ended(7)


@pytest.mark.parametrize("raw", [b"", b"nonsense", b"\x92\x09\xc0", b"\x92\x01\xc0"])
def test_what_is_no_frame_is_told_in_a_sentence(raw: bytes) -> None:
    with pytest.raises(TraceUnreadable):
        read_frame(raw)
