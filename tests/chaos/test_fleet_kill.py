"""A fleet kill is complete when every market has answered with evidence, and not before.

Judged by the venue's own log; who is late is named, and nothing but their return completes it.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from desk.records import KillStage
from flotilla.control import lift_kills
from flotilla.demo.children import Child
from quoting.dead_man import FIRED
from tests.chaos.ground import Market, kill
from workflows import names
from workflows.kill import KillWorkflow

_STOPPED = (KillStage.GATE_CLOSED, KillStage.CANCELS_SENT, KillStage.LISTED_ZERO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command said."""

    code: int
    said: Any
    talk: str


async def flotilla(market: Market, *arguments: str, within_s: float = 90) -> Done:
    """Run one command as a person would."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "flotilla",
        *arguments,
        env={**os.environ, **market.environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(within_s):
        out, err = await process.communicate()
    assert process.returncode is not None
    said = json.loads(out) if out.strip() else None
    return Done(code=process.returncode, said=said, talk=err.decode())


def scope_of(market: Market) -> str:
    """Only this test's account: others share the ground."""
    return f"account:{market.id.venue}/{market.id.account}"


async def killed(market: Market, *options: str, within_s: float = 90) -> Done:
    named = ("--scope", scope_of(market), "--reason", "flood", "--by", "test")
    return await flotilla(market, "kill", *named, "--json", *options, within_s=within_s)


@pytest.fixture
async def fleet(market: Market) -> AsyncIterator[Market]:
    """A market whose kills are lifted afterwards, for other tests share the record."""
    yield market
    await market.calm()
    async with market.control() as ports:
        for one in await ports.ledger.active_kills():
            await lift_kills(ports.board, ports.ledger, one.scope, by="test", reason="it is over")


async def stages_of(market: Market, at_ms: int) -> dict[KillStage, int]:
    async with market.control() as ports:
        answers = await ports.answers.answers(scope_of(market), at_ms)
    return {found.stage: found.at_ms for found in answers if found.market == market.id}


async def test_a_kill_waits_for_evidence_of_every_market(fleet: Market) -> None:
    await fleet.quoting()
    done = await killed(fleet, "--wait")
    assert done.code == 0, done.talk
    assert done.said["complete"] is True
    assert set(done.said["told"].values()) == {True}
    seen = await stages_of(fleet, done.said["at_ms"])
    assert set(_STOPPED) <= set(seen)
    print({stage.value: at_ms - done.said["at_ms"] for stage, at_ms in seen.items()})  # noqa: T201
    log = await fleet.log()
    assert log.resting(until_ns=seen[KillStage.LISTED_ZERO] * 1_000_000) == set()
    late = [one for one in log.accepted() if one.at_ns > seen[KillStage.LISTED_ZERO] * 1_000_000]
    assert late == []
    result = await fleet.ended()
    assert "flood" in result.reason
    listed = await flotilla(fleet, "kills", "--json")
    (mine,) = [one for one in listed.said if one["scope"] == scope_of(fleet)]
    assert (mine["asked"], mine["answered"]) == (1, 1)


async def both_quote(fleet: Market, x10_market: Market) -> Child:
    """One worker that quotes both markets."""
    worker = await fleet.worker(**x10_market.environment)
    await fleet.start()
    await x10_market.start()
    await fleet.until("quotes rest at ocx", fleet.has_quotes)
    await x10_market.until("quotes rest at x10", x10_market.has_quotes)
    return worker


async def late(fleet: Market, at_ms: int, *ours: Market) -> dict[str, str]:
    """Which of our markets have not answered a kill of the fleet, and why, once all were asked."""
    mine = {one.id for one in ours}
    found: dict[str, str] = {}

    async def asked() -> bool:
        workflow_id = names.kill_workflow_id(fleet.settings.fleet, "fleet", at_ms)
        handle = fleet.client.get_workflow_handle_for(KillWorkflow.run, workflow_id)
        status = await handle.query(KillWorkflow.status, rpc_timeout=timedelta(seconds=5))
        found.clear()
        found.update(
            {one.market.path: one.waiting_for for one in status.laggards if one.market in mine}
        )
        known = {one.market for one in status.markets} >= mine
        return known and "not asked yet" not in found.values()

    await fleet.until("every market was asked", asked, within_s=60)
    return found


async def test_a_dead_worker_and_a_venue_that_is_away_are_waited_for_by_name(
    fleet: Market, x10_market: Market
) -> None:
    """Nobody else has the keys of x10; ocx does not answer; both return later, one by one."""
    worker = await both_quote(fleet, x10_market)
    await fleet.guardian()
    away = {"kind": "request_lost", "path": "/perps/*", "count": None}
    await fleet.venue.post("faults", [away])
    await kill(worker)
    named = ("--scope", "fleet", "--reason", "flood", "--by", "test", "--json", "--wait")
    waiting = asyncio.create_task(flotilla(fleet, "kill", *named, within_s=240))
    at_ms = await told_at(fleet)
    assert set(await late(fleet, at_ms, fleet, x10_market)) == {fleet.id.path, x10_market.id.path}
    for service in ("valkey", "postgres", "temporal"):
        await asyncio.to_thread(fleet.services.kill, service)
    why = await late(fleet, at_ms, fleet, x10_market)
    assert set(why) == {fleet.id.path, x10_market.id.path}, "restarts answer nothing"
    await fleet.calm()
    await fleet.until("ocx has answered", lambda: only(fleet, at_ms, x10_market), within_s=60)
    assert await fleet.has_none()
    assert not waiting.done(), "not complete while one is missing"
    await fleet.worker(**x10_market.environment)
    done = await waiting
    assert done.code == 0, done.talk
    assert await x10_market.has_none()
    assert await late(fleet, at_ms, fleet, x10_market) == {}


async def told_at(market: Market) -> int:
    """When the kill of the fleet was set, once it is recorded."""
    found: list[int] = []

    async def recorded() -> bool:
        async with market.control() as ports:
            kills = await ports.ledger.active_kills()
        found[:] = [one.at_ms for one in kills if one.scope == "fleet"]
        return bool(found)

    await market.until("the kill is recorded", recorded)
    return found[0]


async def only(fleet: Market, at_ms: int, missing: Market) -> bool:
    """Whether exactly one of the two is late."""
    workflow_id = names.kill_workflow_id(fleet.settings.fleet, "fleet", at_ms)
    handle = fleet.client.get_workflow_handle_for(KillWorkflow.run, workflow_id)
    status = await handle.query(KillWorkflow.status, rpc_timeout=timedelta(seconds=5))
    late_now = {one.market for one in status.laggards}
    return missing.id in late_now and fleet.id not in late_now


async def test_the_dead_man_fires_under_a_kill_as_without_one(fleet: Market) -> None:
    """The kill cannot cancel, its worker dies: somebody else pulls the switch all the same."""
    worker = await fleet.quoting()
    await fleet.guardian()
    lost = {"kind": "request_lost", "path": "/perps/*cancel*", "count": None}
    await fleet.venue.post("faults", [lost])
    done = await killed(fleet)
    assert done.code == 0, done.talk
    assert await fleet.has_quotes(), "no cancel came through yet"
    await kill(worker)
    await fleet.calm()
    await fleet.until("nothing rests", fleet.has_none, within_s=20)
    await fleet.until("the dead-man's switch is on record", lambda: fired(fleet))


async def fired(market: Market) -> bool:
    """Whether the ledger knows that somebody pulled the switch for this market."""
    session = await asyncpg.connect(market.services.database_url.replace("+asyncpg", ""), ssl=False)
    try:
        return bool(
            await session.fetchval(
                "SELECT count(*) FROM control_decisions WHERE kind = $1 AND account = $2",
                FIRED,
                market.id.account,
            )
        )
    finally:
        await session.close()


async def test_a_kill_that_flattens_is_complete_when_the_venue_shows_zero(fleet: Market) -> None:
    await fleet.quoting()
    await fleet.hold_a_position()
    done = await killed(fleet, "--flatten", "--wait")
    assert done.code == 0, done.talk
    assert (await fleet.log()).positions()[-1] == 0
    seen = await stages_of(fleet, done.said["at_ms"])
    assert KillStage.FLAT in seen
    await fleet.ended()


async def test_lifting_needs_the_scope_that_set_it_and_names_what_still_stands(
    fleet: Market,
) -> None:
    await fleet.worker()
    first = await killed(fleet)
    assert first.code == 0, first.talk
    venue = ("--scope", f"venue:{fleet.id.venue}", "--reason", "flood", "--by", "test")
    assert (await flotilla(fleet, "kill", *venue)).code == 0
    wrong = await flotilla(fleet, "unkill", "--scope", "fleet", "--reason", "over", "--by", "test")
    assert wrong.code == 3, wrong.talk
    mine = ("--scope", scope_of(fleet), "--reason", "over", "--by", "test")
    lifted = await flotilla(fleet, "unkill", *mine, "--json")
    assert lifted.code == 0, lifted.talk
    assert [one["scope"] for one in lifted.said["still_stopped_by"]] == [f"venue:{fleet.id.venue}"]


async def test_the_file_becomes_a_kill_of_the_fleet_once(fleet: Market) -> None:
    await fleet.quoting()
    file = fleet.settings.state_dir / "KILL"
    file.write_text("smoke in the rack")
    await fleet.ended()

    async def recorded() -> bool:
        async with fleet.control() as ports:
            kills = await ports.ledger.active_kills()
        return any(one.by.startswith("KILL file on ") for one in kills)

    await fleet.until("the file is a durable kill", recorded)
    over = ("--scope", "fleet", "--reason", "the fire is out", "--by", "test")
    assert (await flotilla(fleet, "unkill", *over)).code == 0
    began = time.monotonic()
    while time.monotonic() - began < 6:
        assert not await recorded(), "lifted by a person, and the file is not new"
        await asyncio.sleep(0.5)
    file.touch()
    await fleet.until("a new file is a new kill", recorded)
