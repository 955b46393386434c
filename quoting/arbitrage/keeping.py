"""Keeping a trade that is out: its claim alive, its work going on although we are asked to go."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar

from desk.arbitrage_ports import Claim
from desk.errors import Unavailable
from quoting.arbitrage.ports import SetPorts

_LEAVE_S: Final = 5.0
_OFTEN: Final = 3

T = TypeVar("T")


@asynccontextmanager
async def kept(claim: Claim, ports: SetPorts) -> AsyncIterator[None]:
    """Keep a claim while the block runs; where that fails, nothing can be done about it."""

    async def keep_on() -> None:
        while True:
            await asyncio.sleep(claim.ttl_ms / 1_000 / _OFTEN)
            with suppress(Unavailable):
                if not await ports.claims.keep(claim):
                    return

    keeping = asyncio.create_task(keep_on())
    try:
        yield
    finally:
        keeping.cancel()


async def finished(work: Coroutine[Any, Any, T]) -> T:
    """See work to its end although we are asked to go; asked again, or after a while, leave it."""
    working = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait({working}, timeout=_LEAVE_S)
        if not working.done():
            raise
        return working.result()
    finally:
        working.cancel()
