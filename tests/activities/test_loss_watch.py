"""The watch of losses: positions nobody quotes, prices nobody marks, clocks nobody should trust."""

from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest
from temporalio.exceptions import ApplicationError

from activities.loss_messages import LatchMarketInput, WatchLossesInput
from activities.losses import ClockDiffers, LossActivities, look_at_losses, passed
from activities.market_day import open_market_day
from activities.marking import Marking
from desk.control_ports import LossBook
from desk.daily_loss import DayLimits, LossLimit, MarketPnl, scopes
from desk.errors import NotSent
from desk.identity import MarketId
from desk.orders import Fill
from desk.ports import Venue
from desk.records import KillEffect
from desk.risk.limits import RiskLimits
from desk.trading_day import TradingDay
from desk.units import Side
from tests.activities.conftest import MARKET, Desk, OpenDesk
from tests.activities.test_losses import MovedClock, bought_fifty_lots, held_at, now_ms, rows, today

SCOPE, ACCOUNT, _ = scopes(MARKET)
OTHER = MarketId("ocx", "main", "ETH-PERP")
LOOK = WatchLossesInput(window_s=0)


async def limited(desk: Desk, scope: str, **limits: Decimal) -> None:
    limit = LossLimit(scope=scope, limits=DayLimits(**limits), by="ana", reason="new")
    await desk.ports.losses.set_limit(limit)


def moved(desk: Desk, moved_ms: int) -> Desk:
    """The same desk by another machine's clock."""
    clock = MovedClock(desk.ports.clock, moved_ms=moved_ms)
    return replace(desk, ports=replace(desk.ports, clock=clock))


async def lost_fifty(desk: Desk, **limits: Decimal) -> None:
    """A position without a session lost fifty of a day that may lose so much."""
    await limited(desk, SCOPE, **limits)
    await held_at(desk, "60000")
    await look_at_losses(desk.ports, record=True)
    await held_at(desk, "50000")


@pytest.mark.parametrize(
    ("limits", "effect", "name"),
    [
        ({"hard": Decimal(20)}, KillEffect.FLATTEN, "max_daily_loss"),
        ({"soft": Decimal(20)}, KillEffect.REDUCE, "soft_daily_loss"),
    ],
)
async def test_a_position_without_a_session_has_its_markets_limit(
    open_desk: OpenDesk, limits: dict[str, Decimal], effect: KillEffect, name: str
) -> None:
    async with open_desk() as desk:
        losses = LossActivities(desk.ports)
        await desk.ports.board.rearm([])
        await lost_fifty(desk, **limits)
        (event,) = (await desk.run(losses.watch_losses, LOOK)).events
        assert (event.scope, event.finding.lost) == (SCOPE, Decimal(50))
        assert name in event.finding.sentence
        await desk.run(losses.latch_scope, event)
        (kill,) = await desk.ports.ledger.active_kills()
        assert (kill.scope, kill.effect) == (f"loss:{SCOPE}", effect)
        assert (await desk.run(losses.watch_losses, LOOK)).events == ()


async def test_a_market_that_a_session_holds_is_left_to_the_session(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        losses = LossActivities(desk.ports)
        await lost_fifty(desk, hard=Decimal(20))
        assert await desk.ports.lease.acquire(MARKET, 1, "worker/1", 60_000)
        assert (await desk.run(losses.watch_losses, LOOK)).events == ()
        assert await desk.ports.lease.release(MARKET, 1, "worker/1")
        assert len((await desk.run(losses.watch_losses, LOOK)).events) == 1


async def test_a_flat_market_that_lost_is_not_latched_again(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await lost_fifty(desk, hard=Decimal(20))
        sold = replace(bought_fifty_lots(), side=Side.SELL, price=500_000, trade_id="sold")
        await booked(desk, sold)
        picture = await look_at_losses(desk.ports, record=True)
    assert [row.now - row.start for row in picture.scopes if row.scope == SCOPE] == [Decimal(-50)]
    assert passed(picture) == ()


async def booked(desk: Desk, *fills: Fill) -> None:
    await desk.ports.ledger.book_fills(MARKET, fills)


async def test_a_position_nobody_marks_is_marked_at_the_venues_mid(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await held_at(moved(desk, -600_000), "90000")
        picture = await look_at_losses(desk.ports, record=False)
        assert picture.old_marks == (MARKET.path,)
        await Marking(desk.ports).round()
        assert await desk.ports.writer.flush(5)
        (item,) = await desk.ports.losses.pnl()
        picture = await look_at_losses(desk.ports, record=False)
    assert item.mid is not None
    assert item.mid != Decimal(90_000)
    assert item.pnl == item.marked_pnl
    assert picture.old_marks == ()


async def test_a_mark_that_is_fresh_is_left_alone(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await held_at(desk, "90000")
        await Marking(desk.ports).round()
        assert await desk.ports.writer.flush(5)
        (item,) = await desk.ports.losses.pnl()
    assert item.mid == Decimal(90_000)


class Away:
    """No venue can be reached."""

    async def venue(self, name: str, account: str) -> Venue:
        raise NotSent(f"{name}/{account}: no line")


async def test_a_price_that_stays_old_is_told_once(open_desk: OpenDesk, database_url: str) -> None:
    async with open_desk() as desk:
        await held_at(moved(desk, -600_000), "60000")
        marking = Marking(replace(desk.ports, venues=Away()))
        for _ in range(3):
            await marking.round()
    ((said,),) = await rows(database_url, "SELECT text FROM alerts WHERE text LIKE '%old price%'")
    assert MARKET.path in str(said)
    assert "no line" in str(said)


@pytest.mark.parametrize("moved_ms", [86_400_000, -86_400_000, 6_000])
async def test_a_worker_with_a_wrong_clock_judges_no_day(
    open_desk: OpenDesk, database_url: str, moved_ms: int
) -> None:
    async with open_desk() as desk:
        await held_at(desk, "60000")
        wrong = moved(desk, moved_ms)
        losses = LossActivities(wrong.ports)
        for _ in range(2):
            with pytest.raises(ApplicationError, match="clock: worker") as refusal:
                await wrong.run(losses.watch_losses, LOOK)
            assert not refusal.value.non_retryable, "another worker may"
        with pytest.raises(ClockDiffers):
            await look_at_losses(wrong.ports, record=True)
        days = await rows(database_url, "SELECT began_at FROM trading_days")
        alarms = await rows(database_url, "SELECT text FROM alerts WHERE severity = 'critical'")
    assert days == []
    assert len(alarms) == 1


async def test_a_session_opens_the_day_that_the_record_is_in(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        day = await open_market_day(moved(desk, 86_400_000).ports, MARKET, RiskLimits())
        assert day.day == today(desk.ports)


@dataclass(slots=True)
class GivenPnl:
    """The record of losses with PnL as a test says."""

    inner: LossBook
    items: list[MarketPnl] = field(default_factory=list)

    async def pnl(
        self, at_ms: int | None = None, market: MarketId | None = None
    ) -> list[MarketPnl]:
        del at_ms, market
        return self.items

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


@pytest.mark.parametrize("marked", [None, Decimal(-500)])
async def test_a_market_without_a_price_makes_no_peak_and_no_drawdown(
    open_desk: OpenDesk, marked: Decimal | None
) -> None:
    async with open_desk() as desk:
        await limited(desk, "fleet", hard=Decimal(300), drawdown=Decimal(300))
        given = GivenPnl(inner=desk.ports.losses)
        ports = replace(desk.ports, losses=given)  # type: ignore[arg-type]
        for priced, one, two in ((True, 0, 0), (True, 500, -500), (False, 500, -500)) * 2:
            given.items = [
                MarketPnl(market=MARKET, cash=Decimal(one)),
                MarketPnl(market=OTHER, cash=Decimal(two), priced=priced, marked_pnl=marked),
            ]
            picture = await look_at_losses(ports, record=True)
            assert passed(picture) == ()
            fleet = picture.scopes[0]
            assert fleet.peak == 0
            if marked is not None and one:
                assert fleet.now == 0, "its last known PnL is carried forward"


async def test_a_day_that_ended_while_its_session_left_is_told_and_keeps_nobody_out(
    open_desk: OpenDesk, database_url: str
) -> None:
    async with open_desk() as desk:
        over = TradingDay(begins_ms=0, ends_ms=now_ms(desk.ports) - 1_000)
        request = LatchMarketInput(
            market=MARKET, epoch=1, reason="lost 5.00", until_ms=over.ends_ms
        )
        report = await desk.run(LossActivities(desk.ports).latch_market, request)
        assert report.until_ms == over.ends_ms
        assert await desk.ports.ledger.active_kills() == ()
    assert len(await rows(database_url, "SELECT 1 FROM alerts WHERE severity = 'critical'")) == 1
