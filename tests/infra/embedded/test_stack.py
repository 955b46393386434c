"""The product promises a stack that starts fast, survives kill -9 and leaves nothing behind."""

import asyncio
import contextlib
import re
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import psutil
import pytest
import redis.asyncio
from temporalio.client import Client

from desk.errors import ConfigurationFault
from infra.embedded.directory import Addresses, announced, discover
from infra.embedded.ports import LOOPBACK, PortWishes
from infra.embedded.stack import EmbeddedStack
from infra.temporal.client import check_server
from tests.support.services import Services, running_services

NAMES = ("postgres", "valkey", "temporal")


@pytest.fixture(scope="module")
def own() -> Iterator[Services]:
    """A stack of this module's own, because its tests kill it."""
    with running_services() as running:
        yield running


def plain(url: str) -> str:
    return url.replace("+asyncpg", "")


def children_of_mine() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.mark.chaos
@pytest.mark.parametrize("blow", ["kill", "restart"])
async def test_postgres_comes_back_with_every_acknowledged_row(own: Services, blow: str) -> None:
    url = own.database_url
    session = await asyncpg.connect(plain(url), ssl=False)
    await session.execute("drop table if exists kept")
    await session.execute("create table kept (n int)")
    for number in range(50):
        await session.execute("insert into kept values ($1)", number)
    await asyncio.to_thread(getattr(own, blow), "postgres")
    assert own.database_url == url
    session = await asyncpg.connect(plain(url), ssl=False)
    assert await session.fetchval("select count(*) from kept") == 50
    await session.close()


@pytest.mark.chaos
@pytest.mark.parametrize("blow", ["kill", "restart"])
async def test_valkey_comes_back_with_every_acknowledged_key(own: Services, blow: str) -> None:
    url, key = own.redis_url, uuid4().hex
    async with redis.asyncio.Redis.from_url(url) as client:
        await client.set(key, "held")
    await asyncio.to_thread(getattr(own, blow), "valkey")
    assert own.redis_url == url
    async with redis.asyncio.Redis.from_url(url) as client:
        assert await client.get(key) == b"held"


@pytest.mark.chaos
@pytest.mark.parametrize("blow", ["kill", "restart"])
async def test_temporal_comes_back_with_every_started_workflow(own: Services, blow: str) -> None:
    address, workflow = own.temporal_address, uuid4().hex
    client = await Client.connect(address)
    await client.start_workflow("Waiting", id=workflow, task_queue=workflow)
    await asyncio.to_thread(getattr(own, blow), "temporal")
    assert own.temporal_address == address
    again = await Client.connect(address)
    assert (await again.get_workflow_handle(workflow).describe()).workflow_type == "Waiting"
    assert await check_server(again) == ()


async def test_a_second_stack_on_the_same_folder_is_refused_in_one_sentence(own: Services) -> None:
    with pytest.raises(ConfigurationFault, match=r"is in use by the stack of process \d+; stop"):
        async with EmbeddedStack(own.data_dir):
            pass


def test_other_commands_find_the_stack_and_its_passwords_are_private(own: Services) -> None:
    found = discover(own.data_dir)
    assert (found.database_url, found.redis_url) == (own.database_url, own.redis_url)
    assert (found.temporal_address, found.ui_url) == (own.temporal_address, own.ui_url)
    files = [own.data_dir / "services.json", own.data_dir / "valkey" / "valkey.conf"]
    files += (own.data_dir / "secrets").iterdir()
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_no_password_is_on_a_command_line(own: Services) -> None:
    lines = " ".join(" ".join(psutil.Process(own.pid(name)).cmdline()) for name in NAMES)
    for secret in (own.data_dir / "secrets").iterdir():
        assert secret.read_text().strip() not in lines


def test_every_service_listens_on_loopback_alone(own: Services) -> None:
    for name in NAMES:
        for connection in psutil.Process(own.pid(name)).net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                assert connection.laddr.ip in {LOOPBACK, "::1"}


def test_postgres_never_runs_as_root(own: Services) -> None:
    pid = own.pid("postgres")
    # Root may also have put it into a user namespace, where it is somebody else.
    ours, its = (Path(f"/proc/{who}/ns/user") for who in ("self", pid))
    assert psutil.Process(pid).uids().real != 0 or ours.readlink() != its.readlink()


async def test_the_second_start_takes_less_than_three_seconds_and_stop_leaves_nothing(
    tmp_path: Path,
) -> None:
    before = children_of_mine()
    async with EmbeddedStack(tmp_path / "data") as stack:
        addresses = (stack.database_url, stack.redis_url, stack.temporal_address, stack.ui_url)
        assert all(psutil.pid_exists(pid) for pid in stack.pids.values())
    assert children_of_mine() <= before
    began = time.monotonic()
    async with EmbeddedStack(tmp_path / "data") as stack:
        assert time.monotonic() - began < 3
        again = (stack.database_url, stack.redis_url, stack.temporal_address, stack.ui_url)
        assert again == addresses
    assert children_of_mine() <= before
    assert announced(tmp_path / "data") == Addresses()


async def test_a_stop_does_not_wait_for_clients(tmp_path: Path) -> None:
    stack = EmbeddedStack(
        tmp_path / "data", external=Addresses(redis_url="r", temporal_address="t")
    )
    async with stack:
        session = await asyncpg.connect(plain(stack.database_url), ssl=False)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        await session.close(timeout=1)


async def test_what_the_user_has_is_used_and_not_started(tmp_path: Path) -> None:
    mine = Addresses(
        database_url="postgresql+asyncpg://u:p@db/x", temporal_address="temporal.example:7233"
    )
    async with EmbeddedStack(tmp_path / "data", external=mine) as stack:
        assert set(stack.pids) == {"valkey"}
        assert stack.database_url == mine.database_url
        assert stack.temporal_address == mine.temporal_address
        with pytest.raises(ConfigurationFault, match="postgres is not run by this stack"):
            await stack.restart("postgres")


async def test_a_demanded_port_that_is_taken_starts_nothing(tmp_path: Path) -> None:
    before = children_of_mine()
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        ports = PortWishes(demanded={"ui": other.getsockname()[1]})
        with pytest.raises(ConfigurationFault, match="demanded for ui, is taken"):
            async with EmbeddedStack(tmp_path / "data", ports=ports):
                pass
    assert children_of_mine() <= before


@pytest.mark.parametrize("damage", ["directory", "open", "empty", "gone"])
async def test_a_bad_password_file_is_told_in_one_sentence(tmp_path: Path, damage: str) -> None:
    data = tmp_path / "data"
    file = data / "secrets" / "postgres"
    (data / "postgres" / "cluster").mkdir(parents=True)
    file.parent.mkdir()
    if damage == "directory":
        file.mkdir(mode=0o700)
    elif damage != "gone":
        file.write_text("" if damage == "empty" else "secret-words")
        file.chmod(0o644 if damage == "open" else 0o600)
    before = children_of_mine()
    with pytest.raises(ConfigurationFault, match=re.escape(str(file))) as told:
        async with EmbeddedStack(data):
            pass
    assert "secret-words" not in str(told.value)
    assert children_of_mine() <= before


async def test_an_unusable_data_folder_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(ConfigurationFault, match="choose another --data-dir"):
        async with EmbeddedStack(tmp_path / "data"):
            pass


_SUPERVISOR = """
import asyncio, sys, pathlib
from infra.embedded.stack import EmbeddedStack
async def main():
    async with EmbeddedStack(pathlib.Path(sys.argv[1])) as stack:
        print(*stack.pids.values(), flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.mark.chaos
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of a lost parent")
async def test_nothing_outlives_a_killed_stack_and_the_next_start_works(tmp_path: Path) -> None:
    data = tmp_path / "data"
    pids = await asyncio.to_thread(a_killed_stack, data)
    assert len(pids) == 3
    async with EmbeddedStack(data) as stack:  # waits for the left-over servers to end
        session = await asyncpg.connect(plain(stack.database_url), ssl=False)
        assert await session.fetchval("select 1") == 1
        await session.close()
        gone = [p for p in pids if not psutil.pid_exists(p) or _zombie(p)]
        assert gone == pids
    assert discover(data) == Addresses()


def a_killed_stack(data: Path) -> list[int]:
    program = [sys.executable, "-c", _SUPERVISOR, str(data)]
    here = Path(__file__).parents[3]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, cwd=here) as supervisor:
        assert supervisor.stdout is not None
        pids = [int(word) for word in supervisor.stdout.readline().split()]
        supervisor.kill()
    return pids


def _zombie(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    return True
