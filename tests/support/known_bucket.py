"""A shared rate bucket in Redis that has known everything for long, so that it gives at once."""

from redis.asyncio import Redis


async def known_for_long(redis: Redis, *, fleet: str, key: str) -> None:
    """Put the beginning of the bucket's memory before every window."""
    await redis.hset(f"flotilla:{fleet}:rate-began:{key}", "at", "1")
