"""A Redis client on the test's own database, and one whose line can be cut."""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from infra.redis.connection import open_redis
from tests.infra.redis.link import Link


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = open_redis(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
async def link(redis_url: str) -> AsyncIterator[Link]:
    async with Link(urlsplit(redis_url).port or 6379).running() as link:
        yield link


@pytest.fixture
async def linked(redis_url: str, link: Link) -> AsyncIterator[Redis]:
    port = str(urlsplit(redis_url).port)
    client = open_redis(redis_url.replace(f":{port}", f":{link.port}"), socket_timeout_s=0.2)
    yield client
    await client.aclose()
