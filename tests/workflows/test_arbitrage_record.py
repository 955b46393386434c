"""What a set's workflow makes of reports, without Temporal: phases, waivers, rests, its page."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from activities.arbitrage_messages import RunSetResult
from quoting.arbitrage.report import DischargePhase, RunEnd
from tests.workflows.scripted_arbitrage import FORM, ended, owing
from workflows import policies
from workflows.arbitrage_messages import ArbitrageState, StartArbitrage
from workflows.arbitrage_page import arbitrage_page
from workflows.arbitrage_record import ArbitrageRecord

START = StartArbitrage.model_validate(FORM)
AT = datetime(2026, 1, 1, tzinfo=UTC)

debts = st.tuples(st.integers(-3, 3), st.integers(-3, 3))
ends = st.sampled_from([RunEnd.OWED, RunEnd.BLOCKED, RunEnd.WINDOW])
steps = st.one_of(
    st.builds(lambda end, owed: ended(end, owed, (9, 9), waived=()), ends, debts),
    st.sampled_from(["failed", "cut short", "release", "again"]),
)


def after(record: ArbitrageRecord, step: RunSetResult | str) -> None:
    match step:
        case "failed":
            record.failed(AT)
        case "cut short":
            record.cut_short()
        case "release":
            record.release()
        case "again":
            record.try_again()
        case RunSetResult():
            record.took(step, record.phase, AT)
            record.handed_over |= record.owes and record.tried_out
        case _:
            raise AssertionError(step)


@given(st.lists(steps, max_size=40))
def test_only_a_report_or_a_name_ends_a_debt(story: list[RunSetResult | str]) -> None:
    record = ArbitrageRecord(START)
    for step in story:
        owed, since = record.owes, record.owed_since_ms
        after(record, step)
        if owed and not record.owes:
            assert step == "release" or (
                isinstance(step, RunSetResult) and not step.report.standing.owes
            )
        if owed and record.owes:
            assert record.owed_since_ms == since, "it is owed since it began"
        assert record.owes == (record.owed_since_ms is not None)
        if step in {"failed", "cut short"}:
            assert not record.clear
        if not record.owes:
            assert record.phase is DischargePhase.HEDGE
        assert 0 <= record.rest_s <= 60
        assert ArbitrageRecord(_again(record)).carried() == record.carried()


@given(st.lists(ends, max_size=40))
def test_the_phases_follow_one_another_and_are_bounded(story: list[RunEnd]) -> None:
    record, seen = ArbitrageRecord(START), []
    for end in story:
        seen.append(record.phase)
        after(record, ended(end, (1, 0), (1, 2), waived=()))
        if record.handed_over:
            break
    order = list(DischargePhase)
    assert [order.index(one) for one in seen] == sorted(order.index(one) for one in seen)
    tries = sum(end is not RunEnd.BLOCKED for end in story[: len(seen)])
    most = policies.HEDGE_RUNS + policies.REDUCE_RUNS
    assert tries <= most
    assert record.handed_over == (tries == most)


def test_a_waiver_is_exactly_what_was_owed() -> None:
    record = ArbitrageRecord(START)
    after(record, replace(owing(-3, 0), waived=()))
    record.release()
    assert (record.waived, record.owes, record.clear) == ((-3, 0), False, False)
    assert record.standing is not None, "what is held is still known"
    after(record, replace(owing(0, 2), waived=record.waived))
    record.release()
    assert record.waived == (-3, 2)


def test_what_is_said_again_and_again_is_kept_once() -> None:
    record = ArbitrageRecord(START)
    for _ in range(3):
        record.add("blocked: books out of step", AT)
    record.add("balanced", AT)
    record.add("blocked: books out of step", AT)
    assert len(record.history) == 3


def test_the_page_says_what_a_person_must_know() -> None:
    record = ArbitrageRecord(START)
    record.note(ArbitrageState.WATCHING, "the legs are a set", AT)
    record.took(ended(RunEnd.TRADED, (-3, 0), (8, 5), trade=1, reason="killed"), record.phase, AT)
    record.payout = Decimal("2.5")
    record.waived = (-1, 0)
    page = arbitrage_page(record.status()).replace("\u00a0", "")
    for words in (
        "## btc-15m (outcome set): watching",
        "Something is owed since 2026-01-01 00:00:00 UTC.",
        "| ocx/main/UP | 8 | -3 | -1 |",
        "| ocx/main/DOWN | 5 | 0 | 0 |",
        "| 5 | 5 | 5 | 2.5 | 0 | 0 |",
        "**The gate is closed:** killed at scope fleet",
        "| 1/1 | take | 5 | 0.2 | 410 µs | taken whole |",
    ):
        assert words in page
    record.handed_over = True
    page = arbitrage_page(record.status())
    assert "**Waits for a person:** owed: -3 lots of ocx/main/UP" in page
    assert "`flotilla arb release btc-15m` or `flotilla arb retry btc-15m`" in page


def _again(record: ArbitrageRecord) -> StartArbitrage:
    return START.model_copy(update={"carried": record.carried()})
