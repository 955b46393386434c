"""The connection to Redis: short time-outs, no silent retries.

The rule: every trouble comes out as `Unavailable`, and no call takes longer than its bound.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from desk.errors import ConfigurationFault, Unavailable

SOCKET_TIMEOUT_S: Final = 0.5
CALL_TIMEOUT_S: Final = 1.0
_CONNECTIONS: Final = 32


def open_redis(redis_url: str, *, socket_timeout_s: float = SOCKET_TIMEOUT_S) -> Redis:
    """Client that connects on first use; close it with `aclose`.

    ConfigurationFault, without the password, for a URL that cannot be read.
    """
    try:
        pool = BlockingConnectionPool.from_url(
            redis_url,
            max_connections=_CONNECTIONS,
            timeout=socket_timeout_s,
            socket_timeout=socket_timeout_s,
            socket_connect_timeout=socket_timeout_s,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
    except ValueError as error:
        raise ConfigurationFault(
            "redis_url: cannot be read; write redis://:PASSWORD@HOST:PORT/NUMBER"
        ) from error
    return Redis.from_pool(pool)


@asynccontextmanager
async def bounded(timeout_s: float = CALL_TIMEOUT_S) -> AsyncIterator[None]:
    """Turn whatever Redis or the network raises into Unavailable, and bound the time."""
    own = asyncio.current_task()
    cancels = own.cancelling() if own else 0
    trouble: Exception | None = None
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except (RedisError, OSError, TimeoutError) as error:
        trouble = error
    # Before Python 3.12, asyncio.wait_for inside the client forgets a cancel that comes together
    # with the answer; then nothing would ever end the caller.
    if own is not None and own.cancelling() > cancels:
        raise asyncio.CancelledError
    if trouble is not None:
        raise Unavailable(f"redis: {str(trouble) or type(trouble).__name__}") from trouble
