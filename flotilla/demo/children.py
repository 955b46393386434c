"""Our own processes beside the demo: simulated venues, worker, guardian.

A worker that dies is started again, as a service manager would; the venue is not, for its books
would be gone.
"""

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from desk.errors import Unavailable

GUARDIAN: Final = ("worker", "--role", "guardian")
"""Arguments of a guardian: whoever runs services or a fleet on one machine runs one."""

_STOP_S = 20.0
_RESTART_S = 0.5
_LONGEST_RESTART_S = 15.0
_LIVED_S = 30.0


class Child:
    """One `flotilla …` process with its own log file."""

    def __init__(self, name: str, arguments: Sequence[str], *, log: Path) -> None:
        self.name = name
        self._arguments = tuple(arguments)
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._offset = 0
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return None if self._process is None else self._process.pid

    async def start(self, environment: Mapping[str, str]) -> None:
        """Start the process; its output goes to the log file."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._offset = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            # Its own session: Ctrl-C is for the demo, which stops its children in order.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "flotilla",
                *self._arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
                start_new_session=True,
            )

    async def read(self, field: str, *, timeout_s: float) -> str:
        """Wait for the JSON object it prints when ready. Raises Unavailable."""
        return await self.heard(rf'"{field}":\s*"([^"]+)"', timeout_s=timeout_s)

    async def heard(self, pattern: str, *, timeout_s: float) -> str:
        """Wait until it said something; the part in the pattern's group. Raises Unavailable."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    said = self._log.read_bytes()[self._offset :].decode(errors="replace")
                    found = re.search(pattern, said)
                    if found:
                        return found.group(1)
                    if self.ended:
                        raise Unavailable(f"{self.name} did not start: {self.last_words()}")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise Unavailable(
                f"{self.name} was not ready after {timeout_s:.0f} s: {self.last_words()}"
            ) from None

    @property
    def ended(self) -> bool:
        """Whether the process is over."""
        return self._process is None or self._process.returncode is not None

    def is_identity(self, identity: str) -> bool:
        """Whether a Temporal worker's identity (`pid@host`) is this process."""
        return identity.partition("@")[0] == str(self.pid)

    async def watch(
        self,
        environment: Mapping[str, str],
        *,
        restart: bool,
        tell: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Wait for its end; start it again, or say that it is gone (Unavailable).

        One that keeps dying is started ever more slowly. `tell` takes a sentence on each end.
        """
        wait_s, began = _RESTART_S, time.monotonic()
        while self._process is not None:
            code = await self._process.wait()
            if self._stopping:
                return
            if not restart:
                raise Unavailable(f"{self.name} ended with code {code}: {self.last_words()}")
            self.restarts += 1
            lived = time.monotonic() - began >= _LIVED_S
            wait_s = _RESTART_S if lived else wait_s
            tell(f"{self.name} ended with code {code} and is started again; see {self._log}")
            await asyncio.sleep(wait_s)
            wait_s = min(_LONGEST_RESTART_S, wait_s * 2)
            began = time.monotonic()
            await self.start(environment)

    async def stop(self) -> None:
        """Ask it to end in good order; kill it when it does not."""
        self._stopping = True
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def last_words(self) -> str:
        """Last lines of its log, on one line."""
        if not self._log.exists():
            return "no log"
        return " | ".join(self._log.read_text(errors="replace").strip().splitlines()[-3:])
