"""What a workflow may ask: every refusal is one sentence with a remedy, every exit is exact."""

import asyncio
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
from sqlalchemy import text
from temporalio.exceptions import ApplicationError

from activities.market import MarketActivities
from activities.messages import (
    DecisionInput,
    PreflightInput,
    SessionInput,
    SessionResult,
)
from desk.identity import MarketId, OrderIdentity, Slot
from desk.lifecycle import SessionReason
from desk.orders import Batch, Fill, Liquidity, NewOrder, OutcomeKind
from desk.quoting.parameters import QuoteParameters
from desk.records import Kill
from desk.risk.limits import RiskLimits
from desk.units import Side
from infra.postgres.engine import open_database
from tests.activities.conftest import MARKET, Desk, OpenDesk
from tests.support.approve import approve
from venues.simulation.faults import Fault, FaultKind

PREFLIGHT = PreflightInput(
    market=MARKET, parameters=QuoteParameters(), limits=RiskLimits(), run_id="run"
)
QUOTE = QuoteParameters(spread_bps=Decimal(5), min_spread_bps=Decimal(1))


def stray_fill() -> Fill:
    return Fill(
        venue="ocx",
        account="main",
        symbol="BTC-PERP",
        trade_id="stray",
        side=Side.BUY,
        price=600_000,
        lots=5,
        liquidity=Liquidity.MAKER,
        fee=Decimal(0),
        fee_estimated=False,
        traded_at_ms=1_700_000_000_000,
    )


async def quote(desk: Desk, seconds: float, **changes: object) -> SessionResult:
    request = SessionInput(
        market=MARKET,
        life_epoch=1,
        parameters=QUOTE,
        limits=RiskLimits(),
        run_id="run",
        window_s=max(1, int(seconds)),
    )
    return await desk.run(desk.activities.quote_session, replace(request, **changes))  # type: ignore[arg-type]


@dataclass(slots=True)
class FaultyKillFile:
    """A kill file whose check goes wrong as only a bug does."""

    fails: bool = False

    def present(self) -> bool:
        if self.fails:
            raise ZeroDivisionError
        return False


def resting_ids(desk: Desk) -> set[str]:
    """Client order ids of what rests in the venue's engine."""
    return {str(order.client_order_id) for order in desk.venue.engine.open_orders("main")}


async def leave_orders(desk: Desk, epoch: int) -> set[str]:
    """Rest two orders as a session of this epoch would have left them by dying."""
    venue = await desk.ports.venues.venue("ocx", "main")
    (instrument,) = [item for item in await venue.instruments() if item.symbol == MARKET.symbol]
    bids, asks = desk.venue.engine.book(MARKET.symbol, 1)
    bid, ask = bids[0][0], asks[0][0]
    orders = tuple(
        NewOrder(
            client_order_id=OrderIdentity(
                tag=MARKET.tag, epoch=epoch, cycle=9_999, slot=Slot(side, 0)
            ).encode(),
            slot=Slot(side, 0),
            side=side,
            price=price,
            lots=100,
        )
        for side, price in ((Side.BUY, bid * 98 // 100), (Side.SELL, ask * 102 // 100))
    )
    batch = Batch(batch_id="dead", symbol=MARKET.symbol, orders=orders, replace_all=True)
    approved = approve(batch, instrument, mid_x2=bid + ask)
    async with asyncio.timeout(20):
        # A request budget that was just begun grants no orders for its first seconds.
        while (outcome := await venue.execution.send(approved, instrument)).retry_after_s:
            await asyncio.sleep(outcome.retry_after_s)
    assert {order.kind for order in outcome.orders} == {OutcomeKind.ACCEPTED}, outcome
    return {order.client_order_id for order in orders}


async def rows(database_url: str, query: str) -> list[tuple[object, ...]]:
    database = open_database(database_url)
    try:
        found = await database.transaction(lambda connection: connection.execute(text(query)))
        return [tuple(row) for row in found]
    finally:
        await database.close()


async def test_preflight_passes_and_opens_a_life(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        report = await desk.run(desk.activities.preflight, PREFLIGHT)
    assert report.life_epoch == 1
    assert report.tick_size == Decimal("0.1")
    assert abs(report.clock_offset_ms) < 2_000


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (replace(PREFLIGHT, market=MarketId("ocx", "main", "NOPE")), "symbol: ocx has no market"),
        (replace(PREFLIGHT, market=MarketId("nope", "main", "X")), "venue: 'nope' is unknown"),
        (
            replace(PREFLIGHT, parameters=QuoteParameters(spread_bps=Decimal(2))),
            "spread_bps: a spread of 2 bps does not pay two maker fees",
        ),
        (replace(PREFLIGHT, parameters=QuoteParameters(levels=0)), "levels: 0 is outside"),
    ],
)
async def test_preflight_refuses_in_a_sentence(
    open_desk: OpenDesk, request_: PreflightInput, words: str
) -> None:
    async with open_desk() as desk:
        with pytest.raises(ApplicationError, match=words) as refusal:
            await desk.run(desk.activities.preflight, request_)
    assert refusal.value.non_retryable


async def test_a_clock_ten_seconds_off_is_refused(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        desk.venue.faults.add(Fault(kind=FaultKind.CLOCK_SKEW, skew_s=10))
        with pytest.raises(ApplicationError, match="clock: this machine and ocx differ") as refusal:
            await desk.run(desk.activities.preflight, PREFLIGHT)
    assert refusal.value.non_retryable


async def test_an_empty_account_is_refused(open_desk: OpenDesk) -> None:
    async with open_desk("0") as desk:
        with pytest.raises(ApplicationError, match="no collateral; fund it"):
            await desk.run(desk.activities.preflight, PREFLIGHT)


async def test_a_wrong_key_is_final(open_desk: OpenDesk) -> None:
    async with open_desk(FLOTILLA_VENUE_OCX__API_KEY="ocx_sk_wrong") as desk:
        with pytest.raises(ApplicationError) as refusal:
            await desk.run(desk.activities.preflight, PREFLIGHT)
    assert refusal.value.non_retryable
    assert "ocx_sk_wrong" not in str(refusal.value)


@pytest.mark.parametrize("scope", ["fleet", "venue:ocx", "market:ocx/main/BTC-PERP"])
async def test_a_kill_in_scope_refuses_the_start(open_desk: OpenDesk, scope: str) -> None:
    async with open_desk() as desk:
        await desk.ports.ledger.set_kill(Kill(scope=scope, reason="drill", by="ana", at_ms=1))
        with pytest.raises(ApplicationError, match="killed at scope") as refusal:
            await desk.run(desk.activities.preflight, PREFLIGHT)
        assert "unkill" in str(refusal.value)


async def test_the_kill_file_refuses_the_start(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        (desk.state_dir / "KILL").touch()
        with pytest.raises(ApplicationError, match="KILL file"):
            await desk.run(desk.activities.preflight, PREFLIGHT)


async def test_a_session_quotes_and_leaves_nothing(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        result = await quote(desk, 4)
        assert desk.venue.engine.open_orders("main") == []
    assert result.reason is SessionReason.WINDOW
    assert result.cleared
    assert result.progress.requotes > 0


async def test_leftovers_of_an_older_epoch_go_before_anything_is_quoted(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        first = await quote(desk, 1)
        left = await leave_orders(desk, first.epoch)
        assert left == resting_ids(desk), "the dead session's orders rest"
        async with asyncio.TaskGroup() as tasks, asyncio.timeout(30):
            session = tasks.create_task(quote(desk, 3))
            while left & resting_ids(desk):
                await asyncio.sleep(0)
            assert resting_ids(desk) == set(), "nothing is quoted yet"
            while not (quoted := resting_ids(desk)):
                await asyncio.sleep(0.01)
            second = await session
        assert resting_ids(desk) == set()
    assert second.epoch > first.epoch
    assert second.cleared
    for client_order_id in quoted:
        identity = OrderIdentity.decode(client_order_id)
        assert identity is not None
        assert identity.epoch == second.epoch


async def test_a_failing_step_ends_a_session_with_zero_orders(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        faulty = FaultyKillFile()
        activities = MarketActivities(replace(desk.ports, kill_file=faulty))
        async with asyncio.timeout(30):
            session = asyncio.create_task(quote(replace(desk, activities=activities), 20))
            while not resting_ids(desk):
                await asyncio.sleep(0.02)
            faulty.fails = True
            bug = pytest.RaisesExc(RuntimeError, match="the step failed: ZeroDivisionError")
            with pytest.RaisesGroup(bug, flatten_subgroups=True):
                await session
        assert resting_ids(desk) == set()


async def test_touching_the_kill_file_ends_a_session_within_a_cycle(open_desk: OpenDesk) -> None:
    async with open_desk() as desk, asyncio.TaskGroup() as tasks:
        session = tasks.create_task(quote(desk, 30))
        while not desk.venue.engine.open_orders("main"):
            await asyncio.sleep(0.02)
        (desk.state_dir / "KILL").touch()
        result = await session
        assert desk.venue.engine.open_orders("main") == []
    assert result.reason is SessionReason.KILLED


async def test_a_position_the_history_does_not_explain_is_a_break(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await desk.run(desk.activities.preflight, PREFLIGHT)
        # Our ledger has a fill that the venue does not know.
        await desk.ports.ledger.book_fills(MARKET, [stray_fill()])
        result = await quote(desk, 2)
        assert desk.venue.engine.open_orders("main") == []
    assert result.reason is SessionReason.BREAK
    assert "ledger has 5 lots, the venue 0" in result.message
    assert result.progress.requotes == 0


async def test_decisions_are_recorded(open_desk: OpenDesk, database_url: str) -> None:
    quiet = DecisionInput(market=MARKET, epoch=1, kind="a->b", reason="because", by="ana")
    loud = replace(quiet, kind="b->c", evidence="book crossed", alert=True)
    async with open_desk() as desk:
        for decision in (quiet, loud):
            await desk.run(desk.activities.record_decision, decision)
    place = ("ocx", "main", "BTC-PERP")
    decisions = await rows(
        database_url,
        "SELECT venue, account, symbol, epoch, kind, reason, decided_by, evidence "
        "FROM control_decisions ORDER BY id",
    )
    assert decisions == [
        (*place, 1, "a->b", "because", "ana", ""),
        (*place, 1, "b->c", "because", "ana", "book crossed"),
    ]
    alerts = await rows(database_url, "SELECT venue, account, symbol, severity, text FROM alerts")
    assert alerts == [(*place, "warning", "b->c: because")]
