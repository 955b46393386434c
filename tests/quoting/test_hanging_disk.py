"""A disk that answers nothing costs what was to be written, and never a session or the process."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from desk.identity import MarketId
from desk.state_ports import KeptCopy
from desk.trace_ports import OpenJournal
from desk.units import NS_PER_S
from infra.clock import SystemClock
from quoting.file_thread import FileThread
from quoting.progress import LatencySamples
from quoting.replay import replay_tail
from quoting.saved_state import StateKeeper
from quoting.trace import Traces
from tests.quoting.builders import account, make_loop, permit
from tests.quoting.test_replay import quoted, setup
from tests.quoting.test_saved_state import SETUP
from tests.quoting.test_session_lease import FastClock
from tests.quoting.test_traces import begun, step, until
from tests.quoting.traced import Kept, Shelf, TracedLoop

_LONG_S = 60


@dataclass
class Hung(Shelf):
    """Files of every kind on a disk that answers nothing until it is let go."""

    free: threading.Event = field(default_factory=threading.Event)
    asked: int = 0

    def save(self, market: MarketId, content: bytes, now_ms: int, epoch: int) -> None:
        self._wait()

    def load(self, market: MarketId) -> Sequence[KeptCopy]:
        self._wait()
        return ()

    def set_aside(self, market: MarketId, names: Collection[str], now_ms: int) -> None:
        self._wait()

    def begin(self, market: MarketId, epoch: int, began_ms: int, head: bytes) -> OpenJournal:
        self._wait()
        return Shelf.begin(self, market, epoch, began_ms, head)

    def _wait(self) -> None:
        self.asked += 1
        self.free.wait(_LONG_S)


@pytest.fixture
def hung() -> Iterator[Hung]:
    disk = Hung()
    yield disk
    disk.free.set()


def keeper(disk: Hung, thread: FileThread, said: list[str]) -> StateKeeper:
    return StateKeeper(
        files=disk,
        thread=thread,
        setup=SETUP,
        clock=FastClock(),
        life_epoch=1,
        run_id="run",
        tell=said.append,
    )


async def test_sessions_end_and_others_have_their_threads_while_no_state_can_be_saved(
    hung: Hung,
) -> None:
    thread, said, loop = FileThread("states"), list[str](), make_loop()
    # As many as the pool that name look-ups use has threads.
    keepers = [keeper(hung, thread, said) for _ in range(32)]
    picture = loop.progress(LatencySamples())
    running = [asyncio.create_task(one.run(loop, lambda: picture)) for one in keepers]
    await until(lambda: hung.asked)
    async with asyncio.timeout(_LONG_S / 2):
        assert await asyncio.to_thread(lambda: "an answer") == "an answer"
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        await keepers[0].close(loop, picture, left=True)
    assert said == [f"{SETUP.market.path}: its state could not be saved: {_NO_ANSWER}"]


_NO_ANSWER = "the disk did not answer within 2 s"


async def test_traces_end_while_their_disk_hangs(hung: Hung) -> None:
    traces = Traces(files=hung, clock=SystemClock())
    task = asyncio.create_task(traces.run())
    trace, loop = begun(traces)
    step(trace, loop, NS_PER_S, account(NS_PER_S))
    await until(lambda: hung.asked)
    task.cancel()
    async with asyncio.timeout(_LONG_S / 2):
        with suppress(asyncio.CancelledError):
            await task
    assert not hung.free.is_set()


@dataclass(slots=True)
class HungJournal(Kept):
    """A journal whose first block cannot be read until the disk is let go."""

    free: threading.Event = field(default_factory=threading.Event)

    def frames(self) -> Iterator[bytes]:
        self.free.wait(_LONG_S)
        yield from self.written


async def test_a_journal_that_cannot_be_read_stops_nothing_but_its_own_replay() -> None:
    whole = quoted(TracedLoop(setup(), permit()), seconds=1).journal()
    journal = HungJournal(whole.written)
    reading = asyncio.create_task(replay_tail(journal, 60))
    async with asyncio.timeout(_LONG_S / 2):
        # The event loop goes on, and the replay can be given up.
        done, _ = await asyncio.wait({reading}, timeout=0.2)
        assert not done
        reading.cancel()
        await asyncio.wait({reading})
    assert reading.cancelled()
    journal.free.set()
    assert (await replay_tail(journal, 60)).identical


async def test_calls_are_made_in_order_and_one_given_up_before_its_turn_never_is() -> None:
    thread, free, made = FileThread("test"), threading.Event(), list[str]()

    def call(name: str) -> str:
        free.wait(_LONG_S)
        made.append(name)
        return name

    waiting = [asyncio.create_task(thread.run(call, name)) for name in ("a", "b", "c")]
    await asyncio.sleep(0)
    waiting[1].cancel()
    await asyncio.wait({waiting[1]})
    free.set()
    assert [await waiting[0], await waiting[2]] == ["a", "c"]
    assert made == ["a", "c"]
    with pytest.raises(ZeroDivisionError):
        await thread.run(lambda: 1 // 0)
    thread.close()


def test_the_process_ends_while_a_call_waits_for_the_disk() -> None:
    program = (
        "import asyncio, time\n"
        "from quoting.file_thread import FileThread\n"
        "async def main():\n"
        "    waiting = asyncio.create_task(FileThread('states').run(time.sleep, 600))\n"
        "    await asyncio.wait({waiting}, timeout=0.1)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        timeout=_LONG_S,
        check=False,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.returncode, done.stderr) == (0, b"")
