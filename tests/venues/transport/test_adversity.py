"""What the pool concludes is compared with what the far side really saw."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from desk.errors import NotSent, Unresolved
from tests.support.adversity import (
    CLEAR,
    LOST_ANSWER,
    LOST_REQUEST,
    SILENT_ANSWER,
    SWALLOWED_REQUEST,
    AdverseProxy,
    Adversity,
    adverse_proxy,
)
from tests.venues.transport.origin import Origin, SystemClock
from venues._transport.http import HttpPool


@pytest.fixture
async def proxy(server: Origin) -> AsyncIterator[AdverseProxy]:
    async with adverse_proxy(server.port) as running:
        yield running


@pytest.fixture
async def pool(proxy: AdverseProxy) -> AsyncIterator[HttpPool]:
    pool = HttpPool(proxy.base_url, clock=SystemClock(), connections=1, timeout_s=0.3)
    await pool.open()
    async with asyncio.TaskGroup() as group:
        group.create_task(pool.run())
        yield pool
        await pool.close()


@pytest.mark.parametrize(
    ("adversity", "arrives"),
    [
        (LOST_REQUEST, False),
        (SWALLOWED_REQUEST, False),
        (LOST_ANSWER, True),
        (SILENT_ANSWER, True),
        (Adversity(answer_bytes=30), True),
        (Adversity(answer_bytes=30, cut=False), True),
        (Adversity(piece=1, delay_s=0.05), True),
    ],
)
async def test_once_a_byte_left_only_a_whole_answer_resolves(
    server: Origin, proxy: AdverseProxy, pool: HttpPool, adversity: Adversity, arrives: bool
) -> None:
    proxy.adversity = adversity
    with pytest.raises(Unresolved):
        await pool.request("POST", "/order", body=b"{}")
    assert b"POST /order" in proxy.seen
    proxy.adversity = CLEAR
    assert (await pool.request("GET", "/after", timeout_s=2.0)).status == 200
    assert len([r for r in server.requests if r.target == "/order"]) == int(arrives)


async def test_an_answer_in_single_bytes_is_a_whole_answer(
    proxy: AdverseProxy, pool: HttpPool
) -> None:
    proxy.adversity = Adversity(piece=1)
    assert (await pool.request("GET", "/", timeout_s=2.0)).body == b"{}"


async def test_a_slow_answer_in_time_is_a_whole_answer(proxy: AdverseProxy, pool: HttpPool) -> None:
    proxy.adversity = Adversity(delay_s=0.05)
    assert (await pool.request("GET", "/")).body == b"{}"


async def test_while_nothing_gets_through_nothing_counts_as_sent(
    server: Origin, proxy: AdverseProxy, pool: HttpPool
) -> None:
    proxy.accepting = False
    proxy.cut_all()
    outcomes = []
    for number in range(5):
        try:
            await pool.request("POST", f"/{number}", body=b"{}")
        except (NotSent, Unresolved) as error:
            outcomes.append(type(error))
    assert len(outcomes) == 5
    # A request the pool calls NotSent has left no byte anywhere.
    assert len(server.requests) == 0
    assert proxy.seen.count(b"POST") <= outcomes.count(Unresolved)
    proxy.accepting = True
    async with asyncio.timeout(5):
        while True:
            try:
                assert (await pool.request("GET", "/again")).status == 200
                break
            except (NotSent, Unresolved):
                await asyncio.sleep(0.01)
