"""Record the histories of breaks that are replayed: `python -m tests.workflows.record_break`.

Record anew only when a change of commands is meant; until old runs have ended, guard it with
`workflow.patched` instead.
"""

import asyncio
import re
from collections import deque
from pathlib import Path

from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from desk.break_rules import read_break_rules
from desk.identity import MarketId
from desk.lifecycle import SessionReason
from tests.workflows.conftest import SERVER, add_search_attributes, worker
from tests.workflows.scripted import Script
from tests.workflows.scripted_break import Books
from workflows import names
from workflows.breaks import BreakWorkflow
from workflows.breaks_messages import BreakStatus, SettleBreak, StartBreak
from workflows.market import MarketWorkflow
from workflows.messages import StartMarket, StopMarket

FOLDER = Path(__file__).parent / "histories"
BREAK_ID = names.break_workflow_id("main", 7)
MARKET_ID = names.market_workflow_id(MarketId("ocx", "main", "BTC-PERP"))
DECISION = SettleBreak(decision="venue", by="ana", reason="the venue is right")


async def _settled(env: WorkflowEnvironment, books: Books) -> None:
    """Misread, refused, reminded of, and settled by name."""
    books.refusals = deque(["price: nobody knows a price"])
    handle = await _start(env.client)
    while not books.told:
        await asyncio.sleep(0.01)
    await handle.signal("settle", {"decision": "venue"})
    await handle.signal(BreakWorkflow.settle, DECISION)
    while (await handle.query(BreakWorkflow.status)).refused < 2:
        await asyncio.sleep(0.01)
    while len(books.told) < 3:
        await env.sleep(600)
    await handle.signal(BreakWorkflow.settle, DECISION)
    await handle.result()


async def _ruled(env: WorkflowEnvironment, books: Books) -> None:
    """Settled by a written rule."""
    (books.rule,) = read_break_rules("position<=0.01:venue@15m")
    await (await _start(env.client)).result()


async def _start(client: Client) -> WorkflowHandle[BreakWorkflow, BreakStatus]:
    return await client.start_workflow(
        BreakWorkflow.run, StartBreak(number=7), id=BREAK_ID, task_queue=names.CONTROL_QUEUE
    )


async def _waited(env: WorkflowEnvironment) -> None:
    """A market that a break stopped, looked at and told of."""
    script = Script(sessions=deque([SessionReason.BREAK]), held_by="break 7: they differ")
    async with worker(env.client, names.MARKETS_QUEUE, [MarketWorkflow], script.activities()):
        handle = await env.client.start_workflow(
            MarketWorkflow.run,
            StartMarket(venue="ocx", symbol="BTC-PERP"),
            id=MARKET_ID,
            task_queue=names.MARKETS_QUEUE,
        )
        while script.calls.count("break_holding") < 2:
            await env.sleep(30)
        script.held_by = ""
        await handle.signal(MarketWorkflow.break_settled)
        while script.calls.count("quote_session") < 2:
            await asyncio.sleep(0.01)
        await handle.signal(MarketWorkflow.stop, StopMarket(by="ana"))
        await handle.result()
        await _keep(env.client, MARKET_ID, "waited")


async def _open() -> WorkflowEnvironment:
    env = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(SERVER),
        data_converter=pydantic_data_converter,
        identity="recorder",
    )
    await add_search_attributes(env.client, names.SEARCH_ATTRIBUTES)
    return env


async def main() -> None:
    """Write every scenario as JSON."""
    for scenario in (_settled, _ruled):
        async with await _open() as env:
            now = await env.get_current_time()
            books = Books.at(int(now.timestamp() * 1_000))
            async with worker(env.client, names.CONTROL_QUEUE, [BreakWorkflow], books.activities()):
                await scenario(env, books)
                await _keep(env.client, BREAK_ID, scenario.__name__.removeprefix("_"))
    async with await _open() as env:
        await _waited(env)


async def _keep(client: Client, workflow_id: str, name: str) -> None:
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    # Traces and the name of the recording process are nothing that a replay looks at.
    text = re.sub(r'"stackTrace": "(?:[^"\\]|\\.)*"', '"stackTrace": ""', history.to_json())
    text = re.sub(r'"identity": "[^"]*"', '"identity": "recorder"', text)
    (FOLDER / f"break_{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    asyncio.run(main())
