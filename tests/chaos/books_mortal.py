"""A database and a spool whose process dies with -9 at the step it is told to.

The rule: every step between two durable acts has a name, so that no gap between them is left out.
"""

import os
import signal
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from infra.postgres.engine import Database, open_engine
from infra.postgres.spool import Spool, Spooled

T = TypeVar("T")

STEPS: Final = (
    "recorded, not sent",
    "before the transaction",
    "between two statements",
    "before the commit",
    "after the commit",
    "between two back-fills",
    "before the spool",
    "after the spool",
    "before the spool file goes",
    "after the spool file went",
)


class Fate:
    """Kills this very process with -9 when it comes to the named step often enough."""

    def __init__(self, dies: tuple[str, int] | None) -> None:
        self._step, self._left = dies or ("", 0)

    def come(self, step: str) -> None:
        assert step in STEPS
        if step == self._step:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class MortalDatabase(Database):
    """The database, with a process that may die at every step of a transaction."""

    def __init__(self, url: str, fate: Fate) -> None:
        engine = open_engine(url, statement_timeout_s=3.0, connections=3)
        super().__init__(engine, timeout_s=4.0)
        self._fate = fate
        event.listen(engine.sync_engine, "after_cursor_execute", self._executed)

    async def attempt(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        async def mortal(connection: AsyncConnection) -> T:
            done = await work(connection)
            self._fate.come("before the commit")
            return done

        self._fate.come("before the transaction")
        found = await super().attempt(mortal)
        self._fate.come("after the commit")
        return found

    def _executed(self, *_: object) -> None:
        self._fate.come("between two statements")


class MortalSpool(Spool):
    """The spool, likewise."""

    def __init__(self, folder: Path, fate: Fate) -> None:
        # The same name in every life: in a container the process ids are the same, too.
        super().__init__(folder, name="recorder")
        self._fate = fate

    def keep(self, records: Iterable[Any]) -> Path:
        self._fate.come("before the spool")
        path = super().keep(records)
        self._fate.come("after the spool")
        return path

    def done(self, spooled: Spooled) -> None:
        self._fate.come("before the spool file goes")
        super().done(spooled)
        self._fate.come("after the spool file went")
