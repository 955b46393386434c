"""At X10 the last brake is the venue's own: it works with our machine and Temporal both gone."""

import asyncio
import os
import signal

from tests.chaos.conftest import X10_TIMER_S
from tests.chaos.ground import Market, kill, terminate
from tests.support.services import Services

_SLACK_S = 2.0


async def test_a_stopped_worker_takes_its_orders_along(x10_market: Market) -> None:
    worker = await x10_market.quoting()
    epoch = await x10_market.epoch()
    ended_ns = await terminate(worker)
    log = await x10_market.log()
    assert log.resting() == set()
    assert log.gone_ns(epoch) <= ended_ns
    await x10_market.worker()
    await x10_market.finish()


async def test_the_venue_cancels_when_worker_and_temporal_are_both_gone(
    x10_market: Market, ground: Services
) -> None:
    worker = await x10_market.quoting()
    epoch = await x10_market.epoch()
    temporal = ground.pid("temporal")
    os.kill(temporal, signal.SIGSTOP)
    try:
        killed_ns = await kill(worker)
        assert (await x10_market.log()).resting(epoch=epoch), "nothing rested when it was killed"
        await asyncio.sleep(X10_TIMER_S + _SLACK_S)
        log = await x10_market.log()
        assert log.resting() == set(), "nobody but the venue was left to cancel them"
        seconds = (log.gone_ns(epoch) - killed_ns) / 1e9
        print(f"worker and Temporal gone: the venue cancelled after {seconds:.2f} s")  # noqa: T201
        assert seconds <= X10_TIMER_S + _SLACK_S
    finally:
        os.kill(temporal, signal.SIGCONT)
    await x10_market.worker()
    await x10_market.until("it quotes again", lambda: x10_market.quotes_above(epoch), within_s=60)
    await x10_market.finish()
