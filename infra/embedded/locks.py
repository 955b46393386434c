"""Locks that the operating system drops by itself when their holders are gone.

The one rule: a data folder has one stack, and each service folder one server, also after a
crash: the server inherits the lock of its folder and holds it until its last process has ended.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

from desk.errors import ConfigurationFault

_POLL_S = 0.02
_STACK_PATIENCE_S = 0.3


@contextlib.asynccontextmanager
async def stack_lock(data_dir: Path) -> AsyncIterator[None]:
    """Hold the data folder; ConfigurationFault when another stack holds it."""
    with _open(data_dir / "lock") as file:
        if not await _taken_within(file, _STACK_PATIENCE_S):
            raise ConfigurationFault(
                f"The data folder {data_dir} is in use by the stack of process "
                f"{_holder(file) or 'unknown'}; stop that one or choose another --data-dir."
            )
        sign(file, os.getpid())
        yield


@contextlib.asynccontextmanager
async def service_lock(
    path: Path, name: str, stop_signal: signal.Signals, patience_s: float
) -> AsyncIterator[IO[str]]:
    """Hold one service's folder. The server must inherit the descriptor and be signed in.

    A server left over by a stack that was killed is asked to end (on Linux the kernel has asked
    it already) and waited for; ConfigurationFault when it stays.
    """
    with _open(path) as file:
        if not await _taken_within(file, _POLL_S):
            left_over = _holder(file)
            _ask_to_end(left_over, stop_signal)
            if not await _taken_within(file, patience_s):
                raise ConfigurationFault(
                    f"An older {name} (process {left_over or 'unknown'}) still works on "
                    f"{path.parent} and did not end within {patience_s:.0f} s; stop it by hand."
                )
        yield file


def sign(file: IO[str], pid: int) -> None:
    """Write into a held lock who holds it."""
    file.seek(0)
    file.truncate()
    file.write(f"{pid}\n")
    file.flush()


def _open(path: Path) -> IO[str]:
    return path.open("a+", encoding="utf-8")


async def _taken_within(file: IO[str], patience_s: float) -> bool:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if loop.time() >= deadline:
                return False
            await asyncio.sleep(_POLL_S)
        else:
            return True


def _holder(file: IO[str]) -> int | None:
    file.seek(0)
    text = file.read().strip()
    return int(text) if text.isdecimal() else None


def _ask_to_end(pid: int | None, stop_signal: signal.Signals) -> None:
    # Our servers lead a session of their own: a process that does not is not one of them.
    with contextlib.suppress(OSError):
        if pid is not None and pid > 1 and os.getsid(pid) == pid:
            os.kill(pid, stop_signal)
