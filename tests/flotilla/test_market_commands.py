"""`flotilla market` says to the workflow what the person said, and nothing else."""

import asyncio
import json
from collections import deque
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.messages import SessionInput
from desk.quoting.parameters import QuoteStyle
from tests.flotilla.commands import Commands
from tests.flotilla.test_cli import REFUSED, USAGE
from tests.workflows.conftest import Start, worker
from tests.workflows.scripted import Script
from workflows import names
from workflows.flatten import FlattenWorkflow
from workflows.market import MarketWorkflow

MARKET = "ocx/BTC-PERP"
WORKFLOW = "market/ocx/main/BTC-PERP"
BY = ("--by", "ana", "--reason", "drill", "--json")


async def shown(commands: Commands, state: str) -> dict[str, Any]:
    """The market's status once it is in `state`; the test's own time-out bounds it."""
    handle = commands.client.get_workflow_handle_for(MarketWorkflow.run, WORKFLOW)
    while (await handle.query(MarketWorkflow.status)).state.value != state:
        await asyncio.sleep(0.02)
    status: dict[str, Any] = json.loads(await commands.run("show", MARKET, "--json"))
    assert status["state"] == state
    return status


async def test_pause_resume_and_flatten_each_ask_for_what_they_say(
    server: WorkflowEnvironment, start: Start, tmp_path: Path
) -> None:
    commands = Commands("market", server, tmp_path)
    async with start(Script(positions=deque([0]))) as handle:
        await shown(commands, "quoting")
        assert json.loads(await commands.run("pause", MARKET, *BY)) == {"asked": "pause"}
        assert (await shown(commands, "paused"))["reason"] == "drill"
        assert json.loads(await commands.run("resume", MARKET, *BY)) == {"asked": "resume"}
        await shown(commands, "quoting")
        assert json.loads(await commands.run("flatten", MARKET, *BY)) == {
            "asked": "flatten",
            "workflow_id": WORKFLOW,
            "started": False,
        }
        result = await handle.result()
    assert [step.after for step in result.flatten_steps] == [0]


async def test_what_is_left_of_a_market_nobody_quotes_is_flattened_by_a_workflow_of_its_own(
    server: WorkflowEnvironment, tmp_path: Path
) -> None:
    commands, script = Commands("market", server, tmp_path), Script(positions=deque([9]), held=True)
    queue, exits = names.CONTROL_QUEUE, script.exit_activities()
    flatten_id = "flatten/ocx/main/BTC-PERP"
    async with worker(server.client, queue, [FlattenWorkflow], exits):
        none = await commands.run("flatten", MARKET, "--abandon", "--by", "ana", code=USAGE)
        assert "no flatten of ocx/main/BTC-PERP runs" in none
        wrong = ("--set", "slippage_bps=0", "--by", "ana")
        said = await commands.run("flatten", MARKET, *wrong, code=USAGE)
        assert "slippage_bps: 0 is not above zero" in said
        for started in (True, False):
            ask = ("flatten", MARKET, "--set", "slices=3", *BY)
            assert json.loads(await commands.run(*ask)) == {
                "asked": "flatten",
                "workflow_id": flatten_id,
                "started": started,
            }
        await commands.run("flatten", MARKET, "--abandon", *BY)
        handle = server.client.get_workflow_handle_for(FlattenWorkflow.run, flatten_id)
        result = await handle.result()
    assert (result.outcome, result.by, result.reason) == ("abandoned", "ana", "drill")


async def test_the_style_can_be_changed_while_quoting(
    server: WorkflowEnvironment, start: Start, tmp_path: Path
) -> None:
    commands, script = Commands("market", server, tmp_path), Script()
    async with start(script) as handle:
        await shown(commands, "quoting")
        change = ("set", MARKET, "style=touch", "offset_divisor=800", "--by", "ana")
        await commands.run(*change)
        refused = await commands.run("set", MARKET, "offset_divisor=3", "--by", "ana", code=USAGE)
        assert "offset_divisor: 3 is not above levels 3" in refused
        wrong = await commands.run("set", MARKET, "style=narrow", "--by", "ana", code=USAGE)
        assert "style: Input should be 'spread', 'touch' or 'imbalance'" in wrong
        await commands.run("stop", MARKET, "--by", "ana")
        await handle.result()
    quoted = [asked.parameters for asked in script.inputs if isinstance(asked, SessionInput)][-1]
    assert (quoted.style, quoted.offset_divisor) == (QuoteStyle.TOUCH, 800)


async def test_an_imported_file_can_be_started_at_once(
    server: WorkflowEnvironment, tmp_path: Path
) -> None:
    commands, script = Commands("market", server, tmp_path), Script()
    file = tmp_path / ".env"
    file.write_text("VAULT=110913\nMM_MARKET=BTC-USD\nMM_OFFSET_DIVISOR=500\n")
    async with Worker(
        server.client,
        task_queue=names.MARKETS_QUEUE,
        workflows=[MarketWorkflow],
        activities=script.activities(),  # type: ignore[arg-type]
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_heartbeat_throttle_interval=timedelta(milliseconds=100),
    ):
        said = json.loads(await commands.run("import-env", str(file), "--start", "--json"))
        again = await commands.run("import-env", str(file), "--start", code=REFUSED)
        await commands.run("stop", "x10/BTC-USD", "--wait", "--by", "ana")
    assert (said["workflow_id"], said["state"]) == ("market/x10/main/BTC-USD", "quoting")
    assert "x10/main/BTC-USD runs already" in again
    quoted = next(asked.parameters for asked in script.inputs if isinstance(asked, SessionInput))
    assert (quoted.style, quoted.offset_divisor) == (QuoteStyle.TOUCH, 500)


async def test_a_market_that_does_not_run_is_said_so(
    server: WorkflowEnvironment, tmp_path: Path
) -> None:
    said = await Commands("market", server, tmp_path).run(
        "pause", "ocx/NONE", "--by", "ana", code=USAGE
    )
    assert "ocx/main/NONE does not run" in said
