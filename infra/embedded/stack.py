"""PostgreSQL, Valkey and Temporal on one data folder, up together and kept up.

The one rule: whatever the user has of their own is used and left alone; the rest is started here
and ends with us.
"""

import asyncio
import contextlib
import random
import secrets
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from desk.errors import ConfigurationFault, Unavailable
from infra.embedded.directory import Addresses, announce, withdraw
from infra.embedded.locks import stack_lock
from infra.embedded.ports import PortBook, PortWishes
from infra.embedded.postgres import Postgres
from infra.embedded.service import Service
from infra.embedded.supervision import Supervised
from infra.embedded.temporal import Temporal
from infra.embedded.valkey import Valkey
from infra.temporal.search_attributes import SEARCH_ATTRIBUTES, SearchAttributes


class EmbeddedStack:
    """`async with EmbeddedStack(folder) as stack:` and the addresses below are served.

    Entering raises ConfigurationFault (folder in use, port taken, nothing installed) or
    Unavailable (a service does not come up). While inside, a service that cannot be kept up
    cancels the body and Unavailable comes out. Start it in a thread that lives as long as it.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        external: Addresses | None = None,
        ports: PortWishes | None = None,
        attributes: SearchAttributes = SEARCH_ATTRIBUTES,
        rng: random.Random | None = None,
    ) -> None:
        self._data = data_dir.absolute()
        self._external = external or Addresses()
        self._attributes = attributes
        self._ports = PortBook(
            self._data / "ports.json", ports or PortWishes(), rng or secrets.SystemRandom()
        )
        self._services: dict[str, Supervised] = {}
        self._addresses = Addresses()
        self._life: contextlib.AbstractAsyncContextManager[None] | None = None

    @property
    def database_url(self) -> str:
        """SQLAlchemy address of PostgreSQL (asyncpg)."""
        return self._addresses.database_url or ""

    @property
    def redis_url(self) -> str:
        """Address of Valkey."""
        return self._addresses.redis_url or ""

    @property
    def temporal_address(self) -> str:
        """Host and port of Temporal."""
        return self._addresses.temporal_address or ""

    @property
    def ui_url(self) -> str | None:
        """Address of the Temporal UI; None when Temporal is the user's own."""
        return self._addresses.ui_url

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences the user should see: ports that had to change."""
        return tuple(self._ports.notes)

    @property
    def pids(self) -> Mapping[str, int]:
        """Process ids of the services that we run; one that is coming back is absent."""
        found = {name: supervised.pid for name, supervised in self._services.items()}
        return {name: pid for name, pid in found.items() if pid is not None}

    async def restart(self, name: str) -> None:
        """End `postgres`, `valkey` or `temporal` in good order and start it on the same port."""
        if name not in self._services:
            known = ", ".join(self._services) or "none"
            raise ConfigurationFault(f"{name} is not run by this stack; it runs: {known}.")
        await self._services[name].restart()

    async def __aenter__(self) -> Self:
        life = self._living()
        await life.__aenter__()
        self._life = life
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        life, self._life = self._life, None
        return None if life is None else await life.__aexit__(kind, error, trace)

    @contextlib.asynccontextmanager
    async def _living(self) -> AsyncIterator[None]:
        self._make_folder()
        async with stack_lock(self._data):
            try:
                await self._start_all()
                async with _one_fault(), asyncio.TaskGroup() as group:
                    watchers = [group.create_task(s.watch()) for s in self._services.values()]
                    try:
                        yield
                    finally:
                        for watcher in watchers:
                            watcher.cancel()
            finally:
                await asyncio.shield(self._stop_all())

    def _make_folder(self) -> None:
        try:
            (self._data / "logs").mkdir(parents=True, exist_ok=True)
            (self._data / "lock").touch()
        except OSError as error:
            raise ConfigurationFault(
                f"The data folder {self._data} cannot be used ({error.strerror}); "
                "choose another --data-dir."
            ) from None

    async def _start_all(self) -> None:
        postgres, valkey, temporal = self._compose()
        self._ports.save()
        async with _one_fault(), asyncio.TaskGroup() as group:
            for supervised in self._services.values():
                group.create_task(supervised.start())
        own = self._external
        self._addresses = Addresses(
            database_url=postgres.url if postgres else own.database_url,
            redis_url=valkey.url if valkey else own.redis_url,
            temporal_address=temporal.address if temporal else own.temporal_address,
            ui_url=temporal.ui_url if temporal else own.ui_url,
        )
        self._announce()

    def _compose(self) -> tuple[Postgres | None, Valkey | None, Temporal | None]:
        own = self._external
        postgres = None if own.database_url else self._postgres()
        valkey = None if own.redis_url else self._valkey()
        temporal = None if own.temporal_address else self._temporal()
        services: tuple[Service | None, ...] = (postgres, valkey, temporal)
        for service in services:
            if service is not None:
                self._services[service.name] = Supervised(service, self._data, self._announce)
        return postgres, valkey, temporal

    def _postgres(self) -> Postgres:
        return Postgres(
            folder=self._data / "postgres",
            secret=self._data / "secrets" / "postgres",
            port=self._ports.choose("postgres"),
        )

    def _valkey(self) -> Valkey:
        return Valkey(
            folder=self._data / "valkey",
            secret=self._data / "secrets" / "valkey",
            port=self._ports.choose("valkey"),
        )

    def _temporal(self) -> Temporal:
        return Temporal(
            folder=self._data / "temporal",
            port=self._ports.choose("temporal"),
            ui_port=self._ports.choose("ui"),
            side_port=self._ports.passing,
            attributes=self._attributes,
        )

    def _announce(self) -> None:
        # During the start the addresses are not complete; the last step announces them.
        if self._addresses != Addresses():
            announce(self._data, self._addresses, self.pids)

    async def _stop_all(self) -> None:
        withdraw(self._data)
        self._addresses = Addresses()
        # Temporal and the clients' own retries bear any order; together is fastest.
        async with asyncio.TaskGroup() as group:
            for supervised in self._services.values():
                group.create_task(supervised.stop())
        self._services = {}


@contextlib.asynccontextmanager
async def _one_fault() -> AsyncIterator[None]:
    """Let one fault of ours out instead of a group of them."""
    try:
        yield
    except BaseExceptionGroup as group:
        ours = group.subgroup((ConfigurationFault, Unavailable))
        if ours is None or group.split((ConfigurationFault, Unavailable))[1] is not None:
            raise
        raise _first(ours) from None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
