"""Panic while the worker and every service of ours are frozen: the venue alone is asked."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from desk.units import NS_PER_S
from tests.chaos.ground import Market

_SERVICES = ("temporal", "postgres", "valkey")


async def test_panic_empties_the_venue_while_nothing_of_ours_answers(market: Market) -> None:
    worker = await market.quoting(flatten_on_stop=False)
    await market.hold_a_position()
    assert worker.pid is not None
    services = [market.services.pid(name) for name in _SERVICES]
    with _frozen(worker.pid, *services):
        began_ns = time.time_ns()
        code, said = await _panic(market)
        ended_ns = time.time_ns()
        print(f"panic took {(ended_ns - began_ns) / NS_PER_S:.1f} s: {said}")  # noqa: T201
        log = await market.log()
        assert code == 0, said
        assert await market.open_orders() == []
        assert log.positions()[-1] == 0
        first_exit = log.exits()[0].sequence
        assert log.flips_after(first_exit) == []
        assert f"{market.id.venue}/{market.id.account}: verified" in said
    # Awake again, the worker finds the KILL file: its market stands down and takes nothing back.
    result = await market.ended(within_s=60)
    assert "KILL" in result.reason
    late = [one for one in (await market.log()).accepted() if one.at_ns > ended_ns]
    assert late == [], "an order was accepted after the panic had ended"


async def _panic(market: Market) -> tuple[int | None, str]:
    names = ("FLOTILLA_VENUE_", "FLOTILLA_STATE_DIR")
    keys = {key: text for key, text in market.environment.items() if key.startswith(names)}
    clean = {key: text for key, text in os.environ.items() if not key.startswith("FLOTILLA_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "flotilla", "panic", "--flatten", "--yes"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**clean, **keys},
    )
    async with asyncio.timeout(120):
        said, _ = await process.communicate()
    return process.returncode, said.decode()


@contextmanager
def _frozen(*pids: int) -> Iterator[None]:
    """These processes do nothing while the block runs."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
