"""One child process: started in its own session, tied to our life, logged to a file.

The one rule: call `spawn` from a thread that lives as long as the child should; on Linux the
child gets its stop signal when that thread ends.
"""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_POLL_S = 0.05
_LOG_LIMIT = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run and how to end it. `user` and `group` are numeric ids to change to."""

    argv: tuple[str, ...]
    home: Path
    stop_signal: signal.Signals
    user: int | None = None
    group: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


class Child:
    """A running (or ended) process."""

    def __init__(self, process: subprocess.Popen[bytes], command: Command, log: Path) -> None:
        self._process = process
        self._stop_signal = command.stop_signal
        self._log = log

    @property
    def pid(self) -> int:
        """Process id, which is also its session and group id."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether it still runs; reaps it when it does not."""
        return self._process.poll() is None

    async def exited(self) -> int:
        """Wait for the end; exit code, or minus the signal that ended it."""
        while (code := self._process.poll()) is None:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(_POLL_S)
        return code

    async def stop(self, patience_s: float) -> int:
        """Ask it to end, and end it by force after `patience_s`; the exit code."""
        self._signal(self._stop_signal)
        try:
            async with asyncio.timeout(patience_s):
                return await self.exited()
        except TimeoutError:
            self._signal(signal.SIGKILL)
            return await self.exited()

    def last_words(self, lines: int = 8) -> str:
        """The last lines it logged since it was started."""
        try:
            text = self._log.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            return f"({error.strerror})"
        said = text.rpartition(_mark(self._process.pid))[2]
        return " | ".join([line for line in said.splitlines() if line.strip()][-lines:])

    def _signal(self, number: signal.Signals) -> None:
        if self.alive():
            self._process.send_signal(number)


def spawn(command: Command, log: Path, keep_open: Sequence[int] = ()) -> Child:
    """Start a process; descriptors in `keep_open` stay open in it. Raises OSError."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab", buffering=0) as stream:
        process = subprocess.Popen(
            command.argv,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=_environment(command),
            start_new_session=True,
            user=command.user,
            group=command.group,
            extra_groups=None if command.user is None else [],
            pass_fds=tuple(keep_open),
            preexec_fn=_announce(stream.fileno(), _die_with_parent(command.stop_signal)),  # noqa: PLW1509 - one system call and one write
        )
    return Child(process, command, log)


def _mark(pid: int) -> str:
    return f"--- process {pid} ---\n"


def _environment(command: Command) -> dict[str, str]:
    """A fixed environment: variables such as PGDATA or PGOPTIONS must not reach a server."""
    fixed = {"PATH": os.defpath, "HOME": str(command.home), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    return fixed | dict(command.environment)


def _announce(descriptor: int, then: Callable[[], None]) -> Callable[[], None]:
    def before_exec() -> None:
        os.write(descriptor, _mark(os.getpid()).encode())
        then()

    return before_exec


def _die_with_parent(number: signal.Signals) -> Callable[[], None]:
    if sys.platform != "linux":
        return lambda: None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def arm() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return arm
