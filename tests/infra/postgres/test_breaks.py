"""A break is opened once and settled once; what a decision books comes with it or not at all."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.book_ports import Adjustment
from desk.breaks import Break, BreakDecision, BreakKind, FoundBreak
from desk.errors import Unavailable
from infra.postgres.breaks import PostgresBreaks
from infra.postgres.engine import Database
from infra.postgres.losses import PostgresLossBook
from infra.postgres.reader import PostgresLedger
from infra.postgres.reconciliations import PostgresReconciliations
from tests.infra.postgres.conftest import StartWriter
from tests.infra.postgres.samples import BTC, MARKET, START_MS, fill, mark

pytestmark = pytest.mark.services

FOUND = FoundBreak(
    venue="ocx",
    account="main",
    symbol="BTC-PERP",
    kind=BreakKind.POSITION,
    text="ours 0.003, the venue's 0.005",
    ours='{"position": "0.003"}',
    theirs='{"position": "0.005"}',
    found_by="reconciliation 1",
    found_at_ms=START_MS,
)
LONG_AFTER_MS = 4_000_000_000_000
"""Later than any decision of these tests."""

ADJUSTMENT = Adjustment(
    number=0,
    venue="ocx",
    account="main",
    symbol="BTC-PERP",
    quantity=Decimal("0.002"),
    price=Decimal("50.25"),
    amount=Decimal(0),
    by="ann",
    reason="the venue lost a fill",
    at_ms=START_MS + 100,
)


@pytest.fixture
def breaks(database: Database) -> PostgresBreaks:
    return PostgresBreaks(database)


async def count(database: Database, table: str) -> int:
    async def read(connection: AsyncConnection) -> int:
        found = await connection.execute(text(f"SELECT count(*) FROM {table}"))  # noqa: S608
        return int(found.scalar_one())

    return await database.transaction(read)


async def test_found_again_it_is_the_same_break_and_the_first_evidence_stays(
    breaks: PostgresBreaks,
) -> None:
    first = await breaks.open(FOUND)
    assert first == Break(number=first.number, found=FOUND, last_seen_ms=START_MS)
    later = replace(FOUND, text="ours 0, theirs 9", found_by="again", found_at_ms=START_MS + 9)
    assert await breaks.open(later) == replace(first, last_seen_ms=START_MS + 9)
    earlier = await breaks.open(replace(FOUND, found_at_ms=START_MS - 5))
    assert earlier.last_seen_ms == START_MS + 9, "what was seen last only grows"
    assert await breaks.standing() == (earlier,)


async def test_opened_by_many_at_once_it_is_one(breaks: PostgresBreaks) -> None:
    found = [replace(FOUND, found_at_ms=START_MS + number) for number in range(8)]
    opened = await asyncio.gather(*map(breaks.open, found))
    assert len({one.number for one in opened}) == 1
    (standing,) = await breaks.standing()
    assert standing.last_seen_ms == START_MS + 7


async def test_other_places_and_kinds_are_other_breaks(breaks: PostgresBreaks) -> None:
    others = [
        FOUND,
        replace(FOUND, symbol=None),
        replace(FOUND, symbol="ETH-PERP", found_at_ms=START_MS - 1),
        replace(FOUND, kind=BreakKind.GHOST),
        replace(FOUND, account="second"),
        replace(FOUND, venue="x10"),
    ]
    opened = [await breaks.open(found) for found in others]
    assert len({one.number for one in opened}) == len(others)
    assert [one.found for one in opened] == others
    assert len(await breaks.standing()) == 6
    assert (await breaks.standing())[0].found.symbol == "ETH-PERP", "the oldest comes first"
    assert len(await breaks.standing("ocx")) == 5
    assert len(await breaks.standing("ocx", "main")) == 4
    assert list(await breaks.recent(2)) == opened[:-3:-1]


async def test_it_is_settled_once_by_name(breaks: PostgresBreaks) -> None:
    opened = await breaks.open(FOUND)
    with pytest.raises(ValueError, match="by: nobody is named"):
        await breaks.settle(opened.number, BreakDecision.RECHECK, "  ", "looked")
    names = [f"person {number}" for number in range(6)]
    answers = await asyncio.gather(
        *(breaks.settle(opened.number, BreakDecision.RECHECK, by, "looked") for by in names)
    )
    assert sorted(answers) == [False] * 5 + [True]
    settled = await breaks.get(opened.number)
    assert settled is not None
    assert settled.settled_by == names[answers.index(True)]
    assert (settled.decision, settled.reason) == (BreakDecision.RECHECK, "looked")
    assert settled.settled_at_ms is not None
    assert not settled.open
    assert await breaks.standing() == ()
    assert not await breaks.settle(999, BreakDecision.RECHECK, "ann", "")
    assert await breaks.get(999) is None


async def test_what_is_found_after_a_settlement_is_a_new_break_but_an_old_finding_is_not(
    breaks: PostgresBreaks,
) -> None:
    first = await breaks.open(FOUND)
    await breaks.open(replace(FOUND, found_at_ms=START_MS + 9))
    await breaks.settle(first.number, BreakDecision.RULE, "rule ghost", "freed")
    for again in (FOUND, replace(FOUND, found_at_ms=START_MS + 9)):
        told = await breaks.open(again)
        assert (told.number, told.open) == (first.number, False), "the activity was repeated"
    another = replace(FOUND, found_at_ms=START_MS + 9, text="another order at the same moment")
    second = await breaks.open(another)
    assert second.number != first.number
    await breaks.settle(second.number, BreakDecision.RULE, "rule ghost", "freed")
    third = await breaks.open(replace(FOUND, found_at_ms=START_MS + 10))
    assert third.number not in {first.number, second.number}
    assert third.open


@pytest.mark.parametrize("decision", [BreakDecision.RECHECK, BreakDecision.VENUE])
async def test_what_was_read_before_a_decision_does_not_open_again_what_it_settled(
    breaks: PostgresBreaks, decision: BreakDecision
) -> None:
    first = await breaks.open(FOUND)
    await breaks.settle(first.number, decision, "ann", "looked")
    settled = await breaks.get(first.number)
    assert settled is not None
    assert settled.settled_at_ms is not None
    before = replace(FOUND, text="read before", found_at_ms=settled.settled_at_ms - 1)
    assert await breaks.open(before) == settled
    after = replace(FOUND, text="read after", found_at_ms=settled.settled_at_ms + 1)
    assert (await breaks.open(after)).number != first.number


async def test_a_difference_that_stands_is_found_again_though_a_fast_clock_saw_it_last(
    breaks: PostgresBreaks,
) -> None:
    first = await breaks.open(FOUND)
    ahead = replace(FOUND, text="seen by a clock that runs ahead", found_at_ms=LONG_AFTER_MS)
    assert (await breaks.open(ahead)).last_seen_ms == LONG_AFTER_MS
    await breaks.settle(first.number, BreakDecision.RECHECK, "ann", "looked")
    settled = await breaks.get(first.number)
    assert settled is not None
    assert settled.settled_at_ms is not None
    for before in (FOUND, replace(FOUND, found_at_ms=settled.settled_at_ms - 1)):
        assert await breaks.open(before) == settled
    after = await breaks.open(replace(FOUND, found_at_ms=settled.settled_at_ms + 1))
    assert after.open
    assert after.number != first.number


async def test_an_adjustment_moves_the_position_and_leaves_pnl_at_its_price(
    breaks: PostgresBreaks, ledger: PostgresLedger, database: Database, start_writer: StartWriter
) -> None:
    await ledger.remember_instrument(BTC)
    await ledger.book_fills(MARKET, [fill(1)])
    async with start_writer() as running:
        running.writer.record(mark(5))
        assert await running.writer.flush(5)
    losses = PostgresLossBook(database)
    (before,) = await losses.pnl()
    opened = await breaks.open(FOUND)
    answers = await asyncio.gather(
        *(
            breaks.settle(opened.number, BreakDecision.VENUE, "ann", "checked", ADJUSTMENT)
            for _ in range(4)
        )
    )
    assert sum(answers) == 1
    facts = await ledger.facts(MARKET, 0)
    assert (facts.fills, facts.position) == (1, 5), "it is no fill"
    (after,) = await losses.pnl()
    assert (before.mid, after.pnl) == (Decimal("50.25"), before.pnl)
    assert after.quantity == Decimal("0.005")
    (then,) = await losses.pnl(ADJUSTMENT.at_ms - 1)
    assert (then.cash, then.quantity) == (before.cash, before.quantity), "not yet decided then"
    books = await PostgresReconciliations(database).books("ocx", "main")
    assert (books.positions, books.pnl, books.adjusted) == (
        {"BTC-PERP": Decimal("0.005")},
        before.pnl,
        Decimal(0),
    )


async def test_an_adjustment_of_the_accounts_money_is_no_pnl(
    breaks: PostgresBreaks, database: Database
) -> None:
    money = replace(
        ADJUSTMENT, symbol=None, quantity=Decimal(0), price=None, amount=Decimal("-3.5")
    )
    opened = await breaks.open(replace(FOUND, symbol=None, kind=BreakKind.BALANCE))
    assert await breaks.settle(opened.number, BreakDecision.VENUE, "ann", "fee", money)
    books = await PostgresReconciliations(database).books("ocx", "main")
    assert (books.adjusted, books.pnl, dict(books.positions)) == (Decimal("-3.5"), Decimal(0), {})


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (replace(ADJUSTMENT, account="else"), "is not what the break is of"),
        (replace(ADJUSTMENT, symbol="ETH-PERP"), "is not what the break is of"),
        (replace(ADJUSTMENT, price=None), "give its mid"),
        (replace(ADJUSTMENT, price=Decimal(0)), "give its mid"),
        (replace(ADJUSTMENT, price=Decimal("NaN")), "give its mid"),
        (replace(ADJUSTMENT, quantity=Decimal("Infinity")), "give numbers"),
    ],
)
async def test_what_cannot_be_booked_settles_nothing(
    breaks: PostgresBreaks, ledger: PostgresLedger, bad: Adjustment, sentence: str
) -> None:
    await ledger.remember_instrument(BTC)
    opened = await breaks.open(FOUND)
    with pytest.raises(ValueError, match=sentence):
        await breaks.settle(opened.number, BreakDecision.VENUE, "ann", "checked", bad)
    assert await breaks.standing() == (opened,)
    assert (await ledger.facts(MARKET, 0)).position == 0


async def test_recheck_books_nothing(breaks: PostgresBreaks, database: Database) -> None:
    opened = await breaks.open(FOUND)
    with pytest.raises(ValueError, match="'recheck' books nothing"):
        await breaks.settle(opened.number, BreakDecision.RECHECK, "ann", "", ADJUSTMENT)
    assert (await breaks.standing(), await count(database, "adjustments")) == ((opened,), 0)


async def test_an_unknown_instrument_settles_nothing(breaks: PostgresBreaks) -> None:
    opened = await breaks.open(FOUND)
    with pytest.raises(Unavailable, match="call remember_instrument"):
        await breaks.settle(opened.number, BreakDecision.VENUE, "ann", "checked", ADJUSTMENT)
    assert await breaks.standing() == (opened,)


AMOUNTS = st.decimals("-1000", "1000", places=5)


@settings(
    max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(parts=st.lists(st.tuples(AMOUNTS, st.decimals("0.01", "90000", places=2)), max_size=4))
async def test_adjustments_add_up_exactly(
    breaks: PostgresBreaks,
    ledger: PostgresLedger,
    database: Database,
    parts: list[tuple[Decimal, Decimal]],
) -> None:
    await ledger.remember_instrument(BTC)
    losses = PostgresLossBook(database)
    (before,) = await losses.pnl() or (None,)
    for quantity, price in parts:
        known = await breaks.recent(1)
        at = LONG_AFTER_MS + (known[0].number + 1 if known else 0)
        opened = await breaks.open(replace(FOUND, found_at_ms=at))
        moved = replace(ADJUSTMENT, quantity=quantity, price=price)
        assert await breaks.settle(opened.number, BreakDecision.VENUE, "ann", "so", moved)
    (after,) = await losses.pnl() or (None,)
    if after is None:
        return
    start_cash, start_held = (before.cash, before.quantity) if before else (Decimal(0), Decimal(0))
    assert after.quantity == start_held + sum(quantity for quantity, _ in parts)
    assert after.cash == start_cash - sum(quantity * price * 2 for quantity, price in parts)
