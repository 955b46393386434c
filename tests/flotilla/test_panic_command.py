"""`flotilla panic` as people and scripts run it: alone, with keys and nothing else."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.flotilla.panic_ground import Ground, ground

_ALONE = """
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"temporalio", "redis", "sqlalchemy", "asyncpg", "alembic"}:
            raise ImportError(f"{name} was asked for")
sys.meta_path.insert(0, Nothing())
sys.argv = ["flotilla", *sys.argv[1:]]
from flotilla.cli import run
run()
"""
_PATIENCE_S = 60


@asynccontextmanager
async def started(
    folder: Path, environment: Mapping[str, str], *arguments: str, stdin: int | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command in a process that can load no client of a service."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("FLOTILLA_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _ALONE, "panic", *arguments),
        stdin=asyncio.subprocess.DEVNULL if stdin is None else stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={
            **clean,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "FLOTILLA_STATE_DIR": str(folder / "state"),
            # What stands here is broken on purpose: a panic must not even look at it.
            "FLOTILLA_DATA_DIR": str(folder / "data"),
            "FLOTILLA_DATABASE_URL": "nonsense",
            "FLOTILLA_REDIS_URL": "nonsense",
            **environment,
        },
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    """Exit code, stdout and stderr."""
    async with asyncio.timeout(_PATIENCE_S):
        out, err = await process.communicate()
    assert b"Traceback" not in err, err.decode()
    return process.returncode, out.decode(), err.decode()


@pytest.fixture
async def place() -> AsyncIterator[Ground]:
    async with ground("ocx") as opened:
        await opened.hold()
        await opened.quote()
        await opened.harness.quiet()
        yield opened


async def test_keys_alone_empty_the_account_and_stop_this_machine(
    place: Ground, tmp_path: Path
) -> None:
    async with started(tmp_path, place.environment, "--yes", "--flatten", "--json") as process:
        code, out, err = await ended(process)
    (told,) = json.loads(out)
    assert code == 0, err
    assert (place.resting(), place.held()) == (0, 0)
    assert (told["venue"], told["verified"], told["positions"]) == ("ocx", True, {})
    assert told["orders_zero_twice_at"] < told["looked_again_at"]
    assert "panic by" in (tmp_path / "state" / "KILL").read_text()
    assert f"rm {tmp_path / 'state' / 'KILL'}" in err
    assert place.harness.secrets[0] not in out + err


async def test_without_a_terminal_and_without_yes_nothing_is_done(
    place: Ground, tmp_path: Path
) -> None:
    before = place.resting()
    async with started(tmp_path, place.environment) as process:
        code, out, err = await ended(process)
    assert (code, out) == (2, "")
    assert "give --yes" in err
    assert place.resting() == before
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 1), (b"y\n", 0)])
async def test_a_person_is_told_what_will_happen_and_asked(
    answer: bytes, code: int, place: Ground, tmp_path: Path
) -> None:
    before = place.resting()
    ours, theirs = os.openpty()
    os.write(ours, answer)
    async with started(tmp_path, place.environment, stdin=theirs) as process:
        os.close(theirs)
        found, _, err = await ended(process)
    os.close(ours)
    assert found == code, err
    assert "EVERY order of ocx/main, also those that are not ours" in err
    assert place.resting() == (before if code else 0)


async def test_interrupted_it_tells_what_was_verified_and_what_was_not(
    place: Ground, tmp_path: Path
) -> None:
    # The kernel takes the connections, and nobody ever answers them.
    silent = socket.create_server(("127.0.0.1", 0))
    port = silent.getsockname()[1]
    environment = {
        **place.environment,
        "FLOTILLA_VENUE_X10__BASE_URL": f"http://127.0.0.1:{port}/api/v1",
        "FLOTILLA_VENUE_X10__STREAM_URL": f"ws://127.0.0.1:{port}/stream",
        "FLOTILLA_VENUE_X10__API_KEY": "a-key",
        "FLOTILLA_VENUE_X10__PRIVATE_KEY": "0x123",
        "FLOTILLA_VENUE_X10__VAULT": "1",
        "FLOTILLA_VENUE_X10__DOMAIN": "SN_SEPOLIA",
        "FLOTILLA_VENUE_X10__DEAD_MAN__UNIT": "seconds",
    }
    with silent:
        async with started(tmp_path, environment, "--yes") as process:
            assert process.stderr is not None
            async with asyncio.timeout(_PATIENCE_S):
                while b"ocx/main: verified" not in await process.stderr.readline():
                    pass
            process.send_signal(signal.SIGINT)
            code, out, err = await ended(process)
    lines = dict(line.split(": ", 1) for line in out.splitlines())
    assert code == 1
    assert lines["ocx/main"].startswith("verified")
    assert lines["x10/main"].startswith("NOT VERIFIED"), out
    assert "interrupted" in err


async def test_a_key_file_of_another_venue_that_cannot_be_read_is_no_obstacle(
    place: Ground, tmp_path: Path
) -> None:
    environment = {
        **place.environment,
        "FLOTILLA_VENUE_ZO__WALLET_KEY_FILE": str(tmp_path / "missing"),
    }
    async with started(tmp_path, environment, "--yes", "--timeout", "20") as process:
        code, out, _ = await ended(process)
    lines = dict(line.split(": ", 1) for line in out.splitlines())
    assert code == 1
    assert lines["ocx/main"].startswith("verified")
    assert "missing" in lines["zo/main"]
    assert place.resting() == 0


async def test_without_any_credential_it_says_so(tmp_path: Path) -> None:
    async with started(tmp_path, {}, "--yes") as process:
        code, _, err = await ended(process)
    assert code == 2
    assert "no venue has a credential" in err
