"""A day that lost too much stays lost: flat at once, refused until the next, whoever restarts."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator

import pytest
import redis.asyncio
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from desk.daily_loss import DayLimits, LossLimit
from desk.records import Kill, KillEffect
from desk.trading_day import moment
from flotilla.control import lift_kills
from tests.chaos.ground import Market, kill
from tests.chaos.venue_log import ACCOUNT, VenueLog

pytestmark = pytest.mark.timeout(300)

_REFUSED = 3


@pytest.fixture
async def losing(market: Market) -> AsyncIterator[Market]:
    """A market whose account's limits and latches are taken away afterwards."""
    yield market
    async with market.control() as ports:
        off = LossLimit(scope=_account(market), limits=DayLimits(), by="test", reason="over")
        await ports.losses.set_limit(off)
        for latch in await _latches(market):
            await lift_kills(
                ports.board, ports.ledger, latch.scope, by="test", reason="the test is over"
            )


async def test_a_lost_day_survives_every_process_and_an_emptied_redis(losing: Market) -> None:
    await losing.quoting(max_daily_loss="1", max_drawdown="100000", **_GENTLE)
    await losing.hold_a_position()
    began = (await losing.log()).accepted()[-1].sequence
    await _shock(losing)
    result = await losing.ended(within_s=90)
    assert result.reason.startswith("daily loss: lost ")
    assert "since the start of the day" in result.reason
    log = await losing.log()
    assert log.positions()[-1] == 0
    assert log.flips_after(began) == []
    assert [change.state.value for change in result.states][-3:] == [
        *("flattening", "standing_down", "stopped")
    ]
    (latch,) = await _latches(losing)
    assert latch.scope == f"loss:market:{losing.id.path}"
    await _refused_after_everything_was_lost(losing, latch)


async def test_an_accounts_lost_day_flattens_and_refuses(losing: Market) -> None:
    await losing.quoting(max_drawdown="100000", **_GENTLE)
    await losing.hold_a_position()
    limits = ("--scope", _account(losing), "--hard", "1")
    code, _, _ = await _flotilla(losing, "losses", "set", *limits, "--by", "ana", "--reason", "new")
    assert code == 0
    await _shock(losing)
    result = await losing.ended(within_s=90)
    assert "the hard limit 1" in result.reason
    assert (await losing.log()).positions()[-1] == 0
    (latch,) = await _latches(losing)
    assert (latch.scope, latch.effect) == (f"loss:{_account(losing)}", KillEffect.FLATTEN)
    await _refused_after_everything_was_lost(losing, latch)


async def test_a_paused_market_with_a_position_has_its_limit_too(losing: Market) -> None:
    """Nobody quotes it and nobody marks it: the watch does, and the latch flattens it."""
    await losing.quoting(max_daily_loss="1", max_drawdown="100000", **_GENTLE)
    await losing.hold_a_position()
    assert losing.handle is not None
    await losing.handle.signal("pause", {"by": "ana"})

    async def paused() -> bool:
        return (await losing.status()).state.value == "paused"

    await losing.until("it is paused", paused)
    assert (await losing.log()).positions()[-1] != 0
    await _shock(losing)
    result = await losing.ended(within_s=150)
    assert (await losing.log()).positions()[-1] == 0
    assert [change.state.value for change in result.states][-4:] == [
        *("paused", "flattening", "standing_down", "stopped")
    ]
    (latch,) = await _latches(losing)
    assert (latch.scope, latch.effect) == (f"loss:market:{losing.id.path}", KillEffect.FLATTEN)


async def test_an_accounts_soft_limit_holds_the_position_and_takes_no_new_risk(
    losing: Market,
) -> None:
    await losing.quoting(max_drawdown="100000")
    await losing.hold_a_position()
    limits = ("--scope", _account(losing), "--soft", "1")
    code, _, _ = await _flotilla(losing, "losses", "set", *limits, "--by", "ana", "--reason", "new")
    assert code == 0
    await _shock(losing)

    async def latched() -> bool:
        return bool(await _latches(losing))

    async def quotes() -> bool:
        return (await losing.status()).state.value == "quoting"

    await losing.until("the soft limit is latched", latched, within_s=40)
    (latch,) = await _latches(losing)
    assert (latch.scope, latch.effect) == (f"loss:{_account(losing)}", KillEffect.REDUCE)
    # A session hears of it from the board, at once, and pulls what adds risk.
    await losing.stays("it quotes", quotes, for_s=2)
    obeyed = (await losing.log()).sequence
    await losing.stays("it quotes", quotes, for_s=8)
    log = await losing.log()
    held = [abs(lots) for lots in _positions_after(log, obeyed)]
    assert held == sorted(held, reverse=True), "it only ever reduced"
    assert log.flips_after(obeyed) == []
    await losing.finish()


_GENTLE = {"flatten_slices": 3, "flatten_interval_s": 1}


def _account(market: Market) -> str:
    return f"account:{market.id.venue}/{market.id.account}"


def _positions_after(log: VenueLog, sequence: int) -> list[int]:
    return [
        event["lots"]
        for event in log._of("PositionChanged")
        if event["account"] == ACCOUNT and event["sequence"] > sequence
    ]


async def _shock(market: Market) -> None:
    order = {
        "marketId": market.id.symbol,
        "bpsPerSecond": 40,
        "durationS": 5,
        "against": "main",
    }
    await market.venue.post("shock", order)


async def _latches(market: Market) -> list[Kill]:
    async with market.control() as ports:
        active = await ports.ledger.active_kills()
    return [one for one in active if one.scope.startswith("loss:") and one.covers(market.id)]


async def _refused_after_everything_was_lost(market: Market, latch: Kill) -> None:
    """Workers killed, Redis emptied, the workflow and its history deleted: refused all the same."""
    for worker in market.workers:
        if not worker.ended:
            await kill(worker)
    await _empty_redis(market)
    await _delete_workflow(market)
    before = len((await market.log()).accepted())
    await market.worker()
    code, _, said = await _flotilla(market, "market", "start", market.id.path)
    assert code == _REFUSED, said
    assert latch.until_ms is not None
    assert f"it may start again at {moment(latch.until_ms)}" in said
    assert len((await market.log()).accepted()) == before
    code, shown, said = await _flotilla(market, "losses", "--json")
    assert code == 0, said
    assert moment(latch.until_ms) in shown


async def _empty_redis(market: Market) -> None:
    client = redis.asyncio.Redis.from_url(market.services.redis_url)
    await client.flushall()
    await client.aclose()


async def _delete_workflow(market: Market) -> None:
    assert market.handle is not None
    execution = WorkflowExecution(workflow_id=market.handle.id)
    await market.client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=market.client.namespace, workflow_execution=execution
        )
    )
    handle = market.client.get_workflow_handle(market.handle.id)

    async def gone() -> bool:
        try:
            status = (await handle.describe()).status
        except RPCError as error:
            return error.status is RPCStatusCode.NOT_FOUND
        assert status is not WorkflowExecutionStatus.RUNNING
        return False

    # The server deletes in the background, after whatever it has still to do for the workflow.
    await market.until("the workflow is deleted", gone, within_s=90)


async def _flotilla(market: Market, *command: str) -> tuple[int, str, str]:
    """Run a command as a person would; its code, stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "flotilla", *command),
        env={**os.environ, **market.environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said[0].decode(), said[1].decode()
