"""`flotilla arb` says to a set what the person said, and nothing else."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.flotilla.commands import Commands
from tests.flotilla.test_cli import REFUSED, USAGE, flotilla
from tests.workflows.scripted_arbitrage import ArbitrageScript, ended, owing
from workflows import names, policies
from workflows.arbitrage import ArbitrageWorkflow

LEGS = ("--leg", "ocx/UP", "--leg", "ocx/DOWN")
MAY_USE = ("--set", "max_units=100", "--set", "max_capital=500", "--set", "max_exposure=20")
START = ("start", "btc-15m", *LEGS, *MAY_USE)


@asynccontextmanager
async def serving(server: WorkflowEnvironment, script: ArbitrageScript) -> AsyncIterator[None]:
    async with Worker(
        server.client,
        task_queue=names.MARKETS_QUEUE,
        workflows=[ArbitrageWorkflow],
        activities=script.activities(),  # type: ignore[arg-type]
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_heartbeat_throttle_interval=timedelta(milliseconds=100),
    ):
        yield


async def test_a_set_is_started_paused_resumed_and_stopped(
    server: WorkflowEnvironment, tmp_path: Path
) -> None:
    commands = Commands("arb", server, tmp_path)
    script = ArbitrageScript(runs=deque([ended(held=(5, 5), trade=1)]))
    async with serving(server, script):
        said = json.loads(await commands.run(*START, "--json"))
        assert said["workflow_id"] == "arbitrage/btc-15m"
        assert "runs already" in await commands.run(*START, code=REFUSED)
        shown = await commands.run("show", "btc-15m")
        assert "  ocx/main/UP: +5 lots held, +0 owed" in shown
        assert "trade 1/1 of btc-15m: take 5 units, taken whole" in shown
        await commands.run("pause", "btc-15m", "--by", "ana", "--json")
        while json.loads(await commands.run("show", "btc-15m", "--json"))["state"] != "paused":
            pass
        await commands.run("resume", "btc-15m", "--json")
        while script.calls.count("watch") < 3:
            await asyncio.sleep(0.01)
        ended_as = await commands.run("stop", "btc-15m", "--by", "ana", "--wait", "--json")
    assert json.loads(ended_as)["state"] == "stopped"


async def test_what_is_owed_is_released_or_tried_again_by_name(
    server: WorkflowEnvironment, tmp_path: Path
) -> None:
    commands = Commands("arb", server, tmp_path)
    runs = 1 + policies.HEDGE_RUNS + policies.REDUCE_RUNS
    script = ArbitrageScript(runs=deque(owing(-3, 0) for _ in range(2 * runs)))
    decided = ("btc-15m", "--reason", "by hand", "--json")
    async with serving(server, script):
        await commands.run(*START, "--set", "overdue_s=86400")
        while "tell:arbitrage handed over!" not in script.calls:
            await server.sleep(1)
        shown = await commands.run("show", "btc-15m")
        assert "waits for you    owed: -3 lots of ocx/main/UP; release it, or retry" in shown
        nobody = await commands.run("release", *decided, "--by", " ", code=USAGE)
        assert "by: ' ' is not a person's name" in nobody
        missing = await commands.run("retry", "btc-15m", "--by", "ana", code=USAGE)
        assert "--reason" in missing
        await commands.run("retry", *decided, "--by", "ana")
        while "tell:arbitrage tried again" not in script.calls:
            await asyncio.sleep(0.01)
        await commands.run("release", *decided, "--by", "ana")
        while "release" not in script.calls:
            await server.sleep(1)
        script.runs.clear()
        await commands.run("stop", "btc-15m", "--by", "ana", "--wait")


async def test_a_refused_start_is_said_in_its_sentence(
    server: WorkflowEnvironment, tmp_path: Path
) -> None:
    sentence = "btc-15m: ocx/main/UP carries no settlement identity"
    script = ArbitrageScript(
        open_error=ApplicationError(sentence, type="ConfigurationFault", non_retryable=True)
    )
    async with serving(server, script):
        assert sentence in await Commands("arb", server, tmp_path).run(*START, code=REFUSED)


async def test_bad_input_and_absent_sets_are_said_so(
    server: WorkflowEnvironment, tmp_path: Path
) -> None:
    commands = Commands("arb", server, tmp_path)
    for arguments, words in (
        (("start", "a", *LEGS), "max_units: Field required"),
        (("start", "a", *MAY_USE), "--leg"),
        (("start", "a", *LEGS, *MAY_USE, "--kind", "triangle"), "a triangle has three pairs"),
        (("show", "nothing"), "the set nothing does not run; start it with 'flotilla arb start"),
    ):
        assert words in await commands.run(*arguments, code=USAGE)


@pytest.mark.parametrize("verb", ["trades", "claims"])
async def test_what_needs_a_service_names_it(
    server: WorkflowEnvironment, tmp_path: Path, verb: str
) -> None:
    name = "FLOTILLA_DATABASE_URL" if verb == "trades" else "FLOTILLA_REDIS_URL"
    assert name in await Commands("arb", server, tmp_path).run(verb, code=USAGE)


def test_caps_that_cannot_be_read_are_told_by_the_name_of_their_variable(tmp_path: Path) -> None:
    environment = {"FLOTILLA_ARBITRAGE_CAPS": "fleet=10000"}
    done = flotilla("arb", "claims", environment=environment, folder=tmp_path)
    assert done.returncode == USAGE
    assert "FLOTILLA_ARBITRAGE_CAPS has 'fleet=10000', which is not SCOPE=AMOUNT" in done.stderr
