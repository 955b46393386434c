"""What a flatten may ask, on real parts: under any kill, only while the market is ours, to zero."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from temporalio.exceptions import ApplicationError

from activities.flatten import FlattenActivities
from activities.flatten_messages import (
    FlattenEnd,
    FlattenEndInput,
    FlattenOpening,
    FlattenSliceInput,
    FlattenWord,
)
from activities.messages import PreflightInput, SessionInput, TakeOverInput
from desk.flattening import FlattenPhase
from desk.quoting.parameters import QuoteParameters
from desk.records import Kill
from desk.risk.limits import RiskLimits
from quoting.exit import ExitStep, FlattenSliceReport
from tests.activities.conftest import MARKET, Desk, OpenDesk
from tests.activities.test_market_activities import rows

QUOTE = QuoteParameters(spread_bps=Decimal(5), min_spread_bps=Decimal(1))


async def hold_a_position(desk: Desk) -> int:
    """Quote until something was traded, and leave."""
    limits = RiskLimits()
    await desk.run(
        desk.activities.preflight,
        PreflightInput(market=MARKET, parameters=QuoteParameters(), limits=limits, run_id="run"),
    )
    request = SessionInput(
        market=MARKET, life_epoch=1, parameters=QUOTE, limits=limits, run_id="run", window_s=60
    )
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(90):
        session = tasks.create_task(desk.run(desk.activities.quote_session, request))
        while not held(desk):
            await asyncio.sleep(0.05)
        session.cancel()
    return held(desk)


def held(desk: Desk) -> int:
    return desk.venue.engine.position("main", MARKET.symbol).lots


async def take(desk: Desk, exits: FlattenActivities, owner: str = "exit") -> FlattenOpening:
    request = TakeOverInput(market=MARKET, owner=owner, run_id="run")
    return await desk.run(exits.flatten_take_over, request)


async def one_slice(
    desk: Desk, exits: FlattenActivities, epoch: int, number: int, position: int, lots: int
) -> FlattenSliceReport:
    step = ExitStep(
        market=MARKET,
        epoch=epoch,
        step=number,
        phase=FlattenPhase.TAKER,
        position=position,
        lots=lots,
        slippage_bps=Decimal(100),
        fast_slippage_bps=Decimal(200),
        limits=RiskLimits(),
    )
    request = FlattenSliceInput(owner="exit", step=step, lease_ttl_ms=20_000)
    return await desk.run(exits.flatten_slice, request)


async def end(desk: Desk, exits: FlattenActivities, epoch: int, **changes: object) -> FlattenEnd:
    request = FlattenEndInput(market=MARKET, epoch=epoch, owner="exit", reason="test")
    return await desk.run(exits.flatten_end, replace(request, **changes))  # type: ignore[arg-type]


async def test_a_flatten_reaches_zero_under_every_kill_and_the_books_agree(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        exits = FlattenActivities(desk.ports)
        position = await hold_a_position(desk)
        await desk.ports.ledger.set_kill(Kill(scope="fleet", reason="drill", by="ana", at_ms=1))
        await desk.ports.board.rearm(await desk.ports.ledger.active_kills())
        (desk.state_dir / "KILL").touch()
        taken = await take(desk, exits)
        assert taken.position == held(desk)
        seen, left = [taken.position], taken.position
        for number in range(9):
            lots = max(1, abs(position) // 3)
            report = await one_slice(desk, exits, taken.epoch, number, left, lots)
            left = report.position_after
            seen.append(left)
            if not left:
                break
        ended = await end(desk, exits, taken.epoch)
    assert seen[-1] == 0
    assert len(seen) > 2
    assert all(one * seen[0] >= 0 for one in seen), "never past zero"
    assert ended.position == 0
    assert ended.look is not None
    assert ended.look.ledger_equals_venue, ended.look.difference
    assert ended.look.venue_open_orders == 0
    assert ended.look.venue_fills == ended.look.ledger_fills > 0


async def test_a_market_somebody_else_took_is_sent_nothing(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        exits = FlattenActivities(desk.ports)
        position = await hold_a_position(desk)
        taken = await take(desk, exits)
        await desk.ports.lease.release(MARKET, taken.epoch, "exit")
        other = await take(desk, exits, "somebody else")
        assert other.epoch > taken.epoch
        before = len(desk.venue.engine.trades("main", MARKET.symbol))
        with pytest.raises(ApplicationError, match="no longer held") as lost:
            await one_slice(desk, exits, taken.epoch, 0, position, 1)
        assert len(desk.venue.engine.trades("main", MARKET.symbol)) == before
        with pytest.raises(ApplicationError, match="no longer held"):
            await end(desk, exits, taken.epoch)
        ended = await end(desk, exits, taken.epoch, abandoned=True)
        assert ended == FlattenEnd(position=position, look=None)
        assert await desk.ports.lease.renew(MARKET, other.epoch, "somebody else", 20_000)
    assert (lost.value.type, lost.value.non_retryable) == ("LeaseLost", True)


async def test_the_last_look_lets_go_only_of_a_flat_or_abandoned_market(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        exits = FlattenActivities(desk.ports)
        await hold_a_position(desk)
        taken = await take(desk, exits)
        ended = await end(desk, exits, taken.epoch)
        assert ended == FlattenEnd(position=held(desk), look=None)
        ours = await desk.ports.lease.renew(MARKET, taken.epoch, "exit", 20_000)
        assert ours, "it goes on, so the market is still held"
        ended = await end(desk, exits, taken.epoch, abandoned=True)
        assert ended.look is not None
        assert ended.position == held(desk) != 0
        assert not await desk.ports.lease.renew(MARKET, taken.epoch, "exit", 20_000)


async def test_words_are_recorded_and_alarms_raised(open_desk: OpenDesk, database_url: str) -> None:
    word = FlattenWord(market=MARKET, epoch=3, kind="flatten started", reason="why", by="ana")
    async with open_desk() as desk:
        exits = FlattenActivities(desk.ports)
        await desk.run(exits.flatten_tell, word)
        await desk.run(
            exits.flatten_tell, replace(word, kind="flatten does not get on", severity="critical")
        )
    decisions = await rows(
        database_url, "SELECT kind, reason, decided_by FROM control_decisions ORDER BY id"
    )
    assert decisions == [
        ("flatten started", "why", "ana"),
        ("flatten does not get on", "why", "ana"),
    ]
    alerts = await rows(database_url, "SELECT symbol, severity, text FROM alerts")
    assert alerts == [("BTC-PERP", "critical", "flatten does not get on: why")]
