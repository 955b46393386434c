"""A service that answers nothing for a while, all its processes stopped at once."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psutil


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a process and its children while the block runs."""
    # PostgreSQL answers on established connections from processes of their own.
    main = psutil.Process(pid)
    family = [main, *main.children(recursive=True)]
    for one in family:
        _send(one, signal.SIGSTOP)
    try:
        yield
    finally:
        for one in reversed(family):
            _send(one, signal.SIGCONT)


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return
