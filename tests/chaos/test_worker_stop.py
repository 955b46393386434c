"""A worker told to stop leaves in good order; one that was frozen finds itself locked out."""

import asyncio
import os
import signal
import time

from tests.chaos.ground import Market, terminate

_STOP_S = 10.0
_POLLS_S = 45.0


async def test_sigterm_ends_the_worker_with_nothing_resting(market: Market) -> None:
    worker = await market.quoting()
    began = time.monotonic()
    await terminate(worker)
    seconds = time.monotonic() - began
    print(f"SIGTERM: worker gone after {seconds:.2f} s")  # noqa: T201
    assert seconds <= _STOP_S
    assert await market.open_orders() == []
    assert (await market.log()).resting() == set()
    epoch = await market.epoch()
    await market.worker()
    await market.until("the next worker quotes", lambda: market.quotes_above(epoch))
    await market.finish()


async def test_a_frozen_worker_cannot_quote_after_its_successor(market: Market) -> None:
    first = await market.quoting()
    await market.worker()
    epoch = await market.epoch()
    assert first.pid is not None
    os.kill(first.pid, signal.SIGSTOP)
    frozen_ns = time.time_ns()
    # Temporal may hand a few retries to the frozen process, whose polls are still open.
    await market.until(
        "the other worker quotes", lambda: market.quotes_above(epoch), within_s=_POLLS_S
    )
    os.kill(first.pid, signal.SIGCONT)
    # Time for the thawed process to send whatever it had in mind.
    await asyncio.sleep(5)
    log = await market.log()
    seconds = (log.gone_ns(epoch) - frozen_ns) / 1e9
    print(f"worker frozen: venue listed nothing of it after {seconds:.2f} s")  # noqa: T201
    later = min(number for number in log.epochs() if number > epoch)
    assert log.last_of(epoch).sequence < log.first_of(later).sequence
    assert log.resting(epoch=epoch) == set()
    await market.finish(within_s=_POLLS_S + 10)
    began = time.monotonic()
    await terminate(first)
    assert time.monotonic() - began <= _STOP_S, "the thawed worker does not end"
