"""Record the histories that `test_replay.py` replays: `python -m tests.workflows.record`.

Record anew only when a change of commands is meant; until old runs have ended, guard it with
`workflow.patched` instead.
"""

import asyncio
import re
from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from desk.lifecycle import SessionReason
from tests.workflows.conftest import PASSTHROUGH, SERVER, add_search_attributes
from tests.workflows.scripted import Script
from workflows import names
from workflows.flatten import FlattenWorkflow
from workflows.market import MarketWorkflow
from workflows.messages import Request, StartMarket, StopMarket
from workflows.policies import SESSION_ATTEMPTS

FOLDER = Path(__file__).parent / "histories"
START = StartMarket(venue="ocx", symbol="BTC-PERP")
MARKET_ID = names.market_workflow_id(START.market)
FLATTEN_ID = names.flatten_workflow_id(START.market)


async def _drawdown(client: Client, script: Script) -> None:
    script.sessions = deque([SessionReason.FEED, SessionReason.DRAWDOWN])
    script.positions = deque([20, 20, 0])
    await _run(client)


async def _window(client: Client, script: Script) -> None:
    script.sessions = deque([SessionReason.WINDOW, SessionReason.KILLED])
    await _run(client)


async def _paused(client: Client, script: Script) -> None:
    handle = await client.start_workflow(
        MarketWorkflow.run, START, id=MARKET_ID, task_queue="recorded"
    )
    while "quote_session" not in script.calls:
        await asyncio.sleep(0.01)
    await handle.signal(MarketWorkflow.pause, Request(by="ana"))
    while (await handle.query(MarketWorkflow.status)).state.value != "paused":
        await asyncio.sleep(0.01)
    await handle.signal(MarketWorkflow.resume, Request(by="ana"))
    while script.calls.count("quote_session") < 2:
        await asyncio.sleep(0.01)
    await handle.signal(MarketWorkflow.stop, StopMarket(by="ana", flatten=True))
    await handle.result()


async def _trouble(client: Client, script: Script) -> None:
    gone = ApplicationError("the key was taken away", type="Refused", non_retryable=True)
    bugs = [RuntimeError("a bug")] * SESSION_ATTEMPTS
    script.session_failures = deque([*bugs, gone])
    script.sessions = deque([SessionReason.ERROR_RATE, SessionReason.KILLED])
    handle = await client.start_workflow(
        MarketWorkflow.run, START, id=MARKET_ID, task_queue="recorded"
    )
    while (await handle.query(MarketWorkflow.status)).state.value != "paused":
        await asyncio.sleep(0.01)
    await handle.signal(MarketWorkflow.resume, Request(by="ana"))
    await handle.result()


async def _run(client: Client) -> None:
    handle = await client.start_workflow(
        MarketWorkflow.run, START, id=MARKET_ID, task_queue="recorded"
    )
    await handle.result()


async def main() -> None:
    """Write every run of every scenario as JSON."""
    FOLDER.mkdir(exist_ok=True)
    for scenario in (_drawdown, _window, _paused, _trouble):
        name = scenario.__name__.removeprefix("_")
        env = await WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=str(SERVER),
            data_converter=pydantic_data_converter,
            identity="recorder",
        )
        script = Script()
        async with env:
            await add_search_attributes(env.client, names.SEARCH_ATTRIBUTES)
            quoting = _worker(env.client, "recorded", [MarketWorkflow], script.activities())
            brakes = _worker(
                env.client, names.CONTROL_QUEUE, [FlattenWorkflow], script.exit_activities()
            )
            async with quoting, brakes:
                await scenario(env.client, script)
                await keep(env.client, MARKET_ID, f"market_{name}")
                if scenario is _drawdown:
                    await keep(env.client, FLATTEN_ID, f"flatten_{name}")


def _worker(
    client: Client, queue: str, workflows: Sequence[type], activities: Sequence[Any]
) -> Worker:
    return Worker(
        client,
        task_queue=queue,
        identity="recorder",
        workflows=workflows,
        activities=activities,
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSTHROUGH)
        ),
        max_heartbeat_throttle_interval=timedelta(milliseconds=100),
    )


async def keep(client: Client, workflow_id: str, name: str) -> None:
    """Write the history of a workflow's newest run."""
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    # A trace names this machine's folders and is nothing that a replay looks at.
    text = re.sub(r'"stackTrace": "(?:[^"\\]|\\.)*"', '"stackTrace": ""', history.to_json())
    (FOLDER / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    asyncio.run(main())
