"""Record the histories `test_replay.py` replays: `python -m tests.workflows.record_hedge`.

Record anew only when a change of commands is meant; until old runs have ended, guard it with
`workflow.patched` instead.
"""

import asyncio
import re
from collections import deque
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from tests.workflows.conftest import PASSTHROUGH, SERVER, add_search_attributes
from tests.workflows.scripted_hedge import IDLE, HedgeScript, owing
from workflows import names
from workflows.hedge import HedgeWorkflow
from workflows.hedge_messages import ReleaseHedge, StartHedge
from workflows.messages import Request

FOLDER = Path(__file__).parent / "histories"
START = StartHedge.model_validate(
    {
        "source_venue": "ocx",
        "source_symbol": "BTC-PERP",
        "hedge_venue": "ocx",
        "hedge_symbol": "ETH-PERP",
        "threshold": "0.5",
    }
)
HEDGE_ID = names.hedge_workflow_id(START.source)


async def _filled(client: Client, script: HedgeScript) -> None:
    trouble = ApplicationError("not_authenticated: key", type="Refused", non_retryable=True)
    script.looks = deque([owing(-3), owing(-2, position=-1), trouble, IDLE])
    script.fills = deque([-1, -2])
    await _run(client, script, watches=5)


async def _released(client: Client, script: HedgeScript) -> None:
    script.looks = deque([replace(owing(-3, opened_at_ms=1), part_lots=0)])
    handle = await client.start_workflow(
        HedgeWorkflow.run, START, id=HEDGE_ID, task_queue="recorded"
    )
    await _called(script, "watch", 2)
    await handle.signal(HedgeWorkflow.release, ReleaseHedge(by="ana", reason="by hand"))
    await _called(script, "watch", 3)
    await handle.signal(HedgeWorkflow.check, Request())
    await _called(script, "watch", 4)
    await handle.signal(HedgeWorkflow.stop, Request(by="ana"))
    await handle.result()


async def _called(script: HedgeScript, name: str, times: int) -> None:
    while script.calls.count(name) < times:
        await asyncio.sleep(0.01)


async def _run(client: Client, script: HedgeScript, *, watches: int) -> None:
    handle = await client.start_workflow(
        HedgeWorkflow.run, START, id=HEDGE_ID, task_queue="recorded"
    )
    await _called(script, "watch", watches)
    await handle.signal(HedgeWorkflow.stop, Request(by="ana"))
    await handle.result()


async def main() -> None:
    """Write every scenario as JSON."""
    FOLDER.mkdir(exist_ok=True)
    for scenario in (_filled, _released):
        name = scenario.__name__.removeprefix("_")
        env = await WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=str(SERVER),
            data_converter=pydantic_data_converter,
            identity="recorder",
        )
        script = HedgeScript()
        async with env:
            await add_search_attributes(env.client, names.SEARCH_ATTRIBUTES)
            async with Worker(
                env.client,
                task_queue="recorded",
                identity="recorder",
                workflows=[HedgeWorkflow],
                activities=script.activities(),  # type: ignore[arg-type]
                workflow_runner=SandboxedWorkflowRunner(
                    restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSTHROUGH)
                ),
                max_heartbeat_throttle_interval=timedelta(milliseconds=100),
            ):
                await scenario(env.client, script)
                history = await env.client.get_workflow_handle(HEDGE_ID).fetch_history()
                # A trace names this machine's folders and is nothing that a replay looks at.
                text = re.sub(
                    r'"stackTrace": "(?:[^"\\]|\\.)*"', '"stackTrace": ""', history.to_json()
                )
                (FOLDER / f"hedge_{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    asyncio.run(main())
