"""Kills as a person sees them: who was told, who has answered, what lifting leaves in force."""

import asyncio
import json
import subprocess
import time
from pathlib import Path

import pytest

from desk.identity import MarketId
from desk.records import Kill, KillAnswer, KillEffect, KillStage
from flotilla.wiring import open_kill_record
from infra.settings import load_settings
from tests.flotilla.test_cli import FAILED, REFUSED, USAGE, closed_port, complaint, flotilla
from tests.support.services import Services

MARKETS = (MarketId("ocx", "main", "BTC-PERP"), MarketId("x10", "main", "BTC-USD"))


class Person:
    """Runs commands against one database and one Redis, without a Temporal unless given one."""

    def __init__(self, database_url: str, redis_url: str, folder: Path) -> None:
        self.environment = {
            "FLOTILLA_DATABASE_URL": database_url,
            "FLOTILLA_REDIS_URL": redis_url,
            "TEMPORAL_ADDRESS": f"127.0.0.1:{closed_port()}",
        }
        self.folder = folder

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        given = {**self.environment, **environment}
        return flotilla(*arguments, folder=self.folder, environment=given)

    def kill(self, scope: str, *more: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.run("kill", "--scope", scope, "--reason", "drill", "--by", "ana", *more, **env)

    def unkill(self, scope: str, *more: str) -> subprocess.CompletedProcess[str]:
        return self.run("unkill", "--scope", scope, "--reason", "over", "--by", "bo", *more)

    def record(self, kill: Kill, *answers: KillAnswer) -> None:
        """Write into the record what others would."""
        settings = load_settings(database_url=self.environment["FLOTILLA_DATABASE_URL"])

        async def write() -> None:
            async with open_kill_record(settings) as (ledger, record):
                await ledger.set_kill(kill)
                for answer in answers:
                    await record.note(answer)

        asyncio.run(write())


@pytest.fixture
def person(services: Services, database_url: str, redis_url: str, tmp_path: Path) -> Person:
    del services  # they run as long as this needs them
    return Person(database_url, redis_url, tmp_path)


def answer(kill: Kill, market: MarketId, stage: KillStage, after_ms: int) -> KillAnswer:
    return KillAnswer(
        scope=kill.scope,
        set_at_ms=kill.at_ms,
        market=market,
        stage=stage,
        at_ms=kill.at_ms + after_ms,
        evidence="seen",
    )


def test_an_unknown_venue_is_refused_with_the_known_ones(person: Person) -> None:
    done = person.kill("market:ocxx/BTC-PERP")
    assert done.returncode == USAGE
    assert "venue 'ocxx' is unknown; use one of ocx, x10, zo" in done.stderr


def test_it_says_who_was_told(person: Person) -> None:
    done = person.kill("fleet", "--flatten", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["told"] == {"board": True, "record": True, "temporal": False}
    assert said["effect"] == "flatten"
    assert "warning: Temporal was not told" in done.stderr
    (listed,) = json.loads(person.run("kills", "--json").stdout)
    assert (listed["scope"], listed["effect"]) == ("fleet", "flatten")


def test_a_scope_that_covers_no_market_ever_quoted_is_warned_of(person: Person) -> None:
    done = person.kill("market:ocx/BTC-PREP")
    assert done.returncode == 0, done.stderr
    assert "killed: market:ocx/main/BTC-PREP" in done.stderr
    assert "covers no market that was ever quoted" in done.stderr


def test_temporal_alone_is_enough(person: Person, services: Services, tmp_path: Path) -> None:
    done = person.kill(
        "venue:ocx",
        "--json",
        FLOTILLA_FLEET=f"t{tmp_path.name[-8:].replace('_', '-').lower()}".strip("-"),
        FLOTILLA_DATABASE_URL=f"postgresql://u:secret@127.0.0.1:{closed_port()}/x",
        FLOTILLA_REDIS_URL=f"redis://:secret@127.0.0.1:{closed_port()}/0",
        TEMPORAL_ADDRESS=services.temporal_address,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["told"] == {"board": False, "record": False, "temporal": True}
    assert "secret" not in done.stderr


def test_the_list_shows_who_has_answered_and_who_has_not(person: Person) -> None:
    kill = Kill(scope="fleet", reason="drill", by="ana", at_ms=time.time_ns() // 1_000_000)
    ocx, x10 = MARKETS
    stages = (KillStage.GATE_CLOSED, KillStage.CANCELS_SENT, KillStage.LISTED_ZERO)
    person.record(
        kill,
        *(answer(kill, market, KillStage.REQUESTED, 0) for market in MARKETS),
        *(answer(kill, ocx, stage, 40) for stage in stages),
        answer(kill, x10, KillStage.GATE_CLOSED, 70),
    )
    (listed,) = json.loads(person.run("kills", "--json").stdout)
    assert (listed["asked"], listed["answered"]) == (2, 1)
    assert [one["stage"] for one in listed["markets"][x10.path]] == ["requested", "gate_closed"]
    shown = person.run("kills")
    assert "1 of 2" in shown.stdout
    assert f"{x10.path} has not answered beyond 'gate closed'" in shown.stderr
    assert ocx.path not in shown.stderr


async def test_a_wait_ends_with_failure_when_the_kill_is_lifted_before_all_answered(
    person: Person,
) -> None:
    running = asyncio.create_task(asyncio.to_thread(person.kill, "fleet", "--wait"))
    settings = load_settings(database_url=person.environment["FLOTILLA_DATABASE_URL"])
    async with open_kill_record(settings) as (ledger, _), asyncio.timeout(50):
        while not (active := await ledger.active_kills()):
            await asyncio.sleep(0.1)
        assert not running.done(), "nobody has answered"
        assert await ledger.lift_kill("fleet", active[0].at_ms, "bo", "over")
        done = await running
    assert done.returncode == FAILED
    assert "lifted or replaced before every market had answered" in done.stderr


def test_lifting_a_narrow_kill_names_the_wider_ones_that_stand(person: Person) -> None:
    for scope in ("fleet", "venue:ocx", "market:ocx/BTC-PERP", "venue:x10"):
        assert person.kill(scope).returncode == 0
    done = person.unkill("market:ocx/BTC-PERP", "--json")
    assert done.returncode == 0, done.stderr
    still = [one["scope"] for one in json.loads(done.stdout)["still_stopped_by"]]
    assert still == ["fleet", "venue:ocx"]
    assert "still stopped by the kill of fleet (ana: drill)" in done.stderr
    wrong = person.unkill("account:ocx/main")
    assert wrong.returncode == REFUSED
    assert "no kill is in force at account:ocx/main" in complaint(wrong)


def test_a_loss_limits_kill_is_lifted_early_only_on_purpose(person: Person) -> None:
    latch = Kill(
        scope="loss:account:ocx/main",
        reason="down 500 since the start of the day",
        by="daily loss",
        at_ms=time.time_ns() // 1_000_000,
        effect=KillEffect.FLATTEN,
        until_ms=4_000_000_000_000,
    )
    person.record(latch)
    refused = person.unkill(latch.scope)
    assert refused.returncode == REFUSED
    assert "ends by itself at 2096-10-02 07:06:40 UTC" in complaint(refused)
    assert "--early" in complaint(refused)
    assert json.loads(person.run("kills", "--json").stdout)[0]["until_ms"] == latch.until_ms
    lifted = person.unkill(latch.scope, "--early")
    assert lifted.returncode == 0, lifted.stderr
    assert json.loads(person.run("kills", "--json").stdout) == []
