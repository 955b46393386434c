"""The product promises to bring a service back, and to give up aloud when it will not stay."""

import asyncio
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from desk.errors import Unavailable
from infra.embedded.ports import LOOPBACK
from infra.embedded.process import Command, spawn
from infra.embedded.supervision import StartFailed, Supervised


class Program:
    """A service that is a Python program; it answers once it has written its mark."""

    name = "program"

    def __init__(self, folder: Path, text: str, port: int = 0) -> None:
        self.port = port
        self._folder = folder
        self._text = text
        self.mark = folder / "mark"

    async def prepare(self) -> None:
        self._folder.mkdir(exist_ok=True)

    def command(self) -> Command:
        self.mark.unlink(missing_ok=True)
        return Command(
            argv=(sys.executable, "-c", self._text, str(self.mark)),
            home=self._folder,
            stop_signal=signal.SIGTERM,
        )

    async def ready(self) -> bool:
        return self.mark.exists()


_SERVES = "import pathlib,signal,sys; pathlib.Path(sys.argv[1]).touch(); signal.pause()"
_ENDS = "import sys; print('no space left'); sys.exit(3)"
_ENDS_SOON = "import pathlib,sys; pathlib.Path(sys.argv[1]).touch()"


async def test_a_service_that_ends_while_starting_is_told_with_its_last_words(
    tmp_path: Path,
) -> None:
    with pytest.raises(StartFailed, match=r"program ended while starting.*no space left"):
        await Supervised(Program(tmp_path, _ENDS), tmp_path, lambda: None).start()


async def test_a_stranger_on_the_port_is_not_taken_for_the_service(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as stranger:
        port = stranger.getsockname()[1]
        with pytest.raises(StartFailed, match=rf"program could not bind port {port}: another"):
            await Supervised(Program(tmp_path, _SERVES, port), tmp_path, lambda: None).start()


async def test_a_start_that_is_given_up_leaves_no_thread_in_the_folder(tmp_path: Path) -> None:
    begun, ended = threading.Event(), threading.Event()

    class Slow(Program):
        async def prepare(self) -> None:
            await asyncio.to_thread(self._prepare)

        def _prepare(self) -> None:
            begun.set()
            time.sleep(0.3)
            ended.set()

    start = asyncio.create_task(Supervised(Slow(tmp_path, _SERVES), tmp_path, lambda: None).start())
    await asyncio.to_thread(begun.wait)
    start.cancel()
    await asyncio.wait({start})
    assert start.cancelled()
    assert ended.is_set()


async def test_a_service_that_dies_is_brought_back(tmp_path: Path) -> None:
    back = asyncio.Event()
    supervised = Supervised(Program(tmp_path, _SERVES), tmp_path, back.set)
    await supervised.start()
    back.clear()
    first = supervised.pid
    assert first is not None
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        watch = group.create_task(supervised.watch())
        os.kill(first, signal.SIGKILL)
        await back.wait()
        assert supervised.pid not in {None, first}
        watch.cancel()
    await supervised.stop()
    assert supervised.pid is None


async def test_a_service_that_dies_again_and_again_is_given_up_aloud(tmp_path: Path) -> None:
    supervised = Supervised(Program(tmp_path, _ENDS_SOON), tmp_path, lambda: None)
    await supervised.start()
    async with asyncio.timeout(60):
        with pytest.raises(Unavailable, match=r"program died 9 times within 60 s and is given up"):
            await supervised.watch()


async def test_the_last_words_are_those_of_this_start(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for word in ("first", "second"):
        command = Command(
            argv=(sys.executable, "-c", f"print({word!r})"),
            home=tmp_path,
            stop_signal=signal.SIGTERM,
        )
        child = spawn(command, log)
        assert await child.exited() == 0
    assert child.last_words() == "second"
    assert "first" in log.read_text()


async def test_a_child_that_ignores_its_signal_is_ended_by_force(tmp_path: Path) -> None:
    text = (
        "import pathlib,signal,sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "pathlib.Path(sys.argv[1]).touch(); signal.pause()"
    )
    mark = tmp_path / "mark"
    command = Command(
        argv=(sys.executable, "-c", text, str(mark)), home=tmp_path, stop_signal=signal.SIGTERM
    )
    child = spawn(command, tmp_path / "log")
    async with asyncio.timeout(20):
        while not mark.exists():
            await asyncio.sleep(0.01)
        assert await child.stop(0.2) == -signal.SIGKILL
