"""One embedded stack per pytest process, started when a test first asks for it.

The stack lives in a thread with an event loop of its own, so tests keep a fresh loop each.
"""

import asyncio
import itertools
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg
import redis.asyncio

from infra.embedded.ports import LOWEST, PortWishes
from infra.embedded.stack import EmbeddedStack
from infra.embedded.supervision import StartFailed

T = TypeVar("T")

_LOGICAL_DATABASES = 15
_PORTS, _RANGES = 600, 16
_STARTS = 3


class Services:
    """A running stack seen from tests; every method may be called from any thread."""

    def __init__(
        self, stack: EmbeddedStack, loop: asyncio.AbstractEventLoop, data_dir: Path
    ) -> None:
        self._stack = stack
        self._loop = loop
        self.data_dir = data_dir
        self.fault: BaseException | None = None
        self._numbers = itertools.count()

    @property
    def database_url(self) -> str:
        """Database `flotilla`; tests should take `new_database` instead."""
        return self._stack.database_url

    @property
    def redis_url(self) -> str:
        """Logical database 0; tests should take `empty_redis` instead."""
        return self._stack.redis_url

    @property
    def temporal_address(self) -> str:
        """Host and port; workflows of all tests share the namespace, so use fresh ids."""
        return self._stack.temporal_address

    @property
    def ui_url(self) -> str:
        return self._stack.ui_url or ""

    def pid(self, name: str) -> int:
        """Process id of `postgres`, `valkey` or `temporal`."""
        return self._stack.pids[name]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something on the stack's own loop and wait for it."""
        if self.fault is not None:
            work.close()
            raise RuntimeError("the stack of this process has ended") from self.fault
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=60)

    def restart(self, name: str) -> None:
        """End a service in good order and start it again."""
        self.run(self._stack.restart(name))

    def kill(self, name: str) -> None:
        """Kill a service with -9 and wait until the supervision has brought it back."""
        self.run(self._kill(name))

    def new_database(self) -> str:
        """Address of a fresh, empty database."""
        name = f"test_{uuid4().hex[:12]}"
        self.run(self._postgres(f'create database "{name}"'))
        return f"{self.database_url.rpartition('/')[0]}/{name}"

    def drop_database(self, url: str) -> None:
        """Drop it, cutting whoever is still connected."""
        self.run(self._postgres(f'drop database "{url.rpartition("/")[2]}" with (force)'))

    def empty_redis(self) -> str:
        """Address of an emptied logical database; published messages reach all of them."""
        url = f"{self.redis_url.rpartition('/')[0]}/{next(self._numbers) % _LOGICAL_DATABASES + 1}"
        self.run(_flush(url))
        return url

    async def _kill(self, name: str) -> None:
        old = self._stack.pids[name]
        os.kill(old, signal.SIGKILL)
        async with asyncio.timeout(60):
            while self._stack.pids.get(name) in {None, old}:
                await asyncio.sleep(0.02)

    async def _postgres(self, statement: str) -> None:
        plain = self.database_url.replace("+asyncpg", "")
        session = await asyncpg.connect(plain, ssl=False)
        try:
            await session.execute(statement)
        finally:
            await session.close()


def _own_ports() -> PortWishes:
    """Ports that no other process of this test run draws from, below those of users' stacks."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    lowest = LOWEST - _PORTS * (worker % _RANGES + 1)
    return PortWishes(among=range(lowest, lowest + _PORTS))


async def _entered(life: AsyncExitStack, folder: Path, ports: PortWishes) -> EmbeddedStack:
    """A stack that runs; many start at once, and a port may be gone a moment after it was free."""
    for _ in range(_STARTS - 1):
        with suppress(StartFailed):
            return await life.enter_async_context(EmbeddedStack(folder, ports=ports))
    return await life.enter_async_context(EmbeddedStack(folder, ports=ports))


@contextmanager
def running_services(
    data_dir: Path | None = None, ports: PortWishes | None = None
) -> Iterator[Services]:
    """Run a stack until the block ends; without a folder, in a fresh one that is removed."""
    folder = data_dir or Path(tempfile.mkdtemp(prefix="flotilla-test-"))
    if data_dir is None:
        folder.chmod(0o755)  # so that PostgreSQL's account may enter when tests run as root
    started: dict[str, Any] = {}
    up = threading.Event()

    async def live() -> None:
        async with AsyncExitStack() as life:
            stack = await _entered(life, folder, ports or _own_ports())
            loop = asyncio.get_running_loop()
            started["loop"], started["stop"] = loop, asyncio.Event()
            started["services"] = Services(stack, loop, folder)
            up.set()
            await started["stop"].wait()

    def body() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            started["error"] = error
            if "services" in started:
                started["services"].fault = error
        finally:
            up.set()

    thread = threading.Thread(target=body, name="embedded-stack", daemon=True)
    thread.start()
    try:
        up.wait()
        if "error" in started:
            raise started["error"]
        yield started["services"]
    finally:
        if "stop" in started and thread.is_alive():
            started["loop"].call_soon_threadsafe(started["stop"].set)
        thread.join(timeout=60)
        if data_dir is None:
            shutil.rmtree(folder, ignore_errors=True)
    if "error" in started:
        raise started["error"]


async def _flush(url: str) -> None:
    client = redis.asyncio.Redis.from_url(url)
    try:
        await client.flushdb()
    finally:
        await client.aclose()
