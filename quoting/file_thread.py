"""Calls that may wait for a disk, in one thread of their own and never in one that others need.

The rule: a disk that hangs holds this thread and nothing else: no other call of the process waits
for it, nor does the end of the process.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_Calls: TypeAlias = SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]


class FileThread:
    """Runs calls one after another, in the order they are given; `name` shows in a debugger."""

    def __init__(self, name: str) -> None:
        self._name: Final = name
        self._calls: _Calls = SimpleQueue()
        self._thread: threading.Thread | None = None

    async def run(self, call: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        """What the call returns or raises.

        Cancelled, a call that has not begun never does; one that has goes on, and is not heard.
        """
        if self._thread is None:
            # A daemon: the end of the process would wait for any other thread, and so for the disk.
            self._thread = threading.Thread(
                target=_work, args=(self._calls,), name=self._name, daemon=True
            )
            self._thread.start()
        waiting: Future[T] = Future()
        self._calls.put((waiting, partial(call, *given, **named)))
        return await asyncio.wrap_future(waiting)

    def close(self) -> None:
        """Let the thread end once it has done what it was given."""
        self._calls.put(None)


def _work(calls: _Calls) -> None:
    while (given := calls.get()) is not None:
        _answer(*given)
        del given  # the next may be long in coming


def _answer(waiting: Future[Any], call: Callable[[], Any]) -> None:
    if not waiting.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 - whoever waits is told
        waiting.set_exception(error)
    else:
        waiting.set_result(result)
