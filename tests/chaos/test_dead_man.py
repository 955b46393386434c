"""A worker that dies or freezes is cleared by somebody else, whatever else is away just then."""

import asyncio
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from flotilla.demo.children import Child
from quoting.dead_man import FIRED
from tests.chaos.ground import Market, kill, terminate

_NOBODY = "127.0.0.1:9"
"""An address where no Temporal answers."""

_NO_CANCELS = {"kind": "error_before", "path": "/perps/orders/cancel-all", "count": 10_000}


async def test_a_killed_worker_is_cleared_by_the_guardian(market: Market) -> None:
    await _cleared_after_kill(market)


async def test_the_same_at_x10(x10_market: Market) -> None:
    await _cleared_after_kill(x10_market)


async def test_the_same_at_zo(zo_market: Market) -> None:
    await _cleared_after_kill(zo_market)


async def _cleared_after_kill(market: Market) -> None:
    """The only worker dies; there is nobody but the guardian to take its orders away."""
    await market.guardian()
    worker = await market.quoting()
    epoch = await market.epoch()
    killed_ns = await kill(worker)
    assert (await market.log()).resting(epoch=epoch), "nothing rested when it was killed"
    await market.until("the guardian cleared the market", market.has_none)
    seconds = ((await market.log()).gone_ns(epoch) - killed_ns) / 1e9
    print(f"worker killed: the venue listed nothing of it after {seconds:.2f} s")  # noqa: T201
    await market.until("it is on record", lambda: _fired(market, epoch))
    assert len(await _decisions(market)) == 1
    await _alerted(market, epoch)
    await market.worker()
    await market.until("the next worker quotes", lambda: market.quotes_above(epoch))
    await market.finish()


async def test_a_frozen_worker_is_cleared_and_gets_nothing_out_when_it_thaws(
    market: Market,
) -> None:
    await market.guardian()
    worker = await market.quoting()
    epoch = await market.epoch()
    with _frozen(worker) as frozen_ns:
        await market.until("the guardian cleared the market", market.has_none)
        await market.until("it is on record", lambda: _fired(market, epoch))
    last = (await market.log()).last_of(epoch)
    # Whatever the thawed process had in mind, its successor's quotes come after it.
    await market.until("it quotes again", lambda: market.quotes_above(epoch), within_s=45)
    log = await market.log()
    seconds = (log.gone_ns(epoch) - frozen_ns) / 1e9
    print(f"worker frozen: the venue listed nothing of it after {seconds:.2f} s")  # noqa: T201
    assert log.last_of(epoch) == last
    assert last.at_ns < frozen_ns + 1e9
    await market.finish()


async def test_another_worker_is_guardian_enough(market: Market) -> None:
    worker = await market.quoting()
    epoch = await market.epoch()
    await market.worker()
    await kill(worker)
    await market.until("nothing of it rests", lambda: _none_of(market, epoch))
    await market.until("quoting goes on", lambda: market.quotes_above(epoch), within_s=45)
    await market.finish()


async def test_it_guards_while_temporal_cannot_be_reached(market: Market) -> None:
    guardian = await market.guardian(TEMPORAL_ADDRESS=_NOBODY)
    worker = await market.quoting()
    epoch = await market.epoch()
    await kill(worker)
    await market.until("the guardian cleared the market", market.has_none)
    await market.until("it is on record", lambda: _fired(market, epoch))
    await terminate(guardian)


async def test_it_clears_at_once_and_records_later_while_postgres_hangs(market: Market) -> None:
    await market.guardian()
    worker = await market.quoting()
    epoch = await market.epoch()
    with _frozen_service(market, "postgres"):
        await kill(worker)
        await market.until("the guardian cleared the market", market.has_none)
    await market.until("it is on record", lambda: _fired(market, epoch), within_s=60)


async def test_it_guards_again_after_redis_hung_for_longer_than_a_lease(market: Market) -> None:
    guardian = await market.guardian()
    worker = await market.quoting()
    epoch = await market.epoch()
    with _frozen_service(market, "valkey"):
        await guardian.heard(r"(leases cannot be watched)", timeout_s=30)
        await market.until("the session stops by itself", market.has_none)
    await guardian.heard(r"(leases are watched again)", timeout_s=30)
    await market.until("it quotes again", lambda: market.quotes_above(epoch), within_s=45)
    epoch = await market.epoch()
    await kill(worker)
    await market.until("the guardian cleared the market", market.has_none)
    await market.until("it is on record", lambda: _fired(market, epoch))
    assert not guardian.ended


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_guardian_ends_in_good_order(market: Market, number: signal.Signals) -> None:
    guardian = await market.guardian()
    assert guardian.pid is not None
    os.kill(guardian.pid, number)
    await market.until("it has ended", lambda: _ended(guardian))
    assert "worker ended in good order" in guardian.last_words()


async def test_a_venue_that_answers_no_cancels_is_tried_until_it_does(market: Market) -> None:
    guardian = await market.guardian()
    worker = await market.quoting()
    epoch = await market.epoch()
    await market.venue.post("faults", [_NO_CANCELS])
    await kill(worker)
    await guardian.heard(r"(may still rest)", timeout_s=40)
    assert (await market.log()).resting(epoch=epoch), "it rests while nobody can cancel"
    await market.calm()
    await market.until("the guardian cleared the market", market.has_none)
    await market.until("it is on record", lambda: _fired(market, epoch))


async def test_a_worker_that_left_without_clearing_is_cleared_after_it(market: Market) -> None:
    await market.guardian()
    worker = await market.quoting()
    epoch = await market.epoch()
    await market.venue.post("faults", [_NO_CANCELS])
    await terminate(worker)
    assert (await market.log()).resting(epoch=epoch), "it rests while nobody can cancel"
    await market.calm()
    # Its lease may have been given back: then it is the schedule that finds the orders.
    await market.until("the guardian cleared the market", market.has_none, within_s=60)


async def test_up_runs_a_guardian_and_starts_it_again(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)  # so that PostgreSQL's account may enter when tests run as root
    up = Child("up", ["up"], log=tmp_path / "up.log")
    await up.start({"FLOTILLA_DATA_DIR": str(tmp_path / "data")})
    try:
        await up.heard(r"(knows none; set FLOTILLA_VENUE_)", timeout_s=60)
        first = await _guardian_of(tmp_path, other_than=0)
        os.kill(first, signal.SIGKILL)
        second = await _guardian_of(tmp_path, other_than=first)
        assert up.pid is not None
        await terminate(up)
        assert not Path(f"/proc/{second}").exists(), "the guardian outlived its services"
    finally:
        await up.stop()


async def _guardian_of(folder: Path, *, other_than: int) -> int:
    """Process id of the guardian that was ready last."""
    log = folder / "data" / "logs" / "guardian.out"
    async with asyncio.timeout(60):
        while True:
            said = log.read_text() if log.exists() else ""
            found = re.findall(r"worker ready .* worker=\S+-(\d+)", said)
            if found and int(found[-1]) != other_than:
                return int(found[-1])
            await asyncio.sleep(0.1)


async def _ended(child: Child) -> bool:
    return child.ended


async def _none_of(market: Market, epoch: int) -> bool:
    return not (await market.log()).resting(epoch=epoch)


async def _fired(market: Market, epoch: int) -> bool:
    """Whether the ledger has a decision for this epoch, with its evidence."""
    found = [one for one in await _decisions(market) if one["epoch"] == epoch]
    for one in found:
        assert "listed zero twice 20" in one["evidence"], one["evidence"]
        assert "cancels confirmed 20" in one["evidence"], one["evidence"]
    return bool(found)


async def _decisions(market: Market) -> list[Any]:
    session = await asyncpg.connect(_plain(market), ssl=False, timeout=5)
    try:
        return list(
            await session.fetch(
                "SELECT epoch, evidence FROM control_decisions WHERE kind = $1 AND account = $2",
                FIRED,
                market.id.account,
            )
        )
    finally:
        await session.close()


async def _alerted(market: Market, epoch: int) -> None:
    async def told() -> bool:
        session = await asyncpg.connect(_plain(market), ssl=False, timeout=5)
        try:
            found = await session.fetch(
                "SELECT severity, text FROM alerts WHERE account = $1", market.id.account
            )
        finally:
            await session.close()
        wanted = f"{FIRED}: the lease of epoch {epoch},"
        return [one["severity"] for one in found if one["text"].startswith(wanted)] == ["critical"]

    await market.until("a person is told", told)


def _plain(market: Market) -> str:
    return market.services.database_url.replace("+asyncpg", "")


@contextmanager
def _frozen(child: Child) -> Iterator[int]:
    """SIGSTOP for the block; gives the wall time in nanoseconds when it took hold."""
    assert child.pid is not None
    os.kill(child.pid, signal.SIGSTOP)
    try:
        yield time.time_ns()
    finally:
        os.kill(child.pid, signal.SIGCONT)


@contextmanager
def _frozen_service(market: Market, name: str) -> Iterator[None]:
    """SIGSTOP for the block, its children included: their connections are open and silent."""
    pids = _family(market.services.pid(name))
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _family(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [pid, *(int(child) for child in listed.split())]
