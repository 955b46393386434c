"""Record the rounds over the books that are replayed: `python -m tests.workflows.record_books`.

Record anew only when a change of commands is meant; until old runs have ended, guard it with
`workflow.patched` instead.
"""

import asyncio
import re
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from temporalio import activity
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from activities.reconciliation_messages import BlindInput, ReconcileInput, ReconcileReport
from tests.workflows.conftest import SERVER, add_search_attributes, worker
from tests.workflows.scripted_break import Books
from workflows import names
from workflows.breaks import BreakWorkflow
from workflows.reconciliation import ReconciliationWorkflow
from workflows.reconciliation_messages import ReconcileAccount
from workflows.upkeep import UpkeepWorkflow
from workflows.upkeep_messages import KeepTables

FOLDER = Path(__file__).parent / "histories"
RECONCILIATION_ID: Final = "recorded-reconciliation"
UPKEEP_ID: Final = "recorded-upkeep"

_AWAY = ApplicationError("the venue is away", type="NotSent")
_AGREED = ReconcileReport(
    run_id="run", at_ms=1_700_000_000_000, ours=3, theirs=3, requests=2, found=0
)
_BROKEN = replace(_AGREED, found=1, differences=("position BTC-PERP: 0.5 apart",), standing=(7,))


@dataclass
class Rounds:
    """Answers of the activities, in turn; an exception is raised."""

    compared: deque[ReconcileReport | Exception]
    kept: deque[str | Exception]

    def activities(self) -> list[Any]:
        return [self.reconcile, self.record_blind, self.keep_tables]

    @activity.defn(name="reconcile")
    async def reconcile(self, request: ReconcileInput) -> ReconcileReport:
        del request
        answer = self.compared.popleft() if len(self.compared) > 1 else self.compared[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    @activity.defn(name="record_blind")
    async def record_blind(self, request: BlindInput) -> None:
        del request

    @activity.defn(name="keep_tables")
    async def keep_tables(self, fleet: str) -> str:
        del fleet
        answer = self.kept.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer


async def _open() -> WorkflowEnvironment:
    env = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(SERVER),
        data_converter=pydantic_data_converter,
        identity="recorder",
    )
    await add_search_attributes(env.client, names.SEARCH_ATTRIBUTES)
    return env


async def _reconciliation(name: str, *answers: ReconcileReport | Exception) -> None:
    async with await _open() as env:
        books = Books.at(int((await env.get_current_time()).timestamp() * 1_000))
        done = [*Rounds(deque(answers), deque()).activities(), *books.activities()]
        workflows = [ReconciliationWorkflow, BreakWorkflow]
        async with worker(env.client, names.CONTROL_QUEUE, workflows, done):
            await env.client.execute_workflow(
                ReconciliationWorkflow.run,
                ReconcileAccount(venue="ocx"),
                id=RECONCILIATION_ID,
                task_queue=names.CONTROL_QUEUE,
            )
            await _keep(env.client, RECONCILIATION_ID, f"reconciliation_{name}")


async def _upkeep(name: str, *answers: str | Exception) -> None:
    async with await _open() as env:
        done = Rounds(deque(), deque(answers)).activities()
        async with worker(env.client, names.CONTROL_QUEUE, [UpkeepWorkflow], done):
            await env.client.execute_workflow(
                UpkeepWorkflow.run, KeepTables(), id=UPKEEP_ID, task_queue=names.CONTROL_QUEUE
            )
            await _keep(env.client, UPKEEP_ID, f"upkeep_{name}")


async def main() -> None:
    """Write every scenario as JSON."""
    await _reconciliation("agreed", _AGREED)
    await _reconciliation("broken", _AWAY, _BROKEN)
    await _reconciliation("blind", _AWAY)
    await _upkeep("kept", RuntimeError("postgres is away"), "2 months made, none dropped")


async def _keep(client: Client, workflow_id: str, name: str) -> None:
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    # Traces and the name of the recording process are nothing that a replay looks at.
    text = re.sub(r'"stackTrace": "(?:[^"\\]|\\.)*"', '"stackTrace": ""', history.to_json())
    text = re.sub(r'"identity": "[^"]*"', '"identity": "recorder"', text)
    (FOLDER / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    asyncio.run(main())
