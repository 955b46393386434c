"""Record the histories that `test_replay.py` replays: `python -m tests.workflows.record`.

Record anew only when a change of commands is meant; until old runs have ended, guard it with
`workflow.patched` instead.
"""

import asyncio
from collections import deque
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from desk.lifecycle import SessionReason
from tests.workflows.conftest import PASSTHROUGH, SERVER, add_search_attributes
from tests.workflows.scripted import Script
from workflows import names
from workflows.market import MarketWorkflow
from workflows.messages import Request, StartMarket, StopMarket

FOLDER = Path(__file__).parent / "histories"
START = StartMarket(venue="ocx", symbol="BTC-PERP")
MARKET_ID = names.market_workflow_id(START.market)


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


async def _run(client: Client) -> None:
    handle = await client.start_workflow(
        MarketWorkflow.run, START, id=MARKET_ID, task_queue="recorded"
    )
    await handle.result()


async def main() -> None:
    """Write every run of every scenario as JSON."""
    FOLDER.mkdir(exist_ok=True)
    for scenario in (_drawdown, _window, _paused):
        name = scenario.__name__.removeprefix("_")
        env = await WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=str(SERVER),
            data_converter=pydantic_data_converter,
            identity="recorder",
        )
        script = Script()
        async with env:
            await add_search_attributes(env.client, names.SEARCH_ATTRIBUTES)
            async with Worker(
                env.client,
                task_queue="recorded",
                identity="recorder",
                workflows=[MarketWorkflow],
                activities=script.activities(),  # type: ignore[arg-type]
                workflow_runner=SandboxedWorkflowRunner(
                    restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSTHROUGH)
                ),
                max_heartbeat_throttle_interval=timedelta(milliseconds=100),
            ):
                await scenario(env.client, script)
                history = await env.client.get_workflow_handle(MARKET_ID).fetch_history()
                (FOLDER / f"market_{name}.json").write_text(history.to_json() + "\n")


if __name__ == "__main__":
    asyncio.run(main())
