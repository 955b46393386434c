"""Days, limits and latches in PostgreSQL: recorded once, grown only, given way to harder ones."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from desk.daily_loss import DayFacts, DayLimits, LossLimit, MarketPnl
from desk.identity import MarketId
from desk.records import Kill, KillEffect
from desk.trading_day import TradingDay
from desk.units import Side
from infra.postgres.engine import Database
from infra.postgres.losses import PostgresLossBook
from infra.postgres.reader import PostgresLedger
from tests.infra.postgres.conftest import StartWriter
from tests.infra.postgres.samples import BTC, MARKET, OTHER, START_MS, fill, mark

DAY = TradingDay(begins_ms=START_MS, ends_ms=START_MS + 86_400_000)
LATCH = Kill(
    scope=f"loss:market:{MARKET.path}",
    reason="lost 30.00 since the start of the day",
    by="daily loss",
    at_ms=START_MS + 5,
    effect=KillEffect.FLATTEN,
    until_ms=DAY.ends_ms,
)
SOFT = replace(LATCH, effect=KillEffect.REDUCE, at_ms=START_MS + 3)


@pytest.fixture
def losses(database: Database) -> PostgresLossBook:
    return PostgresLossBook(database)


def facts(start: str, peak: str, equity: str | None = None) -> DayFacts:
    return DayFacts(
        scope="fleet",
        day=DAY,
        start=Decimal(start),
        peak=Decimal(peak),
        equity=None if equity is None else Decimal(equity),
    )


async def test_a_days_start_is_recorded_once_and_its_peak_only_grows(
    losses: PostgresLossBook,
) -> None:
    assert await losses.note(facts("10", "10")) == facts("10", "10")
    assert await losses.note(facts("99", "25", "500")) == facts("10", "25", "500")
    assert await losses.note(facts("-9", "-9", "700")) == facts("10", "25", "500")
    assert await losses.facts(DAY) == {"fleet": facts("10", "25", "500")}
    assert await losses.facts(replace(DAY, begins_ms=DAY.ends_ms)) == {}


async def test_everybody_who_opens_a_day_at_once_hears_the_same_start(
    losses: PostgresLossBook,
) -> None:
    heard = await asyncio.gather(*(losses.note(facts(str(n), str(n))) for n in range(8)))
    assert len({one.start for one in heard}) == 1


async def test_pnl_at_a_moment_is_the_fills_until_then_at_the_last_mid_until_then(
    ledger: PostgresLedger, losses: PostgresLossBook, start_writer: StartWriter
) -> None:
    await ledger.remember_instrument(BTC)
    await ledger.book_fills(
        MARKET, [fill(10, price=100), fill(20, price=110, side=Side.SELL, lots=1), fill(30)]
    )
    async with start_writer() as written:
        written.writer.record(mark(9))
        written.writer.record(replace(mark(20), mid=Decimal(60)))
        written.writer.record(replace(mark(25), mid=Decimal(70)))
        assert await written.writer.flush(5)
    # Ticks of 0.5, lots of 0.001 and a multiplier of 2: three lots at 100 ticks cost 0.3.
    (at,) = await losses.pnl(START_MS + 20, MARKET)
    assert (at.cash, at.fees, at.quantity) == (
        Decimal("-0.3") + Decimal("0.11"),
        Decimal("0.02"),
        Decimal("0.002"),
    )
    assert (at.mid, at.marked_at_ms) == (Decimal(60), START_MS + 20)
    assert at.pnl == Decimal("-0.19") - Decimal("0.02") + Decimal("0.002") * 2 * 60
    (now,) = await losses.pnl()
    folded = await ledger.facts(MARKET, 0)
    assert (now.cash, now.fees) == (folded.cash, folded.fees)
    assert now.mid == Decimal(70)
    (before,) = await losses.pnl(START_MS + 5)
    assert (before.quantity, before.pnl) == (Decimal(0), Decimal(0))
    assert before.mid is None


async def test_pnl_of_one_market_is_not_anothers(
    ledger: PostgresLedger, losses: PostgresLossBook
) -> None:
    await ledger.remember_instrument(BTC)
    await ledger.remember_instrument(replace(BTC, symbol=OTHER.symbol))
    await ledger.book_fills(MARKET, [fill(1)])
    await ledger.book_fills(OTHER, [fill(2, market=OTHER, price=7)])
    assert [one.market for one in await losses.pnl()] == [MARKET, OTHER]
    (other,) = await losses.pnl(market=OTHER)
    assert other.cash == Decimal("-0.021")
    assert await losses.pnl(market=MarketId("ocx", "else", "BTC-PERP")) == ()


async def test_fills_that_nobody_can_price_have_no_pnl(
    losses: PostgresLossBook, start_writer: StartWriter, ledger: PostgresLedger
) -> None:
    await ledger.book_fills(MARKET, [fill(1)])
    (found,) = await losses.pnl()
    assert isinstance(found, MarketPnl)
    assert found.pnl is None


async def test_limits_are_versions_and_the_newest_holds(losses: PostgresLossBook) -> None:
    first = LossLimit(
        scope="fleet", limits=DayLimits(soft=Decimal(5), hard=Decimal(9)), by="ana", reason="new"
    )
    off = replace(first, limits=DayLimits(drawdown=Decimal(4)), by="bo", reason="other reference")
    for limit in (first, off):
        await losses.set_limit(limit)
    (found,) = (await losses.limits()).values()
    assert replace(found, set_at_ms=0) == off
    assert found.set_at_ms > 0


async def test_a_hard_latch_replaces_a_soft_one_and_never_the_other_way_round(
    losses: PostgresLossBook, ledger: PostgresLedger
) -> None:
    assert await losses.latch(SOFT) == SOFT
    assert await losses.latch(LATCH) == LATCH
    assert await losses.latch(replace(SOFT, at_ms=LATCH.at_ms + 1)) == LATCH
    assert await losses.latch(replace(LATCH, at_ms=LATCH.at_ms + 2)) == LATCH
    assert await ledger.active_kills() == (LATCH,)


async def test_a_hard_latch_of_the_same_moment_is_another_kill(
    losses: PostgresLossBook, ledger: PostgresLedger
) -> None:
    await losses.latch(SOFT)
    hard = await losses.latch(replace(LATCH, at_ms=SOFT.at_ms))
    assert hard.at_ms == SOFT.at_ms + 1
    assert await ledger.active_kills() == (hard,)


async def test_many_latches_at_once_leave_one_in_force_and_it_is_the_hardest(
    losses: PostgresLossBook, ledger: PostgresLedger
) -> None:
    wanted = [
        replace(LATCH if n % 2 else SOFT, at_ms=START_MS + n, reason=str(n)) for n in range(8)
    ]
    async with asyncio.timeout(20):
        answers = await asyncio.gather(*(losses.latch(one) for one in wanted))
    (standing,) = await ledger.active_kills()
    assert standing.effect is KillEffect.FLATTEN
    hard = {one for one in answers if one.effect is KillEffect.FLATTEN}
    assert hard == {standing}


async def test_a_latch_leaves_kills_of_other_scopes_alone(
    losses: PostgresLossBook, ledger: PostgresLedger
) -> None:
    person = Kill(scope=f"market:{MARKET.path}", reason="drill", by="ana", at_ms=START_MS)
    await ledger.set_kill(person)
    await losses.latch(LATCH)
    assert set(await ledger.active_kills()) == {person, LATCH}
