"""Heartbeats: how the server hears in seconds, not minutes, that a worker died."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from temporalio import activity

_BEAT_S = 1.0


def beat() -> None:
    """One heartbeat, for work that says itself when it got on."""
    activity.heartbeat()


@asynccontextmanager
async def beating(details: Callable[[], object] | None = None) -> AsyncIterator[None]:
    """Heartbeats while the block runs; `details` says each time what the page shows of it."""

    async def keep_on() -> None:
        while True:
            activity.heartbeat(*(() if details is None else (details(),)))
            await asyncio.sleep(_BEAT_S)

    keeping_on = asyncio.create_task(keep_on())
    try:
        yield
    finally:
        keeping_on.cancel()
