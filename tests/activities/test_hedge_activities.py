"""A hedge on real parts: the debt is written before the order, and only fills or a name end it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.hedge import HedgeActivities
from activities.hedge_messages import (
    HedgeLook,
    HedgePlan,
    HedgeSliceInput,
    LeaveHedgeInput,
    OpenHedgeInput,
    ReleaseHedgeInput,
    WatchHedgeInput,
)
from activities.messages import SessionInput
from desk.hedging import HedgeRule, HedgeState
from desk.identity import MarketId
from desk.lifecycle import SessionReason
from desk.orders import Fill, Liquidity
from desk.quoting.parameters import QuoteParameters
from desk.records import HedgeObligation, Kill
from desk.risk.limits import RiskLimits
from desk.units import Side
from quoting.hedge import HedgeSliceReport
from tests.activities.conftest import MARKET, Desk, OpenDesk
from venues.ocx.simulator.faults import Fault, FaultKind
from venues.ocx.simulator.settings import DEFAULT_MARKETS

T = TypeVar("T")

HEDGE = MarketId("ocx", "main", "ETH-PERP")
BULK = "*/quotes/bulk"
PLAN = HedgePlan(
    source=MARKET,
    hedge=HEDGE,
    owner="hedge/test",
    rule=HedgeRule(threshold=Decimal("0.5"), release=Decimal("0.1")),
    slice_notional=Decimal(2_000),
    max_slippage_bps=Decimal(100),
    limits=RiskLimits(),
    check_every_s=1,
    lease_ttl_ms=15_000,
)


class Hedger:
    """The activities as the workflow calls them, one after the other."""

    def __init__(self, desk: Desk, plan: HedgePlan = PLAN) -> None:
        self.desk, self.plan = desk, plan
        self.activities = HedgeActivities(desk.ports)
        self.state, self.obligation, self.waived = HedgeState.WATCHING, None, 0
        self.epoch = self.step = 0
        self._trades = 0
        desk.venue.pump.set_quiet(HEDGE.symbol, quiet=True)

    async def call(
        self, work: Callable[..., Awaitable[T]], request: object, *, attempt: int = 1
    ) -> T:
        environment = ActivityEnvironment(client=self.desk.client)
        environment.info = replace(environment.info, attempt=attempt)
        return await environment.run(work, request)

    async def open(self, *, attempt: int = 1) -> None:
        request = OpenHedgeInput(plan=self.plan, run_id="run")
        report = await self.call(self.activities.open_hedge, request, attempt=attempt)
        self.epoch = report.epoch

    async def watch(self, window_s: int = 0, **changes: Any) -> HedgeLook:
        known: dict[str, Any] = {
            "plan": self.plan,
            "epoch": self.epoch,
            "run_id": "run",
            "state": self.state,
            "obligation": self.obligation,
            "waived": self.waived,
            "window_s": window_s,
        }
        request = WatchHedgeInput(**{**known, **changes})
        look = await self.call(self.activities.watch_hedge, request)
        self.state, self.obligation, self.epoch = look.state, look.obligation, look.epoch  # type: ignore[assignment]
        self.waived = look.waived
        return look

    async def send(self, look: HedgeLook, *, attempt: int = 1) -> HedgeSliceReport:
        request = HedgeSliceInput(
            plan=self.plan,
            epoch=look.epoch,
            step=self.step,
            position=look.position,
            lots=look.part_lots,
            reduce_only=look.reduce_only,
        )
        report = await self.call(self.activities.send_hedge_slice, request, attempt=attempt)
        self.step += report.spent
        return report

    async def work_off(self) -> HedgeLook:
        """Watch and send until nothing is left to send."""
        for _ in range(20):
            look = await self.watch()
            if not look.part_lots:
                return look
            report = await self.send(look)
        raise AssertionError(f"not worked off: {look} {report}")

    async def hold(self, quantity: str) -> None:
        """Have the ledger say that the source market holds so much."""
        ledger = self.desk.ports.ledger
        venue = await self.desk.ports.venues.venue("ocx", "main")
        listed = await venue.instruments()
        (instrument,) = [item for item in listed if item.symbol == MARKET.symbol]
        await ledger.remember_instrument(instrument)
        wanted = instrument.exact_lots(Decimal(quantity))
        change = wanted - (await ledger.facts(MARKET, 0)).position
        if not change:
            return
        self._trades += 1
        fill = Fill(
            venue="ocx",
            account="main",
            symbol=MARKET.symbol,
            trade_id=f"source-{self._trades}",
            side=Side.BUY if change > 0 else Side.SELL,
            price=600_000,
            lots=abs(change),
            liquidity=Liquidity.MAKER,
            fee=Decimal(0),
            fee_estimated=False,
            traded_at_ms=1_700_000_000_000 + self._trades,
        )
        assert await ledger.book_fills(MARKET, [fill]) == 1

    @property
    def held(self) -> int:
        """Lots the venue says we hold at the hedge market."""
        return self.desk.venue.engine.position("main", HEDGE.symbol).lots

    def orders(self) -> list[dict[str, Any]]:
        """Orders of ours that the venue took at the hedge market."""
        return [
            dict(event)
            for event in self.desk.venue.engine.events(0)
            if event["event"] == "OrderAccepted"
            and event["account"] == "main"
            and event["symbol"] == HEDGE.symbol
        ]

    async def open_obligation(self) -> HedgeObligation | None:
        return await self.desk.ports.hedges.open_for(HEDGE)

    async def last(self) -> HedgeObligation:
        return (await self.desk.ports.hedges.recent(MARKET, 1))[0]


async def test_the_debt_is_written_before_the_order_and_ended_by_fills(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        hedger = Hedger(desk)
        await hedger.open()
        await hedger.hold("0.4999")
        idle = await hedger.watch()
        assert (idle.state, idle.owed) == (HedgeState.WATCHING, 0)
        await hedger.hold("0.8")
        look = await hedger.watch()
        assert (look.state, look.owed, look.target) == (HedgeState.OWING, -800, -800)
        assert -800 <= look.part_lots < 0
        owed = await hedger.open_obligation()
        assert owed is not None
        assert (owed.source, owed.opening_owed, owed.opening_position) == (MARKET, -800, 0)
        assert hedger.orders() == [], "nothing was sent yet"
        await hedger.send(look)
        standing = await hedger.open_obligation()
        assert standing is not None, "a part of it discharges nothing"
        done = await hedger.work_off()
        assert (done.state, done.obligation, done.owed) == (HedgeState.WATCHING, None, 0)
        assert hedger.held == -800
        assert (await hedger.last()).discharged_by == "fills"
        facts = await desk.ports.ledger.facts(HEDGE, 0)
        assert facts.position == -800
        assert {order["time_in_force"] for order in hedger.orders()} == {"ioc"}


async def test_the_hedge_comes_off_reduce_only_when_the_inventory_is_gone(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        hedger = Hedger(desk)
        await hedger.open()
        await hedger.hold("0.6")
        await hedger.work_off()
        sent = len(hedger.orders())
        await hedger.hold("0.3")
        assert (await hedger.watch()).part_lots == 0, "within the band nothing is done"
        await hedger.hold("0.05")
        await hedger.work_off()
        assert hedger.held == 0
        assert all(order["reduce_only"] for order in hedger.orders()[sent:])
        assert len(hedger.orders()) > sent
        await hedger.hold("-0.7")
        await hedger.work_off()
        assert hedger.held == 700


async def test_a_part_fill_leaves_the_rest_owed(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        best = desk.venue.engine.book(HEDGE.symbol, 1)[0][0][1]
        quantity = (Decimal(best) / 1_000 + Decimal(1)).quantize(Decimal("0.0001"))
        plan = replace(
            PLAN,
            slice_notional=Decimal(10_000_000),
            max_slippage_bps=Decimal(0),
            limits=RiskLimits(
                max_order_notional=Decimal(10_000_000), max_position=Decimal(10_000_000)
            ),
        )
        hedger = Hedger(desk, plan)
        await hedger.open()
        await hedger.hold(str(quantity))
        look = await hedger.watch()
        assert look.part_lots == look.owed < -best
        report = await hedger.send(look)
        assert (report.position_after, report.spent) == (-best, True)
        rest = await hedger.watch()
        owed = await hedger.open_obligation()
        assert owed is not None
        assert (rest.state, rest.obligation) == (HedgeState.OWING, owed.number)
        assert rest.owed == owed.owed == look.owed + best
        assert owed.filled == -best
        assert owed.opening_owed == look.owed


async def test_an_attempt_that_died_after_sending_does_not_send_again(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        hedger = Hedger(desk)
        await hedger.open()
        await hedger.hold("0.6")
        look = await hedger.watch()
        first = await hedger.send(look)
        hedger.step -= 1
        again = await hedger.send(look, attempt=2)
        assert again.sent_lots == 0
        assert again.position_after == first.position_after == look.part_lots
        assert again.spent, "the next order gets an id of its own"
        assert len(hedger.orders()) == 1


async def test_a_cancelled_attempt_and_its_successor_are_one_order(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = Hedger(desk)
        await hedger.open()
        await hedger.hold("0.6")
        look = await hedger.watch()
        desk.venue.faults.add(Fault(kind=FaultKind.SLOW_RESPONSE, path=BULK, delay_s=30))
        dying = asyncio.create_task(hedger.send(look))
        async with asyncio.timeout(10):
            while not hedger.orders():
                await asyncio.sleep(0.01)
        dying.cancel()
        await asyncio.wait([dying])
        desk.venue.faults.clear()
        again = await hedger.send(look, attempt=2)
        assert again.position_after == look.part_lots
        assert len(hedger.orders()) == 1
        await hedger.work_off()
        assert hedger.held == -600


@pytest.mark.parametrize("kind", [FaultKind.RESPONSE_LOST, FaultKind.ERROR_AFTER])
async def test_an_order_with_a_lost_answer_is_found_by_its_fills(
    open_desk: OpenDesk, kind: FaultKind
) -> None:
    async with open_desk() as desk:
        hedger = Hedger(desk)
        await hedger.open()
        await hedger.hold("0.6")
        look = await hedger.watch()
        desk.venue.faults.add(Fault(kind=kind, path=BULK))
        report = await hedger.send(look)
        assert report.outcome.startswith("unresolved")
        assert (report.position_after, report.spent) == (look.part_lots, True)
        await hedger.work_off()
        assert hedger.held == -600


async def test_an_order_without_a_trace_keeps_its_id(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = Hedger(desk)
        await hedger.open()
        await hedger.hold("0.6")
        look = await hedger.watch()
        desk.venue.faults.add(Fault(kind=FaultKind.REQUEST_LOST, path=BULK))
        report = await hedger.send(look)
        assert report.outcome.startswith("unresolved")
        assert (report.position_after, report.spent) == (0, False)
        assert await hedger.open_obligation() is not None
        await hedger.work_off()
        assert hedger.held == -600
        names = [order["client_order_id"] for order in hedger.orders()]
        assert len(names) == len(set(names))
        assert names[0].split("-")[2] == "0", "the first order taken has the first step's id"


async def test_below_the_venues_minimum_it_waits_and_says_so(open_desk: OpenDesk) -> None:
    coarse = tuple(
        replace(market, min_lots=1_000) if market.symbol == HEDGE.symbol else market
        for market in DEFAULT_MARKETS
    )
    async with open_desk(markets=coarse) as desk:
        hedger = Hedger(desk)
        await hedger.open()
        await hedger.hold("0.9")
        look = await hedger.watch()
        assert (look.state, look.owed, look.part_lots) == (HedgeState.WATCHING, -900, 0)
        assert "-900 lots are below the venue's minimum of 1000" in look.reason
        assert await hedger.open_obligation() is None, "nothing could be sent for it"
        await hedger.hold("1.1")
        await hedger.work_off()
        assert hedger.held == -1_100
        await hedger.hold("0.02")
        await hedger.work_off()
        assert hedger.held == 0, "no rest was left that the venue would not take"


async def test_a_rest_below_the_minimum_stays_owed(open_desk: OpenDesk) -> None:
    coarse = tuple(
        replace(market, min_lots=1_000) if market.symbol == HEDGE.symbol else market
        for market in DEFAULT_MARKETS
    )
    async with open_desk(markets=coarse) as desk:
        hedger = Hedger(desk)
        await hedger.open()
        await hedger.hold("1.1")
        look = await hedger.watch()
        await hedger.send(look)
        await hedger.hold("1.4")
        rest = await hedger.watch()
        owed = await hedger.open_obligation()
        assert owed is not None
        assert (rest.state, rest.owed, rest.part_lots) == (HedgeState.OWING, -300, 0)
        assert "-300 lots are below the venue's minimum of 1000" in rest.reason
        assert (owed.owed, owed.filled) == (-300, -1_100)
        await hedger.hold("2.2")
        await hedger.work_off()
        assert hedger.held == -2_200
        assert (await hedger.last()).discharged_by == "fills"


async def test_a_halted_market_blocks_and_heals(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = Hedger(desk)
        await hedger.open()
        await hedger.hold("0.6")
        allowed = await hedger.watch()
        desk.venue.engine.halt(HEDGE.symbol, halted=True)
        late = await hedger.send(allowed)
        assert (late.position_after, hedger.held) == (0, 0), late.outcome
        blocked = await hedger.watch()
        assert (blocked.state, blocked.part_lots) == (HedgeState.BLOCKED, 0)
        assert blocked.reason == "ocx/main/ETH-PERP is not traded now"
        assert blocked.obligation == allowed.obligation
        desk.venue.engine.halt(HEDGE.symbol, halted=False)
        await hedger.work_off()
        assert hedger.held == -600


async def test_trouble_at_the_venue_is_told_and_not_thrown(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = Hedger(desk)
        await hedger.open()
        await hedger.hold("0.6")
        desk.venue.faults.add(
            Fault(kind=FaultKind.ERROR_BEFORE, path="*/perps/positions*", count=None)
        )
        blocked = await hedger.watch()
        assert (blocked.state, blocked.part_lots) == (HedgeState.BLOCKED, 0)
        assert blocked.reason.startswith("ocx: ")
        desk.venue.faults.clear()
        await hedger.work_off()
        assert hedger.held == -600


async def test_a_watch_keeps_its_lease_until_there_is_something_to_tell(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        hedger = Hedger(desk, replace(PLAN, lease_ttl_ms=3_000))
        await hedger.open()
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(hedger.watch(30))
            for _ in range(8):
                await asyncio.sleep(0.5)
                assert not watching.done()
                assert not await desk.ports.lease.acquire(HEDGE, 99, "other", 1_000)
            await hedger.hold("0.6")
            look = await watching
        assert look.owed == -600
        resting = await hedger.watch(1, rest_s=30)
        assert resting.part_lots, "an order is asked for at the latest when the window ends"


async def test_a_named_release_ends_it_until_there_is_more(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = Hedger(desk)
        await hedger.open()
        await hedger.hold("0.6")
        look = await hedger.watch()
        assert look.obligation is not None
        request = ReleaseHedgeInput(
            plan=PLAN, obligation=look.obligation, epoch=look.epoch, by="ana", reason="by hand"
        )
        assert await hedger.call(hedger.activities.release_hedge, request)
        assert not await hedger.call(hedger.activities.release_hedge, request)
        closed = await hedger.last()
        assert (closed.discharged_by, closed.reason) == ("ana", "by hand")
        hedger.waived = look.owed
        after = await hedger.watch()
        assert (after.state, after.owed, after.obligation) == (HedgeState.WATCHING, 0, None)
        await hedger.hold("1.1")
        more = await hedger.watch()
        assert more.owed == -500
        assert hedger.orders() == []


@pytest.mark.parametrize("scope", ["fleet", "market:ocx/main/BTC-PERP", "market:ocx/main/ETH-PERP"])
async def test_under_a_kill_only_what_reduces_is_sent(open_desk: OpenDesk, scope: str) -> None:
    async with open_desk() as desk:
        hedger = Hedger(desk)
        await hedger.open()
        await hedger.hold("0.6")
        await hedger.work_off()
        await hedger.hold("1.2")
        allowed = await hedger.watch()
        assert allowed.part_lots
        kill = Kill(scope=scope, reason="drill", by="ana", at_ms=1)
        await desk.ports.board.set(kill)
        await desk.ports.ledger.set_kill(kill)
        late = await hedger.send(allowed)
        assert (late.sent_lots, late.spent) == (0, False)
        assert f"killed at scope {scope} by ana" in late.outcome
        blocked = await hedger.watch()
        assert (blocked.state, blocked.part_lots) == (HedgeState.BLOCKED, 0)
        assert "drill" in blocked.reason
        assert await hedger.open_obligation() is not None, "it is owed all the same"
        await hedger.hold("0")
        await hedger.work_off()
        assert hedger.held == 0


async def test_the_kill_file_stops_what_adds(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = Hedger(desk)
        await hedger.open()
        (desk.state_dir / "KILL").touch()
        await hedger.hold("0.6")
        look = await hedger.watch()
        assert (look.state, look.part_lots) == (HedgeState.BLOCKED, 0)
        assert "KILL file" in look.reason


async def test_a_quoted_market_cannot_be_the_hedge_market(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        session = SessionInput(
            market=HEDGE,
            life_epoch=1,
            parameters=QuoteParameters(spread_bps=Decimal(5), min_spread_bps=Decimal(1)),
            limits=RiskLimits(),
            run_id="run",
            window_s=30,
        )
        async with asyncio.timeout(40), asyncio.TaskGroup() as tasks:
            quoting = tasks.create_task(desk.run(desk.activities.quote_session, session))
            while not (resting := desk.venue.engine.open_orders("main")):
                await asyncio.sleep(0.02)
            with pytest.raises(ApplicationError, match="is held by somebody else") as refusal:
                await Hedger(desk).open()
            assert refusal.value.non_retryable
            assert resting, "its quotes were let be"
            assert desk.venue.engine.open_orders("main")
            quoting.cancel()


async def test_a_hedged_market_cannot_be_quoted(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = Hedger(desk)
        await hedger.open()
        session = SessionInput(
            market=HEDGE,
            life_epoch=1,
            parameters=QuoteParameters(spread_bps=Decimal(5), min_spread_bps=Decimal(1)),
            limits=RiskLimits(),
            run_id="run",
            window_s=5,
            lease_ttl_ms=300,
        )
        with pytest.raises(ApplicationError, match="held by somebody else"):
            await desk.run(desk.activities.quote_session, session)
        assert hedger.orders() == []
        leave = LeaveHedgeInput(plan=PLAN, epoch=hedger.epoch)
        await hedger.call(hedger.activities.leave_hedge, leave)
        quoted = await desk.run(
            desk.activities.quote_session, replace(session, window_s=1, lease_ttl_ms=3_000)
        )
        assert quoted.reason is SessionReason.WINDOW


async def test_a_lease_that_ran_out_is_taken_again_under_a_higher_epoch(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        hedger = Hedger(desk, replace(PLAN, lease_ttl_ms=200))
        await hedger.open()
        first = hedger.epoch
        await asyncio.sleep(0.3)
        await hedger.hold("0.6")
        look = await hedger.watch()
        assert look.epoch > first
        stale = replace(look, epoch=first)
        refused = await hedger.send(stale)
        assert (refused.sent_lots, hedger.orders()) == (0, [])
        assert "lease" in refused.outcome


async def test_books_that_disagree_stop_the_hedge(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = Hedger(desk)
        await hedger.open()
        await hedger.hold("0.6")
        stray = Fill(
            venue="ocx",
            account="main",
            symbol=HEDGE.symbol,
            trade_id="stray",
            side=Side.BUY,
            price=300_000,
            lots=7,
            liquidity=Liquidity.MAKER,
            fee=Decimal(0),
            fee_estimated=False,
            traded_at_ms=1_700_000_000_000,
        )
        await desk.ports.ledger.book_fills(HEDGE, [stray])
        look = await hedger.watch()
        assert (look.state, look.part_lots) == (HedgeState.BLOCKED, 0)
        assert "ledger has 7 lots, the venue 0" in look.reason
        assert hedger.orders() == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hedge": MarketId("ocx", "main", "NOPE")}, "symbol: ocx has no market NOPE"),
        ({"source": MarketId("ocx", "main", "NOPE")}, "symbol: ocx has no market NOPE"),
        (
            {"rule": HedgeRule(threshold=Decimal(1), release=Decimal(2))},
            "release: 2 is not from zero to below threshold 1",
        ),
    ],
)
async def test_a_plan_that_cannot_be_is_refused_in_a_sentence(
    open_desk: OpenDesk, changes: dict[str, Any], words: str
) -> None:
    async with open_desk() as desk:
        with pytest.raises(ApplicationError, match=words) as refusal:
            await Hedger(desk, replace(PLAN, **changes)).open()
        assert refusal.value.non_retryable
        assert await desk.ports.lease.acquire(HEDGE, 99, "other", 1_000), "the lease is free"


async def test_a_debt_for_another_market_is_not_taken_over(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        other = MarketId("ocx", "main", "SOL-PERP")
        await desk.ports.hedges.owe(other, HEDGE, 1, -5, 0)
        with pytest.raises(ApplicationError, match=r"still owes -5 lots for ocx/main/SOL-PERP"):
            await Hedger(desk).open()
        assert await desk.ports.lease.acquire(HEDGE, 99, "other", 1_000), "the lease is free"


async def test_an_open_debt_is_taken_up_by_the_next_start(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        hedger = Hedger(desk)
        await hedger.open()
        await hedger.hold("0.6")
        number = (await hedger.watch()).obligation
        leave = LeaveHedgeInput(plan=PLAN, epoch=hedger.epoch)
        await hedger.call(hedger.activities.leave_hedge, leave)
        later = Hedger(desk, replace(PLAN, owner="hedge/later"))
        await later.open()
        look = await later.watch()
        assert (look.obligation, look.owed) == (number, -600)
        await later.work_off()
        assert later.held == -600
        assert (await later.last()).number == number
