"""Keeps one embedded service running: start, watch, start again on the same port.

The one rule: a service counts as started when it answered, and the one that dies is brought back
until it dies too often; then the whole stack ends with its last words.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import structlog

from desk.errors import ConfigurationFault, Unavailable
from infra.embedded.locks import service_lock, sign
from infra.embedded.ports import is_free
from infra.embedded.process import Child, spawn
from infra.embedded.service import Service

_log = structlog.stdlib.get_logger("flotilla.embedded")

_READY_WITHIN_S = 120.0  # crash recovery of a large database is slow
_POLL_S = 0.02
_LEFT_OVER_WITHIN_S = 15.0
_STOP_WITHIN_S = 20.0
_BUSY_PORT = ("address already in use", "could not bind", "could not create any tcp")
_BUSY_TRIES = 5
_BUSY_PAUSE_S = 0.4
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_STORM_DEATHS = 8
_STORM_WINDOW_S = 60.0


class StartFailed(Unavailable):
    """The process ended, or never answered, while it was starting."""


class Supervised:
    """One service with its process. `changed` is called whenever the process id is new."""

    def __init__(self, service: Service, data_dir: Path, changed: Callable[[], None]) -> None:
        self._service = service
        self._log = data_dir / "logs" / f"{service.name}.log"
        self._lock = data_dir / f"{service.name}.lock"
        self._changed = changed
        self._child: Child | None = None
        self._turn = asyncio.Lock()
        self._deaths: deque[float] = deque()

    @property
    def pid(self) -> int | None:
        """Process id while it runs; a new one appears once it has answered."""
        return self._child.pid if self._child is not None and self._child.alive() else None

    async def start(self) -> None:
        """Prepare and start; returns when it answers. ConfigurationFault or StartFailed."""
        async with self._turn:
            await _whole(self._service.prepare())
            await self._start()

    async def stop(self) -> None:
        """End it in good order; `watch` must not run any more."""
        async with self._turn:
            await self._end()

    async def restart(self) -> None:
        """End it in good order and start it again. ConfigurationFault or StartFailed."""
        async with self._turn:
            await self._end()
            await self._start()

    async def watch(self) -> None:
        """Bring it back whenever it dies, until cancelled. Unavailable when it dies too often."""
        while True:
            child = self._child
            if child is not None:
                await child.exited()
            async with self._turn:
                if self._child is child:  # else somebody restarted it meanwhile
                    await self._revive()

    async def _revive(self) -> None:
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE_S
        if self._child is not None:
            code, said = await self._child.exited(), self._child.last_words(2)
            _log.warning("service_died", service=self._service.name, exit_code=code, said=said)
        while True:
            self._count_death(loop.time())
            try:
                await self._start()
            except (StartFailed, ConfigurationFault) as error:
                _log.warning("service_not_back", service=self._service.name, reason=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
            else:
                _log.warning("service_back", service=self._service.name, pid=self.pid)
                return

    def _count_death(self, now: float) -> None:
        self._deaths.append(now)
        while self._deaths[0] < now - _STORM_WINDOW_S:
            self._deaths.popleft()
        if len(self._deaths) > _STORM_DEATHS:
            raise Unavailable(
                f"{self._service.name} died {len(self._deaths)} times within "
                f"{_STORM_WINDOW_S:.0f} s and is given up; read {self._log}."
            )

    async def _start(self) -> None:
        for attempt in range(1, _BUSY_TRIES + 1):
            try:
                await self._start_once()
            except StartFailed as error:
                busy = any(words in str(error).lower() for words in _BUSY_PORT)
                if not busy or attempt == _BUSY_TRIES:
                    raise
                await asyncio.sleep(_BUSY_PAUSE_S)
            else:
                self._changed()
                return

    async def _start_once(self) -> None:
        command = self._service.command()
        name, port = self._service.name, self._service.port
        async with service_lock(self._lock, name, command.stop_signal, _LEFT_OVER_WITHIN_S) as lock:
            if not is_free(port):  # else whoever listens there would be taken for the one we start
                raise StartFailed(f"{name} could not bind port {port}: another program has it.")
            try:
                child = spawn(command, self._log, keep_open=(lock.fileno(),))
            except OSError as error:
                raise ConfigurationFault(
                    f"{name} cannot be started ({error.strerror}: {command.argv[0]}); "
                    "reinstall flotilla[embedded]."
                ) from error
            sign(lock, child.pid)
        try:
            await self._until_ready(child)
        except BaseException:
            await asyncio.shield(child.stop(_STOP_WITHIN_S))
            raise
        self._child = child

    async def _until_ready(self, child: Child) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _READY_WITHIN_S
        while not await self._service.ready():
            if not child.alive():
                raise StartFailed(
                    f"{self._service.name} ended while starting; its log {self._log} ends: "
                    f"{child.last_words()}"
                )
            if loop.time() > deadline:
                raise StartFailed(
                    f"{self._service.name} did not answer within {_READY_WITHIN_S:.0f} s; "
                    f"its log {self._log} ends: {child.last_words()}"
                )
            await asyncio.sleep(_POLL_S)

    async def _end(self) -> None:
        if self._child is not None:
            code = await self._child.stop(_STOP_WITHIN_S)
            if code:
                _log.warning("service_ended_badly", service=self._service.name, exit_code=code)


async def _whole(work: Coroutine[Any, Any, None]) -> None:
    """Do it to the end, even cancelled: the next start must not meet a thread in its folder."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise
