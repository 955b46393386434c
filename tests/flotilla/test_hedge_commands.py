"""`flotilla hedge` says to the workflow what the person said, and nothing else."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.flotilla.commands import Commands
from tests.flotilla.test_cli import REFUSED, USAGE
from tests.workflows.conftest import Start
from tests.workflows.scripted import Script
from tests.workflows.scripted_hedge import HedgeScript, owing
from workflows import names
from workflows.hedge import HedgeWorkflow
from workflows.market import MarketWorkflow
from workflows.messages import StopMarket

SOURCE = "ocx/BTC-PERP"
START = ("start", SOURCE, "ocx/ETH-PERP", "--set", "threshold=0.5")


@asynccontextmanager
async def serving(server: WorkflowEnvironment, script: HedgeScript) -> AsyncIterator[None]:
    async with Worker(
        server.client,
        task_queue=names.MARKETS_QUEUE,
        workflows=[HedgeWorkflow],
        activities=script.activities(),  # type: ignore[arg-type]
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_heartbeat_throttle_interval=timedelta(milliseconds=100),
    ):
        yield


async def test_a_hedge_is_started_released_and_stopped(
    server: WorkflowEnvironment, tmp_path: Path
) -> None:
    commands = Commands("hedge", server, tmp_path)
    script = HedgeScript(looks=deque([replace(owing(-3), part_lots=0)]))
    async with serving(server, script):
        said = json.loads(await commands.run(*START, "--json"))
        assert said["workflow_id"] == "hedge/ocx/main/BTC-PERP"
        again = await commands.run(*START, code=REFUSED)
        assert "ocx/main/BTC-PERP is hedged already" in again
        while json.loads(await commands.run("show", SOURCE, "--json"))["obligation"] is None:
            pass
        shown = await commands.run("show", SOURCE)
        assert "obligation       7, open since" in shown
        reason = ("--reason", "by hand", "--json")
        nobody = await commands.run("release", SOURCE, "--by", " ", *reason, code=USAGE)
        assert "by: ' ' is not a person's name" in nobody
        await commands.run("release", SOURCE, "--by", "ana", *reason)
        while "release" not in script.calls:
            await asyncio.sleep(0.01)
        ended = json.loads(await commands.run("stop", SOURCE, "--by", "ana", "--wait", "--json"))
    assert (ended["state"], ended["waived"]) == ("stopped", -3)


async def test_a_refused_start_is_said_in_its_sentence(
    server: WorkflowEnvironment, tmp_path: Path
) -> None:
    sentence = "hedge: ocx/main/ETH-PERP is held by somebody else"
    script = HedgeScript(
        open_error=ApplicationError(sentence, type="ConfigurationFault", non_retryable=True)
    )
    async with serving(server, script):
        assert sentence in await Commands("hedge", server, tmp_path).run(*START, code=REFUSED)


async def test_a_market_whose_workflow_runs_is_not_taken(
    server: WorkflowEnvironment, start: Start, tmp_path: Path
) -> None:
    async with start(Script(), symbol="ETH-PERP") as market:
        refused = await Commands("hedge", server, tmp_path).run(*START, code=REFUSED)
        await market.signal(MarketWorkflow.stop, StopMarket(by="ana"))
        await market.result()
    assert "stop it first with 'flotilla market stop ocx/main/ETH-PERP'" in refused


async def test_bad_input_and_absent_hedges_are_said_so(
    server: WorkflowEnvironment, tmp_path: Path
) -> None:
    commands = Commands("hedge", server, tmp_path)
    wrong = await commands.run(*START, "--set", "ratio=0", code=USAGE)
    assert "ratio: 0 is not above zero" in wrong
    absent = await commands.run("show", "ocx/NONE", code=USAGE)
    assert "ocx/main/NONE is not hedged" in absent
