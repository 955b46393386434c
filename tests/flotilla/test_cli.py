"""Bad input and trouble: one clear sentence, the right exit code, nothing half started."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from desk.identity import MarketId
from flotilla.cli.kill import checked_scope
from flotilla.cli.render import emit_rows
from infra.redis.connection import open_redis
from infra.redis.kill_board import RedisKillBoard
from tests.support.services import Services

FAILED, USAGE, REFUSED = 1, 2, 3


def flotilla(
    *arguments: str, environment: dict[str, str] | None = None, folder: Path
) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("FLOTILLA_")}
    return subprocess.run(
        [sys.executable, "-m", "flotilla", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**clean, "FLOTILLA_DATA_DIR": str(folder / "data"), **(environment or {})},
    )


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence on stderr."""
    lines = [line for line in done.stderr.strip().splitlines() if line]
    assert "Traceback" not in done.stderr
    return lines[-1]


def test_help_teaches(tmp_path: Path) -> None:
    done = flotilla("--help", folder=tmp_path)
    assert done.returncode == 0
    for verb in ("demo", "up", "worker", "market", "kill", "unkill", "sim", "doctor"):
        assert verb in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (["market", "start", "ocx"], "VENUE/ACCOUNT/SYMBOL", USAGE),
        (["market", "start", "ocx/B", "--set", "levels"], "FIELD=VALUE", USAGE),
        (["market", "start", "ocx/B", "--set", "levels=0"], "levels", USAGE),
        (["market", "start", "ocx/B", "--set", "lvels=2"], "lvels", USAGE),
        (["market", "start", "ocx/B", "--set", "inventory_cap=99999"], "max_position", USAGE),
        (["kill", "--scope", "all", "--reason", "x", "--by", "a"], "fleet, venue:V", USAGE),
        (["demo", "--duration", "5", "--drawdown-at", "9"], "--drawdown-at", USAGE),
        (["demo", "--json", "/nowhere/out.json"], "--json", USAGE),
        (["demo", "--replay", "/nowhere.parquet"], "--replay", USAGE),
        (["worker"], "flotilla up", FAILED),
        (["kills"], "FLOTILLA_DATABASE_URL", USAGE),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[str], words: str, code: int, tmp_path: Path
) -> None:
    done = flotilla(*arguments, folder=tmp_path, environment={"TEMPORAL_ADDRESS": "127.0.0.1:9"})
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data" / "postgres").exists()


def test_a_table_shows_what_was_written_letter_by_letter(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = "venue says [insufficient margin], see [/runbooks/7] :warning:"
    emit_rows("from [/b] on", [{"text": said, "n": None}], as_json=False)
    emit_rows("of [/i]", [], as_json=False)
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for words in ("from [/b] on", "[insufficient margin]", "[/runbooks/7]", "of [/i]: none"):
        assert words in shown
    assert ":warning:" in shown


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        key = str(tmp_path / "key")
        done = flotilla("sim", "ocx", "--port", str(port), "--key-file", key, folder=tmp_path)
        assert done.returncode == USAGE
        assert f"--port: {port} cannot be used" in complaint(done)
        tmp_path.chmod(0o755)
        done = flotilla("up", "--ui-port", str(port), folder=tmp_path)
        assert done.returncode == USAGE
        assert str(port) in complaint(done)


def test_a_key_file_others_can_read_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("ocx_sk_secret")
    key.chmod(0o644)
    done = flotilla(
        "worker", folder=tmp_path, environment={"FLOTILLA_VENUE_OCX__API_KEY_FILE": str(key)}
    )
    assert done.returncode == USAGE
    assert "chmod 600" in complaint(done)
    assert "ocx_sk_secret" not in done.stderr


def test_a_bad_setting_names_its_variable(tmp_path: Path) -> None:
    done = flotilla("doctor", folder=tmp_path, environment={"FLOTILLA_REDIS_URL": "http://x"})
    assert done.returncode == USAGE
    assert "FLOTILLA_REDIS_URL" in complaint(done)


def test_kills_are_set_listed_and_lifted_by_name(
    services: Services, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    environment = {"FLOTILLA_DATABASE_URL": database_url, "FLOTILLA_REDIS_URL": redis_url}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return flotilla(*arguments, folder=tmp_path, environment=environment)

    done = run("kill", "--scope", "venue:ocx", "--reason", "drill", "--by", "ana")
    assert done.returncode == 0, done.stderr
    (listed,) = json.loads(run("kills", "--json").stdout)
    assert (listed["scope"], listed["by"], listed["reason"]) == ("venue:ocx", "ana", "drill")
    wrong = run("unkill", "--scope", "fleet", "--reason", "over", "--by", "bo")
    assert wrong.returncode == REFUSED
    assert "no kill is in force at fleet" in complaint(wrong)
    lifted = run("unkill", "--scope", "venue:ocx", "--reason", "over", "--by", "bo")
    assert lifted.returncode == 0, lifted.stderr
    assert json.loads(run("kills", "--json").stdout) == []


KILL = ("kill", "--scope", "venue:ocx", "--reason", "drill", "--by", "ana")


async def test_a_kill_without_postgres_is_in_force_and_says_that_it_is_not_durable(
    redis_url: str, tmp_path: Path
) -> None:
    environment = {
        "FLOTILLA_DATABASE_URL": f"postgresql://u:secret@127.0.0.1:{closed_port()}/x",
        "FLOTILLA_REDIS_URL": redis_url,
    }
    done = await asyncio.to_thread(flotilla, *KILL, folder=tmp_path, environment=environment)
    assert done.returncode == FAILED, done.stderr
    assert "is in force but not durable yet" in complaint(done)
    assert "secret" not in done.stderr
    redis = open_redis(redis_url)
    board = RedisKillBoard(redis, fleet="main")
    await board.rearm([])
    (standing,) = await board.kills(MarketId("ocx", "main", "BTC-PERP"))
    await redis.aclose()
    assert (standing.scope, standing.by, standing.reason) == ("venue:ocx", "ana", "drill")


def test_a_kill_without_redis_is_recorded(database_url: str, tmp_path: Path) -> None:
    environment = {
        "FLOTILLA_DATABASE_URL": database_url,
        "FLOTILLA_REDIS_URL": f"redis://:secret@127.0.0.1:{closed_port()}/0",
    }
    done = flotilla(*KILL, folder=tmp_path, environment=environment)
    assert done.returncode == 0, done.stderr
    assert "warning: the kill board was not told" in done.stderr
    assert "secret" not in done.stderr
    listed = flotilla("kills", "--json", folder=tmp_path, environment=environment)
    assert [kill["scope"] for kill in json.loads(listed.stdout)] == ["venue:ocx"]


def test_a_kill_that_nobody_heard_fails_and_names_the_brake_that_needs_no_service(
    tmp_path: Path,
) -> None:
    environment = {
        "FLOTILLA_DATABASE_URL": f"postgresql://u:secret@127.0.0.1:{closed_port()}/x",
        "FLOTILLA_REDIS_URL": f"redis://:secret@127.0.0.1:{closed_port()}/0",
    }
    done = flotilla(*KILL, folder=tmp_path, environment=environment)
    assert done.returncode == FAILED
    assert "nobody was told of the kill" in complaint(done)
    assert "a file KILL" in complaint(done)
    assert "secret" not in done.stderr


def closed_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("fleet", "fleet"),
        ("venue:ocx", "venue:ocx"),
        ("market:ocx/BTC-PERP", "market:ocx/main/BTC-PERP"),
        ("market:ocx/a/BTC-PERP", "market:ocx/a/BTC-PERP"),
        ("account:ocx/main", "account:ocx/main"),
    ],
)
def test_scopes_have_one_spelling(text: str, scope: str) -> None:
    assert checked_scope(text) == scope
