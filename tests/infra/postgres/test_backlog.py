"""The backlog keeps order, drops nothing but merged equity marks, and knows its oldest."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from desk.records import EquityMark, LedgerRecord, OrderSent
from infra.postgres.backlog import Backlog
from tests.infra.postgres.samples import MARKET, OTHER, mark, seen, sent


@st.composite
def records(draw: st.DrawFn) -> list[LedgerRecord]:
    kinds = draw(st.lists(st.sampled_from(["fill", "mark", "other"]), max_size=60))
    made: list[LedgerRecord] = []
    for number, kind in enumerate(kinds):
        market = MARKET if kind == "mark" else OTHER
        made.append(
            seen(number)
            if kind == "fill"
            else mark(number, market=market, peak=str(number), pnl="0")
        )
    return made


def drained(backlog: Backlog, size: int) -> list[LedgerRecord]:
    written: list[LedgerRecord] = []
    while backlog:
        head = backlog.head(size)
        written += head
        backlog.drop(len(head))
    return written


@given(records(), st.integers(1, 20))
def test_within_the_bound_everything_comes_out_as_it_went_in(
    given_records: list[LedgerRecord], size: int
) -> None:
    backlog = Backlog(bound=1_000)
    for record in given_records:
        backlog.add(record, 0)
    assert drained(backlog, size) == given_records
    assert backlog.oldest() is None


@given(records(), st.integers(0, 10), st.integers(1, 20))
def test_past_the_bound_only_marks_merge_and_the_newest_stays(
    given_records: list[LedgerRecord], bound: int, size: int
) -> None:
    backlog = Backlog(bound=bound)
    for record in given_records:
        backlog.add(record, 0)
    written = drained(backlog, size)
    others = [record for record in given_records if not isinstance(record, EquityMark)]
    assert [record for record in written if not isinstance(record, EquityMark)] == others
    for market in (MARKET, OTHER):
        before = [r for r in given_records if isinstance(r, EquityMark) and r.market == market]
        after = [r for r in written if isinstance(r, EquityMark) and r.market == market]
        assert after == [mark for mark in before if mark in after], "order is kept"
        assert after[-1:] == before[-1:], "the newest is never lost"


def test_memory_is_bounded_for_marks() -> None:
    backlog = Backlog(bound=10)
    for number in range(1_000):
        backlog.add(mark(number, peak=str(number)), number)
    assert len(backlog) == 11
    last = drained(backlog, 5)[-1]
    assert isinstance(last, EquityMark)
    assert last.peak == Decimal(999)


def test_the_oldest_is_the_one_that_waited_longest() -> None:
    backlog = Backlog(bound=1)
    backlog.add(seen(1), 10)
    backlog.add(mark(2), 20)
    backlog.add(mark(3), 30)
    backlog.drop(1)
    oldest = backlog.oldest()
    assert oldest is not None
    assert (oldest.number, oldest.since_ns) == (2, 20)


def test_what_the_spool_holds_comes_first_and_is_not_saved_again() -> None:
    backlog = Backlog(bound=10)
    backlog.add(seen(3), 0)
    backlog.add_spooled([seen(1), seen(2)], 0)
    assert backlog.unsaved() == [seen(3)]
    assert backlog.holds_spooled()
    assert drained(backlog, 1) == [seen(1), seen(2), seen(3)]
    assert not backlog.holds_spooled()


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=60))
def test_intents_count_until_they_are_written(steps: list[tuple[bool, int]]) -> None:
    """Of each market apart; what an earlier process left on the disk is safe and counts not."""
    backlog = Backlog(bound=1_000)
    backlog.add_spooled([sent(900), sent(901)], 0)
    waiting: list[LedgerRecord] = [sent(900), sent(901)]
    for number, (adds, size) in enumerate(steps):
        if adds:
            record: LedgerRecord = sent(number) if size else seen(number)
            backlog.add(record, 0)
            waiting.append(record)
        else:
            dropped = backlog.head(size)
            backlog.drop(len(dropped))
            del waiting[: len(dropped)]
        ours = [one for one in waiting if isinstance(one, OrderSent)]
        spooled = [one for one in ours if one in {sent(900), sent(901)}]
        assert backlog.intents(MARKET) == len(ours) - len(spooled)
        assert backlog.intents(OTHER) == 0
    backlog.clear()
    assert backlog.intents(MARKET) == 0
