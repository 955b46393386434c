"""Redis, PostgreSQL and Temporal emptied, killed or out of reach: nothing is done that may not be.

Redis is the fast copy: an empty one stops quoting and never lifts a kill.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from activities.messages import SessionInput
from desk.permit import Permit
from flotilla.control import record_kill
from tests.chaos.ground import Market
from tests.chaos.invariants import GateClosed
from tests.chaos.matrix import SLOW_S
from tests.chaos.outages import dies, empty_redis, now_ms, unreachable
from tests.chaos.verdict import judged, killed, unlifted

pytestmark = pytest.mark.timeout(400)

_LEASE_MS = 3_000
_BOARD_MS = 2_000
_LEDGER_MS = 10_000
_BUSY_MS = 2_000
"""How late a busy machine may notice that a fact has grown too old."""


async def _emptied(market: Market) -> None:
    await empty_redis(market)


async def _restarted_empty(market: Market) -> None:
    await empty_redis(market)
    await dies(market, "valkey")


LOSSES: dict[str, Callable[[Market], Awaitable[None]]] = {
    "emptied": _emptied,
    "restarted empty": _restarted_empty,
}


@pytest.mark.parametrize("how", LOSSES)
async def test_redis_is(market: Market, how: str) -> None:
    await market.quoting()
    await market.hold_a_position()
    epoch = await market.epoch()
    await market.guardian()
    async with _trading(market):
        await LOSSES[how](market)
        await market.until("it quotes anew", lambda: market.quotes_above(epoch), within_s=SLOW_S)
    await market.finish(within_s=SLOW_S)
    await judged(market)


@pytest.mark.parametrize("how", LOSSES)
async def test_a_kill_outlives_redis_when_it_is(market: Market, how: str) -> None:
    await market.quoting()
    await market.hold_a_position()
    async with killed(market, f"market:{market.id.path}"):
        await market.until("nothing rests", market.has_none)
        cleared = GateClosed(at_ms=now_ms(), in_flight_ns=0)
        await market.ended(within_s=SLOW_S)
        await LOSSES[how](market)
        handle = await market.start()
        with pytest.raises(Exception, match="Workflow execution failed") as refused:
            await handle.result()
        assert "killed at scope" in _causes(refused.value)
    await judged(market, gates=(cleared,))


async def test_a_kill_the_board_never_heard_of_holds_once_redis_was_emptied(
    market: Market,
) -> None:
    """The record alone is enough: the board is armed from it before anything may quote."""
    await market.quoting()
    async with unlifted(market, f"market:{market.id.path}") as kill:
        assert await record_kill(market.settings, kill) is None
        await empty_redis(market)
        await market.until("nothing rests", market.has_none)
        result = await market.ended(within_s=SLOW_S)
        assert "fault test" in result.reason
    await judged(market)


async def test_redis_is_out_of_reach_for_longer_than_the_lease(market: Market) -> None:
    await market.quoting()
    await market.hold_a_position()
    await market.guardian()
    epoch = await market.epoch()
    async with _trading(market), unreachable(market, "valkey") as since_ms:
        took = await market.until("nothing rests", market.has_none_for_a_second)
        await market.stays("nothing rests", market.has_none, for_s=_LEASE_MS / 1_000)
        gate = GateClosed(at_ms=since_ms + _BOARD_MS + _BUSY_MS, until_ms=now_ms())
    print(f"Redis out of reach: nothing rested after {took:.2f} s")  # noqa: T201
    await market.until("it quotes anew", lambda: market.quotes_above(epoch), within_s=SLOW_S)
    await market.finish(within_s=SLOW_S)
    await judged(market, gates=(gate,))


async def test_postgres_is_out_of_reach(market: Market) -> None:
    await market.quoting()
    await market.hold_a_position()
    epoch = await market.epoch()
    async with _trading(market), unreachable(market, "postgres") as since_ms:
        took = await market.until("nothing rests", market.has_none_for_a_second, within_s=SLOW_S)
        await market.stays("nothing rests", market.has_none, for_s=3.0)
        gate = GateClosed(at_ms=since_ms + _LEDGER_MS + 2 * _BUSY_MS, until_ms=now_ms())
    print(f"PostgreSQL out of reach: nothing rested after {took:.2f} s")  # noqa: T201
    await market.until("it quotes anew", lambda: market.quotes_above(epoch), within_s=SLOW_S)
    await market.finish(within_s=SLOW_S)
    await judged(market, gates=(gate,))


async def test_temporal_is_out_of_reach_for_longer_than_the_lease(market: Market) -> None:
    await market.quoting()
    await market.worker()
    await market.hold_a_position()
    before = (await market.log()).sequence
    async with _trading(market), unreachable(market, "temporal"):
        await asyncio.sleep(4 * _LEASE_MS / 1_000)
    await _quotes_after(market, before)
    await market.finish(within_s=SLOW_S)
    await judged(market)


@pytest.mark.parametrize("name", ["temporal", "postgres"])
async def test_a_service_is_killed_and_comes_back(market: Market, name: str) -> None:
    await market.quoting()
    await market.worker()
    await market.hold_a_position()
    before = (await market.log()).sequence
    async with _trading(market):
        await dies(market, name)
        await _quotes_after(market, before)
    await market.finish(within_s=SLOW_S)
    await judged(market)


def test_the_times_above_are_the_product_s() -> None:
    """A lease or ledger bound that was changed must be changed here too."""
    defaults = {
        name: each.default
        for name, each in SessionInput.__dataclass_fields__.items()
        if name in {"lease_ttl_ms", "max_ledger_behind_s"}
    }
    assert defaults == {"lease_ttl_ms": _LEASE_MS, "max_ledger_behind_s": _LEDGER_MS / 1_000}
    assert Permit(max_clock_offset_ms=1, max_ledger_behind_s=1.0).board_until_ns == 0


async def _quotes_after(market: Market, sequence: int) -> None:
    async def anew() -> bool:
        log = await market.log()
        newest = log.accepted()[-1].sequence
        return newest > sequence and bool(log.resting())

    await market.until("it quotes afterwards", anew, within_s=SLOW_S)


@asynccontextmanager
async def _trading(market: Market) -> AsyncIterator[None]:
    """Fills that arrive while a service is away are the ones that could get lost."""

    async def trade() -> None:
        while True:
            await market.sell_to_us()
            await asyncio.sleep(0.5)

    async with asyncio.TaskGroup() as tasks:
        trading = tasks.create_task(trade())
        try:
            yield
        finally:
            trading.cancel()


def _causes(error: BaseException | None) -> str:
    said = []
    while error is not None:
        said.append(str(error))
        error = getattr(error, "cause", None) or error.__cause__
    return "; ".join(said)
