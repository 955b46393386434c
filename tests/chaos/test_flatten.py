"""A flatten goes on through deaths and outages and ends at exactly zero, by the venue's own log."""

import asyncio
import random
from itertools import pairwise

import pytest
from temporalio.client import WorkflowHandle

from tests.chaos.ground import Market, kill
from tests.chaos.venue_log import VenueLog
from workflows import names
from workflows.flatten import FlattenWorkflow
from workflows.flatten_messages import FlattenOutcome, FlattenResult, StartFlatten
from workflows.messages import Request

_DEATHS = 10
_LONGEST_LIFE_S = 4.0
_PATIENCE_S = 90.0


async def exits_from(market: Market) -> tuple[int, int]:
    """Hold a position, ask for a slow flatten, and give where it began and how much was held."""
    await market.hold_a_position()
    log = await market.log()
    began, held = log.accepted()[-1].sequence, log.positions()[-1]
    assert market.handle is not None
    await market.handle.signal("flatten", Request(reason="flatten it", by="test"))
    return began, held


async def sliced(market: Market, more_than: int) -> bool:
    return len((await market.log()).exits()) > more_than


def judge(log: VenueLog, began: int) -> None:
    """Exactly zero, always nearer to it, no id taken twice, nothing left."""
    assert log.positions()[-1] == 0
    assert log.flips_after(began) == []
    assert log.twice_used_ids() == []
    assert log.resting() == set()


async def ended(market: Market) -> FlattenResult:
    handle: WorkflowHandle[FlattenWorkflow, FlattenResult] = market.client.get_workflow_handle_for(
        FlattenWorkflow.run, names.flatten_workflow_id(market.id)
    )
    async with asyncio.timeout(_PATIENCE_S):
        return await handle.result()


@pytest.mark.timeout(600)
async def test_ten_random_deaths_of_the_worker_end_at_exactly_zero(market: Market) -> None:
    chance = random.Random(market.venue.seed)
    worker = await market.quoting(
        level_notional=1_000, flatten_slices=50, flatten_interval_s=1, flatten_deadline_s=3_600
    )
    began, _ = await exits_from(market)
    for death in range(_DEATHS):
        seen = len((await market.log()).exits())
        if death % 2:

            async def more(least: int = seen) -> bool:
                return await sliced(market, least)

            await market.until("another slice was sent", more, within_s=_PATIENCE_S)
        # When it dies must be chance: between two orders, in one, or before its answer.
        await asyncio.sleep(chance.uniform(0, _LONGEST_LIFE_S))
        await kill(worker)
        worker = await market.worker()
    assert len((await market.log()).exits()) < 50, "it was over before all had died"
    result = await market.ended(within_s=240)
    log = await market.log()
    judge(log, began)
    after = [abs(lots) for lots in exit_positions(log)]
    assert all(one > other for one, other in pairwise(after)), "always nearer to zero"
    assert result.final.venue_position == 0
    assert result.final.ledger_equals_venue
    print(f"{_DEATHS} deaths, {len(log.exits())} exits, {len(result.flatten_steps)} steps")  # noqa: T201


def exit_positions(log: VenueLog) -> list[int]:
    """What the position was after each trade of an exit; the last ones of all."""
    return log.positions()[-len(log.exits()) :]


@pytest.mark.timeout(300)
async def test_a_market_terminated_by_hand_is_still_flattened(market: Market) -> None:
    worker = await market.quoting(flatten_slices=10, flatten_interval_s=1)
    began, _ = await exits_from(market)
    await market.until("a slice is sent", lambda: sliced(market, 0), within_s=_PATIENCE_S)
    assert market.handle is not None
    await market.handle.terminate("by hand")
    await kill(worker)
    await market.worker()
    result = await ended(market)
    assert result.outcome is FlattenOutcome.FLAT
    assert result.final is not None
    assert result.final.ledger_equals_venue, result.final.difference
    judge(await market.log(), began)
    await market.judge()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("service", ["temporal", "valkey", "postgres"])
async def test_a_flatten_outlives_the_death_of(market: Market, service: str) -> None:
    await market.quoting(flatten_slices=10, flatten_interval_s=1)
    began, _ = await exits_from(market)
    await market.until("a slice is sent", lambda: sliced(market, 0), within_s=_PATIENCE_S)
    await asyncio.to_thread(market.services.kill, service)
    result = await market.ended(within_s=_PATIENCE_S)
    judge(await market.log(), began)
    assert result.final.venue_position == 0


@pytest.mark.timeout(300)
async def test_what_a_dead_fleet_left_is_flattened_by_itself(market: Market) -> None:
    worker = await market.quoting()
    await market.hold_a_position()
    began = (await market.log()).accepted()[-1].sequence
    await kill(worker)
    assert market.handle is not None
    await market.handle.terminate("deleted")
    await market.worker()
    handle = await market.client.start_workflow(
        FlattenWorkflow.run,
        StartFlatten(
            venue=market.id.venue,
            account=market.id.account,
            symbol=market.id.symbol,
            fleet="chaos",
            maker_s=2,
            slices=2,
            by="test",
        ),
        id=names.flatten_workflow_id(market.id),
        task_queue=names.CONTROL_QUEUE,
    )
    async with asyncio.timeout(_PATIENCE_S):
        result = await handle.result()
    assert result.outcome is FlattenOutcome.FLAT
    judge(await market.log(), began)
    await market.judge()
