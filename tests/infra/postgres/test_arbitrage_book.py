"""A trade is recorded once, moves forward alone, and holds its capital until it settled."""

import asyncio
import random
from dataclasses import replace
from decimal import Decimal

import asyncpg
import pytest

from desk.arbitrage_records import (
    ClaimRecord,
    LockedTrade,
    SetLeg,
    SetTotals,
    TradeFired,
    TradeKey,
    TradeStage,
)
from desk.records import LedgerRecord
from desk.units import Side
from infra.postgres.arbitrage import PostgresArbitrageBook
from infra.postgres.engine import Database
from tests.infra.postgres.arbitrage_samples import NO, YES, fired, held, leg, looks, poorer
from tests.infra.postgres.conftest import StartWriter
from tests.infra.postgres.samples import decision, seen

pytestmark = pytest.mark.services

KEY = fired().key
LEGS = (
    SetLeg(market=YES, side=Side.BUY, epoch=7),
    SetLeg(market=NO, side=Side.BUY, epoch=3),
)


@pytest.fixture
def book(database: Database) -> PostgresArbitrageBook:
    return PostgresArbitrageBook(database)


async def balance(
    book: PostgresArbitrageBook, key: TradeKey = KEY, *, locked: str = "29"
) -> TradeStage | None:
    return await book.balanced(
        key,
        locked=[held(locked)],
        payout_expected=Decimal(29),
        edge=Decimal("0.5"),
        by="fills",
        reason="30 of 30 units complete",
    )


async def test_epochs_of_a_set_are_given_out_once(book: PostgresArbitrageBook) -> None:
    given = await asyncio.gather(
        *(book.open_set("rain", "outcomes", LEGS, f"w{n}", "run", beyond=0) for n in range(8))
    )
    assert sorted(given) == list(range(1, 9))
    assert await book.open_set("rain", "outcomes", LEGS, "w", "run", beyond=40) == 41
    assert await book.open_set("rain", "outcomes", LEGS, "w", "run", beyond=0) == 42
    assert await book.open_set("snow", "triangle", LEGS, "w", "run", beyond=0) == 1
    assert (await book.standing()).epochs == (("rain", 42), ("snow", 1))


async def test_what_the_writer_recorded_comes_back_whole(
    book: PostgresArbitrageBook, start_writer: StartWriter
) -> None:
    async with start_writer() as running:
        for number in (1, 2):
            for _ in range(3):
                running.writer.record(fired(number))
        running.writer.record(fired(1, set_name="snow", epoch=2))
        assert await running.writer.flush(10)
    newest, *_, oldest = await book.recent(10)
    assert newest.fired.key == TradeKey("snow", 2, 1)
    assert oldest.fired == fired(1)
    assert (oldest.stage, oldest.rounds, oldest.progress) == (TradeStage.FIRED, 0, ())
    assert (oldest.locked, oldest.payout, oldest.edge) == (fired().capital, None, None)
    (step,) = oldest.steps
    assert (step.stage, step.by, step.at_ms) == (
        TradeStage.FIRED,
        "worker a",
        fired().fired_at_ms,
    )
    assert [one.fired.key for one in await book.open_for("rain")] == [fired(1).key, fired(2).key]
    assert [one.fired.key.set_name for one in await book.recent(1, "snow")] == ["snow"]


async def test_a_trade_comes_through_the_spool_and_a_bad_one_blocks_nobody(
    book: PostgresArbitrageBook, start_writer: StartWriter
) -> None:
    async with start_writer(url="postgresql://app@127.0.0.1:1/none", drain_s=0.1) as running:
        running.writer.record(fired(1))
    bad: list[LedgerRecord] = [
        replace(fired(2), units=Decimal("NaN")),
        replace(fired(3), legs=(leg(3, YES), leg(3, YES))),
        replace(fired(4), capital=(held(-1),)),
    ]
    async with start_writer(name="next") as running:
        for record in (seen(1), *bad, fired(5), decision(1)):
            running.writer.record(record)
        assert not await running.writer.flush(10), "not everything is in PostgreSQL"
        running.writer.record(seen(2))
        assert await running.writer.flush(5)
    assert {one.fired.key.trade for one in await book.recent(10)} == {1, 5}
    assert [one.fired for one in await book.open_for("rain")] == [fired(1), fired(5)]


async def test_the_first_word_on_a_trade_stands(book: PostgresArbitrageBook) -> None:
    assert await book.opened(poorer(fired())) is TradeStage.FIRED
    assert await book.opened(fired()) is TradeStage.FIRED
    (one,) = await book.open_for("rain")
    assert one.fired == poorer(fired())


async def test_a_trade_that_comes_late_locks_nothing_again(
    book: PostgresArbitrageBook, start_writer: StartWriter
) -> None:
    await book.opened(poorer(fired()))
    settled = await book.settled(
        KEY, payout=Decimal(30), edge=Decimal(1), by="payout", reason="rain came true"
    )
    assert settled is TradeStage.SETTLED
    async with start_writer() as running:
        running.writer.record(fired())
        assert await running.writer.flush(10)
    assert await book.opened(fired()) is TradeStage.SETTLED
    assert await book.locked() == ()
    assert await book.open_for("rain") == ()


async def test_looks_at_what_is_owed_are_noted_in_order(book: PostgresArbitrageBook) -> None:
    await book.opened(fired())
    assert await book.progress(KEY, 2, looks(1, (30, 0), (10, 20))) is TradeStage.HEDGING
    assert await book.progress(KEY, 1, looks(1, (30, 0), (0, 30))) is TradeStage.HEDGING
    assert await book.progress(KEY, 2, looks(1, (0, 0), (0, 0))) is TradeStage.HEDGING
    (one,) = await book.open_for("rain")
    assert (one.rounds, one.progress) == (2, looks(1, (30, 0), (10, 20)))
    assert await book.progress(KEY, 3, looks(1, (30, 0))) is TradeStage.HEDGING
    assert await balance(book) is TradeStage.BALANCED
    assert await book.progress(KEY, 4, looks(1, (0, 0), (0, 0))) is TradeStage.BALANCED
    (one,) = await book.recent(1)
    assert one.rounds == 3
    assert sorted(one.progress, key=lambda look: look.client_order_id) == sorted(
        looks(1, (30, 0), (10, 20)), key=lambda look: look.client_order_id
    )
    assert [step.stage for step in one.steps] == [
        TradeStage.FIRED,
        TradeStage.HEDGING,
        TradeStage.BALANCED,
    ]


async def test_from_balanced_to_settled_only_forward(book: PostgresArbitrageBook) -> None:
    await book.opened(fired())
    assert await balance(book, locked="29") is TradeStage.BALANCED
    assert await balance(book, locked="99") is TradeStage.BALANCED
    assert await book.locked() == (held(29),)
    assert await book.hand_over(KEY, "ana", "the event was voided") is TradeStage.HANDED_OVER
    assert await balance(book, locked="99") is TradeStage.HANDED_OVER
    assert await book.locked() == (held(29),), "a person has it with all that is locked"
    for payout, word in ((Decimal(28), "paid"), (Decimal(0), "again")):
        told = await book.settled(KEY, payout=payout, edge=Decimal("-0.4"), by="ana", reason=word)
        assert told is TradeStage.SETTLED
    assert await book.hand_over(KEY, "ben", "late") is TradeStage.SETTLED
    (one,) = await book.recent(1)
    assert (one.payout, one.edge, one.locked) == (Decimal(28), Decimal("-0.4"), ())
    assert one.fired.payout_expected == Decimal(29)
    assert one.fired.capital == fired().capital, "what it claimed stays on record"
    assert [(step.stage.value, step.by, step.reason) for step in one.steps] == [
        ("fired", "worker a", ""),
        ("balanced", "fills", "30 of 30 units complete"),
        ("handed_over", "ana", "the event was voided"),
        ("settled", "ana", "paid"),
    ]


async def test_what_came_later_is_told_again_bit_by_bit(book: PostgresArbitrageBook) -> None:
    await book.opened(fired())

    async def retell(payout: int, locked: int, fills: int) -> TradeStage | None:
        return await book.retold(
            KEY, locked=[held(locked)], payout=Decimal(payout), edge=Decimal(payout), fills=fills
        )

    assert await retell(5, 1, 9) is TradeStage.FIRED, "nothing is held yet"
    assert await book.locked() == fired().capital
    await balance(book)
    assert await retell(10, 20, 4) is TradeStage.BALANCED
    assert await retell(90, 25, 3) is TradeStage.BALANCED, "fewer fills say it"
    assert await book.locked() == (held(20),)
    assert (await book.totals("rain")) == SetTotals(locked=Decimal(20), payout=Decimal(10))
    await book.settled(
        KEY, payout=Decimal(30), edge=Decimal(1), by="payout", reason="paid", fills=5
    )
    assert await retell(20, 7, 4) is TradeStage.SETTLED
    assert (await book.totals("rain")) == SetTotals(payout=Decimal(30))
    assert await retell(31, 7, 6) is TradeStage.SETTLED
    assert (await book.totals("rain")) == SetTotals(payout=Decimal(31)), "and nothing is locked"
    assert await book.totals("snow") == SetTotals()


async def test_trades_of_a_set_come_in_pages_by_their_keys_whatever_the_clocks_say(
    book: PostgresArbitrageBook,
) -> None:
    keys = [(2, 1), (1, 2), (1, 1), (10, 1)]
    for place, (epoch, number) in enumerate(keys):
        at_ms = fired().fired_at_ms + place
        await book.opened(replace(fired(number, epoch=epoch), fired_at_ms=at_ms))
    await book.opened(fired(1, set_name="snow"))
    wanted = [TradeKey("rain", *key) for key in sorted(keys)]
    first = await book.page("rain", None, 3)
    rest = await book.page("rain", first[-1].fired.key, 3)
    assert [one.fired.key for one in (*first, *rest)] == wanted
    assert await book.page("rain", wanted[-1], 3) == ()
    assert [one.fired.key for one in await book.recent(2, "rain")] == wanted[:-3:-1]
    await book.hand_over(wanted[0], "ana", "why")
    await book.settled(wanted[1], payout=Decimal(0), edge=Decimal(0), by="ana", reason="why")
    assert [one.fired.key for one in await book.unsettled("rain")] == [wanted[0], *wanted[2:]]


async def test_an_unknown_trade_is_told_and_nobody_settles_without_a_name(
    book: PostgresArbitrageBook,
) -> None:
    assert await balance(book) is None
    assert await book.progress(KEY, 1, looks(1, (1, 1), (1, 1))) is None
    told = await book.retold(KEY, locked=(), payout=Decimal(1), edge=Decimal(1), fills=1)
    assert told is None
    await book.opened(fired())
    for nobody in ("", " ", "fills"):
        with pytest.raises(ValueError, match="is not a person's name"):
            await book.hand_over(KEY, nobody, "why")
    with pytest.raises(ValueError, match="nobody is named"):
        await book.settled(KEY, payout=Decimal(1), edge=Decimal(1), by=" ", reason="why")


async def test_what_claims_are_rearmed_from(book: PostgresArbitrageBook, ledger_url: str) -> None:
    for number in range(1, 6):
        await book.opened(fired(number))
    await book.progress(fired(2).key, 1, ())
    await balance(book, fired(3).key)
    await book.hand_over(fired(4).key, "ana", "why")
    for number in (5, 6):
        await book.opened(fired(number))
        await book.settled(
            fired(number).key, payout=Decimal(0), edge=Decimal(0), by="ana", reason="why"
        )
    connection = await asyncpg.connect(ledger_url.replace("+asyncpg", ""))
    await connection.execute(
        "UPDATE arbitrage_trades SET settled_at = now() - interval '2 hours' WHERE trade = 6"
    )
    await connection.close()

    def locked(number: int, *, under_way: bool, **given: object) -> LockedTrade:
        told = {"capital": fired().capital, **given}
        return LockedTrade(
            key=fired(number).key,
            owner="worker a",
            under_way=under_way,
            **told,  # type: ignore[arg-type]
        )

    assert await book.standing() == ClaimRecord(
        trades=(
            locked(1, under_way=True),
            locked(2, under_way=True),
            locked(3, under_way=False, capital=(held(29),)),
            locked(4, under_way=False),
            locked(5, under_way=False, capital=()),
        )
    )
    assert await book.locked() == (
        held(Decimal("13.2") * 3 + 29),  # type: ignore[arg-type]
        held(Decimal("15.90") * 3, venue="x10"),  # type: ignore[arg-type]
    )


async def test_two_who_write_at_once_agree(book: PostgresArbitrageBook) -> None:
    trades = [fired(number) for number in range(1, 9)]
    choice = random.Random(7)

    async def write(some: list[TradeFired]) -> None:
        for trade in some:
            await book.opened(trade)
            await balance(book, trade.key)
            await book.settled(
                trade.key, payout=Decimal(1), edge=Decimal(1), by="payout", reason="paid"
            )

    await asyncio.gather(*(write(choice.sample(trades, len(trades))) for _ in range(3)))
    found = await book.recent(20)
    assert {one.fired.key for one in found} == {one.key for one in trades}
    assert {one.stage for one in found} == {TradeStage.SETTLED}
    assert all(len(one.steps) == 3 for one in found)
