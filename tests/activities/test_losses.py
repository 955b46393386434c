"""Loss limits on real services: whatever was lost, restarted or emptied, a latched day stays so."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
import redis.asyncio
from sqlalchemy import text
from temporalio.exceptions import ApplicationError

from activities.loss_messages import LatchMarketInput, LossEvent, WatchLossesInput
from activities.losses import LossActivities, look_at_losses, passed, put_latch
from activities.market_day import DayKeeper, open_market_day
from activities.messages import PreflightInput, SessionInput, SessionResult
from activities.ports import ActivityPorts
from desk.control_ports import LossBook
from desk.daily_loss import DayFacts, DayLimits, LossLimit, MarketDay, scopes
from desk.lifecycle import SessionReason
from desk.orders import Fill, Liquidity
from desk.quoting.parameters import QuoteParameters
from desk.records import EquityMark, Kill, KillEffect
from desk.risk.limits import RiskLimits
from desk.trading_day import DayRule, TradingDay, moment
from desk.units import NS_PER_MS, Side
from flotilla.board_keeper import keep_board
from infra.postgres.engine import open_database
from tests.activities.conftest import MARKET, Desk, OpenDesk

QUOTE = QuoteParameters(spread_bps=Decimal(5), min_spread_bps=Decimal(1))
PREFLIGHT = PreflightInput(
    market=MARKET, parameters=QuoteParameters(), limits=RiskLimits(), run_id="run"
)
SCOPE = scopes(MARKET)[0]
ACCOUNT = scopes(MARKET)[1]


@dataclass(slots=True)
class MovedClock:
    """The machine's clock, moved by some milliseconds."""

    inner: object
    moved_ms: int = 0

    def monotonic_ns(self) -> int:
        return self.inner.monotonic_ns()  # type: ignore[attr-defined, no-any-return]

    def wall_ns(self) -> int:
        return self.inner.wall_ns() + self.moved_ms * NS_PER_MS  # type: ignore[attr-defined, no-any-return]


@dataclass(slots=True)
class MovedRecord:
    """The record of losses, whose clock is that of somebody else."""

    inner: LossBook
    clock: MovedClock

    async def now_ms(self) -> int:
        return self.clock.wall_ns() // NS_PER_MS

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


def now_ms(ports: ActivityPorts) -> int:
    return ports.clock.wall_ns() // NS_PER_MS


def today(ports: ActivityPorts) -> TradingDay:
    return ports.days.day_at(now_ms(ports))


async def began_at(ports: ActivityPorts, start: str, scope: str = SCOPE) -> DayFacts:
    """Say that today began with so much PnL: what a session makes now is measured from there."""
    facts = DayFacts(scope=scope, day=today(ports), start=Decimal(start), peak=Decimal(start))
    return await ports.losses.note(facts)


async def quote(desk: Desk, seconds: float, **limits: Decimal) -> SessionResult:
    request = SessionInput(
        market=MARKET,
        life_epoch=1,
        parameters=QUOTE,
        limits=RiskLimits(**limits),  # type: ignore[arg-type]
        run_id="run",
        window_s=max(1, int(seconds)),
    )
    return await desk.run(desk.activities.quote_session, request)


async def rows(database_url: str, query: str) -> list[tuple[object, ...]]:
    database = open_database(database_url)
    try:
        found = await database.transaction(lambda connection: connection.execute(text(query)))
        return [tuple(row) for row in found]
    finally:
        await database.close()


def bought_fifty_lots() -> Fill:
    return Fill(
        venue="ocx",
        account="main",
        symbol="BTC-PERP",
        trade_id="bought",
        side=Side.BUY,
        price=600_000,
        lots=50,
        liquidity=Liquidity.MAKER,
        fee=Decimal(0),
        fee_estimated=False,
        traded_at_ms=1_700_000_000_000,
    )


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.02)


def latch_of(ports: ActivityPorts, scope: str, effect: KillEffect) -> Kill:
    return Kill(
        scope=f"loss:{scope}",
        reason="lost 30.00 since the start of the day",
        by="daily loss",
        at_ms=now_ms(ports),
        effect=effect,
        until_ms=today(ports).ends_ms,
    )


async def _nothing(desk: Desk, redis_url: str) -> None:
    del desk, redis_url


async def _emptied(desk: Desk, redis_url: str) -> None:
    del desk
    client = redis.asyncio.Redis.from_url(redis_url)
    await client.flushdb()
    await client.aclose()


async def _forgotten(desk: Desk, redis_url: str) -> None:
    """The board is armed, and this latch alone is missing on it."""
    await _emptied(desk, redis_url)
    await desk.ports.board.rearm([])


@pytest.mark.parametrize("effect", [KillEffect.FLATTEN, KillEffect.REDUCE])
@pytest.mark.parametrize("scope", scopes(MARKET))
@pytest.mark.parametrize("lost", [_nothing, _emptied, _forgotten])
async def test_a_latched_day_refuses_the_start_and_says_when_it_may(
    open_desk: OpenDesk, redis_url: str, lost: Callable[..., object], scope: str, effect: KillEffect
) -> None:
    async with open_desk() as desk:
        latch = await put_latch(desk.ports, latch_of(desk.ports, scope, effect))
    async with open_desk() as desk:  # every connection is new
        await lost(desk, redis_url)  # type: ignore[misc]
        with pytest.raises(ApplicationError, match="stopped at scope loss:") as refusal:
            await desk.run(desk.activities.preflight, PREFLIGHT)
    assert refusal.value.non_retryable
    assert latch.until_ms is not None
    assert f"it may start again at {moment(latch.until_ms)}" in str(refusal.value)
    assert "since the start of the day" in str(refusal.value)


@pytest.mark.parametrize("lost", [_emptied, _forgotten])
async def test_a_latch_the_board_forgot_lets_no_order_out(
    open_desk: OpenDesk, redis_url: str, lost: Callable[..., object]
) -> None:
    async with open_desk() as desk:
        await put_latch(desk.ports, latch_of(desk.ports, ACCOUNT, KillEffect.FLATTEN))
        await lost(desk, redis_url)  # type: ignore[misc]
        result = await quote(desk, 5)
    assert result.reason is SessionReason.KILLED_FLATTEN
    assert result.progress.requotes == 0


async def test_a_latched_day_is_over_by_itself(open_desk: OpenDesk) -> None:
    async with open_desk() as desk, asyncio.TaskGroup() as tasks, asyncio.timeout(40):
        soon = replace(
            latch_of(desk.ports, ACCOUNT, KillEffect.FLATTEN), until_ms=now_ms(desk.ports) + 1_500
        )
        await put_latch(desk.ports, soon)
        with pytest.raises(ApplicationError, match="it may start again at"):
            await desk.run(desk.activities.preflight, PREFLIGHT)
        keeping = tasks.create_task(keep_board(desk.ports))
        while await desk.ports.ledger.active_kills():
            await asyncio.sleep(0.05)
        while await desk.ports.board.kills(MARKET):
            await asyncio.sleep(0.05)
        await desk.run(desk.activities.preflight, PREFLIGHT)
        keeping.cancel()


async def test_a_latch_of_another_account_stops_nobody(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await put_latch(desk.ports, latch_of(desk.ports, "account:ocx/else", KillEffect.FLATTEN))
        await desk.run(desk.activities.preflight, PREFLIGHT)


async def test_a_day_that_is_lost_already_is_found_before_the_first_order(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        facts = await began_at(desk.ports, "1000")
        result = await quote(desk, 20, max_daily_loss=Decimal(999))
        assert desk.venue.engine.open_orders("main") == []
    assert result.reason is SessionReason.DAILY_LOSS
    assert result.progress.requotes == 0
    assert result.message.startswith("lost 1000.00 since the start of the day")
    assert result.message.endswith("more than max_daily_loss 999")
    assert result.day_ends_ms == facts.day.ends_ms


async def test_a_session_opens_its_day_once_with_the_venues_word_beside_it(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        await quote(desk, 1, max_daily_loss=Decimal(50))
        first = (await desk.ports.losses.facts(today(desk.ports)))[SCOPE]
        await quote(desk, 1, max_daily_loss=Decimal(50))
        second = (await desk.ports.losses.facts(today(desk.ports)))[SCOPE]
        limits = (await desk.ports.losses.limits())[SCOPE]
    assert (first.start, first.equity) == (Decimal(0), Decimal(100_000))
    assert (second.start, second.equity) == (first.start, first.equity)
    assert limits.limits == DayLimits(hard=Decimal(50))


async def test_a_soft_loss_is_latched_durably_and_the_session_goes_on(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await began_at(desk.ports, "1000")
        async with asyncio.TaskGroup() as tasks:
            session = tasks.create_task(quote(desk, 4, soft_daily_loss=Decimal(10)))
            async with asyncio.timeout(30):
                while not (active := await desk.ports.ledger.active_kills()):
                    assert not session.done()
                    await asyncio.sleep(0.05)
            (kill,) = active
            result = await session
        assert kill in await desk.ports.board.kills(MARKET)
        alerts = await desk.ports.ledger.alerts(0)  # type: ignore[attr-defined]
        day = today(desk.ports)
    assert result.reason is SessionReason.WINDOW
    assert (kill.effect, kill.until_ms) == (KillEffect.REDUCE, day.ends_ms)
    assert kill.scope == f"loss:{SCOPE}"
    (alert,) = [alert for alert in alerts if "soft_daily_loss" in alert.text]
    assert "no new risk is taken; it may take risk again at" in alert.text


async def test_a_flat_market_shows_nothing_under_a_soft_loss(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await began_at(desk.ports, "1000")
        result = await quote(desk, 3, soft_daily_loss=Decimal(10))
    assert result.reason is SessionReason.WINDOW
    assert result.progress.requotes == 0


async def test_a_latch_is_durable_told_and_explained_once(
    open_desk: OpenDesk, database_url: str
) -> None:
    async with open_desk() as desk:
        await desk.run(desk.activities.preflight, PREFLIGHT)
        async with asyncio.TaskGroup() as tasks:
            session = tasks.create_task(quote(desk, 30))
            await until(lambda: bool(desk.venue.engine.position("main", MARKET.symbol).lots))
            session.cancel()
        losses = LossActivities(desk.ports)
        request = LatchMarketInput(market=MARKET, epoch=2, reason="lost 5.00 since the start")
        report = await desk.run(losses.latch_market, request)
        again = await desk.run(losses.latch_market, request)
        assert again == report, "one latch, however often it is asked for"
        assert report.until_ms == today(desk.ports).ends_ms
    decisions = await rows(
        database_url, "SELECT evidence FROM control_decisions WHERE kind LIKE 'daily loss: hard%'"
    )
    ((evidence,),) = set(decisions)
    (market,) = json.loads(str(evidence))
    assert market["market"] == MARKET.path
    assert Decimal(market["position"]) != 0
    assert {"cash", "fees", "mid", "pnl", "start", "venue_equity_at_start"} <= set(market)
    alerts = await rows(database_url, "SELECT text FROM alerts WHERE severity = 'critical'")
    assert all("it may start again at" in str(said) for (said,) in alerts)
    assert all("docs/runbooks/daily-loss.md" in str(said) for (said,) in alerts)
    assert alerts


async def held_at(desk: Desk, mid: str) -> None:
    """The books hold a long position, marked at this price now."""
    ports = desk.ports
    venue = await ports.venues.venue("ocx", "main")
    (instrument,) = [one for one in await venue.instruments() if one.symbol == MARKET.symbol]
    await ports.ledger.remember_instrument(instrument)
    await ports.ledger.book_fills(MARKET, [bought_fifty_lots()])
    ports.writer.record(
        EquityMark(
            market=MARKET,
            epoch=1,
            pnl=Decimal(0),
            peak=Decimal(0),
            position=50,
            mid=Decimal(mid),
            at_ms=now_ms(ports),
        )
    )
    assert await ports.writer.flush(5)


@pytest.mark.parametrize(
    ("limits", "effect", "words"),
    [
        (DayLimits(soft=Decimal(20)), KillEffect.REDUCE, "since the start of the day"),
        (DayLimits(hard=Decimal(20)), KillEffect.FLATTEN, "since the start of the day"),
        (DayLimits(drawdown=Decimal(20)), KillEffect.FLATTEN, "below the day's peak"),
    ],
)
@pytest.mark.parametrize("scope", [ACCOUNT, "fleet"])
async def test_a_limit_of_account_or_fleet_is_latched_once(
    open_desk: OpenDesk, scope: str, limits: DayLimits, effect: KillEffect, words: str
) -> None:
    async with open_desk() as desk:
        ports, losses = desk.ports, LossActivities(desk.ports)
        look = WatchLossesInput(window_s=0)
        await ports.board.rearm([])
        await ports.losses.set_limit(LossLimit(scope=scope, limits=limits, by="ana", reason="new"))
        await held_at(desk, "60000")  # 50 lots of 0.0001 at 60000
        assert (await desk.run(losses.watch_losses, look)).events == ()
        await held_at(desk, "50000")  # ten thousand lower: 50 lost
        report = await desk.run(losses.watch_losses, look)
        (event,) = report.events
        assert isinstance(event, LossEvent)
        assert (event.scope, event.finding.lost) == (scope, Decimal(50))
        assert words in event.finding.sentence
        await desk.run(losses.latch_scope, event)
        after = await desk.run(losses.watch_losses, look)
        assert after.events == ()
        (kill,) = await ports.board.kills(MARKET)
        assert (kill.effect, kill.until_ms) == (effect, today(ports).ends_ms)
        assert (kill,) == tuple(await ports.ledger.active_kills())
        row = next(row for row in after.picture.scopes if row.scope == scope)
        assert (row.latch, row.latch_until_ms) == (effect, kill.until_ms)


async def test_a_day_that_is_over_latches_nothing(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        limits = DayLimits(hard=Decimal(20))
        await desk.ports.losses.set_limit(
            LossLimit(scope="fleet", limits=limits, by="ana", reason="new")
        )
        await held_at(desk, "60000")
        await look_at_losses(desk.ports, record=True)
        await held_at(desk, "50000")
        picture = await look_at_losses(desk.ports, record=True)
    assert [event.scope for event in passed(picture)] == ["fleet"]
    assert passed(replace(picture, at_ms=picture.ends_ms)) == ()


async def test_a_watch_returns_as_soon_as_a_limit_is_set(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        losses = LossActivities(desk.ports)
        await held_at(desk, "60000")
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(
                desk.run(losses.watch_losses, WatchLossesInput(window_s=300))
            )
            number = 0
            while not watching.done():
                number += 1
                limits = DayLimits(hard=Decimal(number))
                await desk.ports.losses.set_limit(
                    LossLimit(scope="fleet", limits=limits, by="ana", reason="new")
                )
                await asyncio.sleep(0.1)
            report = await watching
    fleet = report.picture.scopes[0]
    assert fleet.scope == "fleet"
    assert fleet.limits.hard is not None


async def test_a_hard_latch_takes_the_soft_ones_place_on_the_board(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await desk.ports.board.rearm([])
        soft = await put_latch(desk.ports, latch_of(desk.ports, SCOPE, KillEffect.REDUCE))
        hard = await put_latch(desk.ports, latch_of(desk.ports, SCOPE, KillEffect.FLATTEN))
        assert await put_latch(desk.ports, replace(soft, at_ms=hard.at_ms + 9)) == hard
        assert await desk.ports.board.kills(MARKET) == (hard,)
        assert await desk.ports.board.named(hard.scope) == {hard.at_ms}


async def test_the_next_day_begins_with_what_the_last_one_ended(open_desk: OpenDesk) -> None:
    """A session that runs over the boundary: new start, recorded; soft limit over; peak anew."""
    async with open_desk() as desk:
        clock = MovedClock(desk.ports.clock)
        record = MovedRecord(inner=desk.ports.losses, clock=clock)
        ports = replace(desk.ports, clock=clock, days=DayRule(), losses=record)  # type: ignore[arg-type]
        day = await open_market_day(ports, MARKET, RiskLimits(soft_daily_loss=Decimal(5)))
        keeper = DayKeeper(ports=ports, market=MARKET, day=day)
        await held_at(desk, "50000")
        day.saw(Decimal(-50))
        await keeper.keep()
        assert (await ports.ledger.active_kills())[0].effect is KillEffect.REDUCE
        old = day.day
        clock.moved_ms = old.ends_ms - now_ms(ports) + 1_000
        await keeper.keep()
        assert day.day.begins_ms == old.ends_ms
        assert day.reduction is None
        recorded = (await ports.losses.facts(day.day))[SCOPE]
        assert day.facts == recorded
        assert (recorded.start, recorded.peak) == (Decimal(-50), Decimal(-50))
        assert day.saw(Decimal(-54)).sentence == ""


async def test_a_day_whose_start_has_no_price_begins_with_the_first_pnl_seen(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        await held_at(desk, "60000")
        # The mark is younger than this boundary, and the position older.
        day = TradingDay(begins_ms=now_ms(desk.ports) - 60_000, ends_ms=now_ms(desk.ports) + 60_000)
        market_day = MarketDay(MARKET, DayLimits(hard=Decimal(10)), day, None)
        keeper = DayKeeper(ports=desk.ports, market=MARKET, day=market_day)
        market_day.saw(Decimal(-7))
        await keeper.keep()
        assert (await desk.ports.losses.facts(day))[SCOPE].start == Decimal(-7)


async def test_what_is_looked_at_for_a_person_is_not_recorded(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await held_at(desk, "50000")
        picture = await look_at_losses(desk.ports, record=False)
        assert [row.scope for row in picture.scopes] == ["fleet", ACCOUNT, SCOPE]
        assert await desk.ports.losses.facts(today(desk.ports)) == {}
