"""A journal reproduces every decision of its session; what changed is told at its first step."""

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.daily_loss import DayFacts, DayLimits, MarketDay, scopes
from desk.market import FeedLost
from desk.orders import Balance, Batch, RejectReason
from desk.records import Kill, KillEffect
from desk.risk.limits import RiskLimits
from desk.trace_ports import TraceUnreadable
from desk.trading_day import TradingDay
from desk.units import NS_PER_MS, NS_PER_S, Side
from quoting.actions import ClearAll, Leave, SendBatch
from quoting.inbox import Cleared, FundsSeen, InboxEvent, Tick
from quoting.replay import Replay, replay, replay_tail
from quoting.setup import LoopSetup
from quoting.trace_frames import (
    Head,
    Step,
    head_frame,
    lost_frame,
    read_frame,
    step_frame,
)
from tests.quoting.builders import (
    CAPABILITIES,
    EMPTY,
    INSTRUMENT,
    MARKET,
    PARAMETERS,
    accepted,
    account,
    book,
    change,
    fill,
    permit,
    refused,
    sent,
    unresolved,
)
from tests.quoting.traced import Kept, TracedLoop

DAY = TradingDay(begins_ms=1_763_683_200_000, ends_ms=1_763_769_600_000)
NEXT = TradingDay(begins_ms=DAY.ends_ms, ends_ms=DAY.ends_ms + 86_400_000)


def setup(**changes: object) -> LoopSetup:
    given_ = LoopSetup(
        market=MARKET,
        instrument=INSTRUMENT,
        epoch=1,
        parameters=PARAMETERS,
        limits=RiskLimits(max_drawdown=Decimal(10_000)),
        capabilities=CAPABILITIES,
        facts=EMPTY,
        known_since_ms=0,
        known=frozenset({"old"}),
    )
    return replace(given_, **changes)  # type: ignore[arg-type]


def quoted(traced: TracedLoop, seconds: int = 5) -> TracedLoop:
    """Quotes for so long, with the mid going up; every batch is accepted."""
    traced.step(NS_PER_S, account(NS_PER_S))
    for tenth in range(10 * seconds):
        now_ns = NS_PER_S + tenth * NS_PER_S // 10
        actions = traced.step(now_ns, book(now_ns, 600_000 + 40 * tenth), Tick(now_ns))
        for action in actions:
            if isinstance(action, SendBatch):
                traced.step(now_ns + 1_000, accepted(action.approved.value))
    return traced


def test_a_session_replays_to_the_same_decisions() -> None:
    verdict = replay(quoted(TracedLoop(setup(), permit())).journal())
    assert verdict.identical
    assert (verdict.short, verdict.damaged) == ("", "")
    assert verdict.decisions > 5
    assert verdict.compared == verdict.steps > 50
    assert verdict.market == "ocx/main/BTC-PERP"


def test_a_changed_parameter_is_told_at_the_first_step_that_decides_otherwise() -> None:
    journal = quoted(TracedLoop(setup(), permit())).journal()

    def wider(given_: LoopSetup) -> LoopSetup:
        return replace(given_, parameters=replace(given_.parameters, spread_bps=Decimal(12)))

    verdict = replay(journal, wider)
    first = verdict.first
    assert first is not None
    assert first.step == verdict.steps == 2
    assert "a whole book, best 59999.9 to 60000.1" in first.heard
    assert "@ 59970.0" in first.recorded
    assert "@ 59964.0" in first.replayed


def test_what_the_loop_reads_and_no_event_tells_is_in_the_journal() -> None:
    traced = quoted(TracedLoop(setup(), permit()), seconds=1)
    traced.permit.kills = (
        Kill(scope="fleet", reason="drill", by="ana", at_ms=1, effect=KillEffect.REDUCE),
    )
    reducing = traced.step(3 * NS_PER_S, Tick(3 * NS_PER_S))
    traced.permit.kill_file = True
    left = traced.step(4 * NS_PER_S, Tick(4 * NS_PER_S))
    assert isinstance(reducing[0], ClearAll)
    assert isinstance(left[0], Leave)
    assert replay(traced.journal()).identical


@pytest.mark.parametrize("how", ["lease_until_ns", "board_until_ns", "dead_man_until_ns"])
def test_each_deadline_of_the_permit_is_in_the_journal(how: str) -> None:
    traced = quoted(TracedLoop(setup(), permit()), seconds=1)
    setattr(traced.permit, how, 4 * NS_PER_S)
    (sends,) = traced.step(4 * NS_PER_S - 1, Tick(4 * NS_PER_S - 1))
    assert isinstance(sends, SendBatch)
    assert isinstance(traced.step(4 * NS_PER_S, Tick(4 * NS_PER_S))[0], Leave)
    assert replay(traced.journal()).identical


def test_a_day_that_others_move_on_is_in_the_journal() -> None:
    facts = DayFacts(scope=scopes(MARKET)[0], day=DAY, start=Decimal(0), peak=Decimal(0))
    limits = RiskLimits(max_daily_loss=Decimal(50), max_drawdown=Decimal(10_000))
    day = MarketDay(MARKET, DayLimits(hard=Decimal(50)), DAY, facts)
    traced = quoted(TracedLoop(setup(day=day, limits=limits), permit()))
    day.begin(NEXT, DayFacts(scope=facts.scope, day=NEXT, start=Decimal(80), peak=Decimal(90)))
    now_ns = 6 * NS_PER_S
    left = traced.step(now_ns, book(now_ns, 600_000), Tick(now_ns))
    assert isinstance(left[0], Leave)
    assert "lost 80.00 since the start of the day" in left[0].message
    assert replay(traced.journal()).identical


def test_what_is_heard_after_leaving_decides_nothing_in_the_replay_either() -> None:
    traced = quoted(TracedLoop(setup(), permit()), seconds=1)
    traced.leave()
    now_ns = 3 * NS_PER_S
    assert traced.step(now_ns, FeedLost(reason="gone", received_ns=now_ns)) == []
    assert replay(traced.journal()).identical


def test_marks_between_steps_move_nothing_that_a_replay_lacks() -> None:
    traced = quoted(TracedLoop(setup(), permit()), seconds=3)
    traced.step(5 * NS_PER_S, change(5 * NS_PER_S, 10, fill("1", Side.BUY, 599_000, 10)))
    for tenth in range(40):
        now_ns = 5 * NS_PER_S + tenth * NS_PER_S // 10
        traced.step(now_ns, book(now_ns, 600_000 + 3_000 * (tenth % 7)))
        traced.loop.equity()
        traced.loop.equity()
    assert replay(traced.journal()).identical


def test_a_step_that_failed_fails_again_and_one_that_did_not_is_told() -> None:
    traced = quoted(TracedLoop(setup(), permit()), seconds=1)
    traced.trace.begins([Tick(5 * NS_PER_S)])
    traced.trace.failed(5 * NS_PER_S, "ValueError odd")
    first = replay(traced.journal()).first
    assert first is not None
    assert first.recorded == "failed: ValueError odd"


@pytest.mark.parametrize(
    ("recorded", "same"),
    [("TypeError at <0x7f01>", True), ("TypeErrors", False), ("ZeroDivisionError odd", False)],
)
def test_a_step_that_failed_has_to_fail_in_the_same_way(recorded: str, *, same: bool) -> None:
    traced = TracedLoop(setup(), permit())
    traced.trace.begins([account(NS_PER_S), book(NS_PER_S)])
    traced.trace.failed(NS_PER_S, recorded)

    def broken(given_: LoopSetup) -> LoopSetup:
        return replace(given_, epoch="odd")  # type: ignore[arg-type]

    verdict = replay(traced.journal(), broken)
    assert verdict.identical is same
    if verdict.first is not None:
        assert verdict.first.replayed.startswith("failed: TypeError ")


def test_a_crash_and_lost_frames_are_told_and_the_rest_is_compared() -> None:
    journal = quoted(TracedLoop(setup(), permit())).journal()
    whole = replay(journal)
    cut = replay(Kept(journal.written[:-20], torn="000001.trace ends in half a block"))
    assert cut.identical
    assert cut.steps < whole.steps
    assert "half a block" in cut.short
    lost = replay(Kept([*journal.written[:-20], lost_frame("disk full")]))
    assert (lost.first, lost.short) == (None, "frames lost: disk full")
    assert lost.lost
    assert not lost.identical, "nobody can say what it decided after that"


def test_without_its_beginning_a_journal_cannot_be_replayed() -> None:
    journal = quoted(TracedLoop(setup(), permit())).journal()
    with pytest.raises(TraceUnreadable, match="beginning of memory was dropped"):
        replay(Kept(journal.written, dropped=True))
    with pytest.raises(TraceUnreadable, match="does not begin with"):
        replay(Kept(journal.written[1:]))


async def test_the_tail_is_judged_and_what_came_before_it_is_not() -> None:
    journal = quoted(TracedLoop(setup(), permit()), seconds=10).journal()
    beats: list[None] = []
    verdict = await replay_tail(journal, 3, beat=lambda: beats.append(None))
    assert verdict.identical
    assert 30 <= verdict.compared < verdict.steps
    assert len(beats) > 5


async def test_a_tail_that_does_not_reproduce_is_told_and_only_a_tail() -> None:
    journal = quoted(TracedLoop(setup(), permit()), seconds=10).journal()
    steps = [one for one in map(read_frame, journal.written) if isinstance(one, Step)]
    decided = [step.number for step in steps if step.actions]
    early, late = (Kept(_otherwise(journal.written, at)) for at in (decided[0], decided[-1]))
    assert (await replay_tail(early, 3)).identical
    first = (await replay_tail(late, 3)).first
    assert first is not None
    assert (first.step, first.recorded) == (decided[-1], "cancel everything (forged)")


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["book", "tick", "accept", "refuse", "lose", "clear", "fill", "down", "funds", "kill"]
        ),
        st.integers(0, 400),
    ),
    max_size=60,
)


def heard(word: str, number: int, size: int, now_ns: int, lots: int, batch: Batch) -> InboxEvent:
    """The event a word of a script stands for."""
    match word:
        case "book":
            return book(now_ns, 600_000 + size)
        case "accept":
            return accepted(batch)
        case "refuse":
            return refused(batch, RejectReason.MARGIN, old_gone=False)
        case "lose":
            return unresolved(batch)
        case "clear":
            return Cleared(verified=size % 2 == 0, attempts=1, message="", at_ns=now_ns)
        case "fill":
            filled = fill(str(number), Side.BUY, 599_700 - size, size % 5)
            return change(now_ns, lots, filled)
        case "down":
            return FeedLost(reason="cut", received_ns=now_ns)
        case "funds":
            return FundsSeen(funds=_funds(size), asked_ns=now_ns)
    return Tick(now_ns)


@given(STEPS)
def test_any_session_replays_to_the_same_decisions(steps: list[tuple[str, int]]) -> None:
    traced = TracedLoop(setup(), permit(), sample_every=1)
    batch = sent(traced.step(NS_PER_S, account(NS_PER_S), book(NS_PER_S)))
    now_ns, lots = NS_PER_S, 0
    for number, (word, size) in enumerate(steps):
        now_ns += size * 5 * NS_PER_MS + 1
        lots += size % 5 if word == "fill" else 0
        traced.permit.kill_file = word == "kill" and size > 350
        actions = traced.step(now_ns, heard(word, number, size, now_ns, lots, batch))
        if any(isinstance(one, SendBatch) for one in actions):
            batch = sent(actions)
    verdict = replay(traced.journal())
    assert verdict.identical, verdict.first
    assert verdict.steps == len(steps) + 1


def test_a_replay_shows_the_loop_as_it_was() -> None:
    traced = quoted(TracedLoop(setup(), permit()), seconds=2)
    replaying = Replay(traced.journal())
    assert all(one.same for one in replaying.steps())
    assert replaying.loop.orders.open == traced.loop.orders.open


def _otherwise(frames: list[bytes], number: int) -> list[bytes]:
    """The journal with another decision written at one step."""
    forged = []
    for raw in frames:
        step = read_frame(raw)
        if not isinstance(step, Step) or step.number != number:
            forged.append(raw)
            continue
        parts = {name: getattr(step, name) for name in ("permit", "day", "left", "failed")}
        forged.append(
            step_frame(
                number,
                step.now_ns,
                **parts,
                reason="",
                events=list(step.events),
                actions=[ClearAll("forged")],
            )
        )
    return forged


def _funds(size: int) -> Balance:
    return Balance(equity=Decimal(1_000 + size), available=Decimal(size))


def test_no_journal_with_steps_missing_or_out_of_place_is_called_the_same() -> None:
    frames = quoted(TracedLoop(setup(), permit())).journal().written
    last = len(frames) - 1
    for place in range(1, last):
        # Every step alone, the first and the last of them as well.
        verdict = replay(Kept([*frames[:place], *frames[place + 1 :]]))
        assert (verdict.identical, verdict.steps) == (False, place - 1)
        assert verdict.damaged
    swapped = replay(Kept([*frames[:9], *frames[14:19], *frames[9:14], *frames[19:]]))
    assert (swapped.identical, swapped.damaged) == (False, "step 14 is where step 9 should be")
    early = replay(Kept([*frames[:9], frames[last], *frames[9:last]]))
    assert (early.identical, early.damaged) == (False, f"it ended after step {last - 1}, not 8")


async def test_a_journal_of_a_later_format_is_refused_in_a_sentence() -> None:
    head, *frames = quoted(TracedLoop(setup(), permit()), seconds=1).journal().written
    read = read_frame(head)
    assert isinstance(read, Head)
    frames[0] = msgspec.msgpack.encode((1, {"n": 1, "now_ns": 5}))  # as none of ours says a step
    with pytest.raises(TraceUnreadable, match="format is 2"):
        await replay_tail(Kept([head_frame(replace(read, format=2)), *frames]), 60)
    with pytest.raises(TraceUnreadable, match="a frame cannot be read"):
        await replay_tail(Kept([head, *frames]), 60)
