"""Record the histories `test_replay.py` replays: `python -m tests.workflows.record_arbitrage`.

Record anew only when a change of commands is meant; until old runs have ended, guard it with
`workflow.patched` instead.
"""

import asyncio
from collections import deque
from datetime import timedelta

from temporalio.client import WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from quoting.arbitrage.report import RunEnd
from tests.workflows.conftest import PASSTHROUGH, SERVER, add_search_attributes
from tests.workflows.record import FOLDER, keep
from tests.workflows.scripted_arbitrage import FORM, ArbitrageScript, ended, owing
from workflows import names, policies
from workflows.arbitrage import ArbitrageWorkflow
from workflows.arbitrage_messages import ArbitrageStatus, DecideArbitrage, StartArbitrage
from workflows.messages import Request

START = StartArbitrage.model_validate(FORM)
ARBITRAGE_ID = names.arbitrage_workflow_id(START.name)

Handle = WorkflowHandle[ArbitrageWorkflow, ArbitrageStatus]


async def _traded(env: WorkflowEnvironment, script: ArbitrageScript) -> None:
    died = RuntimeError("the worker died")
    script.runs = deque([ended(RunEnd.TRADED, held=(5, 5), trade=1), died, ended(held=(5, 5))])
    handle = await _started(env)
    await _called(env, script, "watch", 4)
    await handle.signal(ArbitrageWorkflow.pause, Request(by="ana"))
    await _called(env, script, "hedge", 1)
    await handle.signal(ArbitrageWorkflow.resume, Request(by="ana"))
    await _called(env, script, "watch", 5)
    await handle.signal(ArbitrageWorkflow.stop, Request(by="ana"))
    await handle.result()


async def _handed_over(env: WorkflowEnvironment, script: ArbitrageScript) -> None:
    runs = policies.HEDGE_RUNS + policies.REDUCE_RUNS
    script.runs = deque(owing(-3, 0) for _ in range(runs + 2))
    handle = await _started(env)
    await _called(env, script, "tell:arbitrage handed over!", 1)
    decided = DecideArbitrage(by="ana", reason="the bids are back")
    await handle.signal(ArbitrageWorkflow.retry, decided)
    await _called(env, script, "hedge", policies.HEDGE_RUNS)
    await handle.signal(ArbitrageWorkflow.release, decided)
    await _called(env, script, "release", 1)
    await handle.signal(ArbitrageWorkflow.stop, Request(by="ana"))
    await handle.result()


async def _settled(env: WorkflowEnvironment, script: ArbitrageScript) -> None:
    script.runs = deque([ended(RunEnd.SETTLED, reason="UP paid 1")])
    await (await _started(env)).result()


async def _started(env: WorkflowEnvironment) -> Handle:
    return await env.client.start_workflow(
        ArbitrageWorkflow.run, START, id=ARBITRAGE_ID, task_queue="recorded"
    )


async def _called(env: WorkflowEnvironment, script: ArbitrageScript, name: str, times: int) -> None:
    while script.calls.count(name) < times:
        await env.sleep(1)


async def main() -> None:
    """Write every scenario as JSON."""
    FOLDER.mkdir(exist_ok=True)
    for scenario in (_traded, _handed_over, _settled):
        env = await WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=str(SERVER),
            data_converter=pydantic_data_converter,
            identity="recorder",
        )
        script = ArbitrageScript()
        async with env:
            await add_search_attributes(env.client, names.SEARCH_ATTRIBUTES)
            async with Worker(
                env.client,
                task_queue="recorded",
                identity="recorder",
                workflows=[ArbitrageWorkflow],
                activities=script.activities(),  # type: ignore[arg-type]
                workflow_runner=SandboxedWorkflowRunner(
                    restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSTHROUGH)
                ),
                max_heartbeat_throttle_interval=timedelta(milliseconds=100),
            ):
                await scenario(env, script)
                name = scenario.__name__.removeprefix("_")
                await keep(env.client, ARBITRAGE_ID, f"arbitrage_{name}")


if __name__ == "__main__":
    asyncio.run(main())
