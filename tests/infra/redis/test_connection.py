"""Trouble with Redis has one name and a bounded time; a cancel stays a cancel."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from redis.exceptions import RedisError

from desk.errors import ConfigurationFault, Unavailable
from infra.redis.connection import bounded, open_redis


@pytest.mark.parametrize(
    "trouble", [RedisError("gone"), ConnectionResetError("cut"), TimeoutError()]
)
async def test_every_trouble_is_unavailable(trouble: Exception) -> None:
    with pytest.raises(Unavailable, match=f"redis: {str(trouble) or 'TimeoutError'}"):
        async with bounded():
            raise trouble


async def test_a_bug_is_not_trouble() -> None:
    with pytest.raises(KeyError):
        async with bounded():
            raise KeyError("ours")


async def test_a_call_that_takes_too_long_is_unavailable() -> None:
    async with asyncio.timeout(5):
        with pytest.raises(Unavailable):
            async with bounded(0.01):
                await asyncio.Event().wait()


async def test_a_cancel_ends_the_caller() -> None:
    async def call() -> None:
        async with bounded(60.0):
            await asyncio.Event().wait()

    assert await cancelled(call())


@pytest.mark.parametrize("forgets", ["answers", "fails"])
async def test_a_cancel_that_the_client_forgot_still_ends_the_caller(forgets: str) -> None:
    """As the client's wait_for does when the answer comes in the same turn as the cancel."""

    async def call() -> None:
        async with bounded(60.0):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if forgets == "fails":
                    raise RedisError("cut off") from None

    assert await cancelled(call())


async def test_an_older_cancel_does_not_spoil_a_good_call() -> None:
    """Cleaning up after a cancel may still ask Redis."""

    async def call() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            async with bounded():
                answer = "released"
        return answer

    task = asyncio.create_task(call())
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "released"


@pytest.mark.parametrize("url", ["http://x", "redis://:secret@host:port/0"])
def test_an_address_that_cannot_be_read_is_told_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationFault, match="redis_url: cannot be read") as fault:
        open_redis(url)
    assert "secret" not in str(fault.value)


async def cancelled(call: Coroutine[Any, Any, None]) -> bool:
    """Whether the call, once it waits, ends by a cancel; its other errors come out."""
    task = asyncio.create_task(call)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=5)
    if not task.cancelled():
        await task
    return task.cancelled()
