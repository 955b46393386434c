"""The guardian's run: it never fails, tells once, and flattens only by policy."""

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pydantic
import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from desk.ownership import FindingKind
from flotilla.schedules import Watch
from infra.temporal.search_attributes import SEARCH_ATTRIBUTES, ensure_search_attributes
from tests.workflows.conftest import PASSTHROUGH
from tests.workflows.scripted_guardian import MARKET, FlattenForEver, Watched, found, look
from workflows import names
from workflows.guardian import GuardianWorkflow
from workflows.guardian_messages import ExposurePolicy, GuardAccount, GuardianReport
from workflows.guardian_page import guardian_page

FLATTEN = GuardAccount(venue="ocx", exposure=ExposurePolicy.FLATTEN)
EXPOSED = found(FindingKind.EXPOSURE, held="0.5")

Handle = WorkflowHandle[GuardianWorkflow, GuardianReport]


@asynccontextmanager
async def serving(client: Client, script: Watched) -> AsyncIterator[None]:
    async with Worker(
        client,
        task_queue=names.CONTROL_QUEUE,
        workflows=[GuardianWorkflow, FlattenForEver],
        activities=script.activities(),
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSTHROUGH)
        ),
        workflow_failure_exception_types=[pydantic.ValidationError],
    ):
        yield


async def run(
    server: WorkflowEnvironment | Client, script: Watched, start: GuardAccount | None = None
) -> GuardianReport:
    client = server if isinstance(server, Client) else server.client
    async with serving(client, script):
        return await client.execute_workflow(
            GuardianWorkflow.run,
            start or GuardAccount(venue="ocx"),
            id=str(uuid.uuid4()),
            task_queue=names.CONTROL_QUEUE,
        )


async def test_a_quiet_account_is_looked_at_and_nobody_is_told(
    server: WorkflowEnvironment,
) -> None:
    script = Watched()
    report = await run(server, script)
    assert (report.account, report.ours, report.owned, report.findings) == ("ocx/main", 4, 2, ())
    assert script.told == []
    assert script.asked[0].owners == ("market/", "flatten/")
    assert script.asked[0].hedge == "hedge/"
    assert script.asked[0].drill == "drill/ocx/main"


async def test_what_began_is_told_and_stands_in_the_report(server: WorkflowEnvironment) -> None:
    script = Watched(looks=deque([look(found(FindingKind.ORDERS), cleared=3)]))
    report = await run(server, script)
    (told,) = script.told
    assert [finding.kind for finding in told.begun] == [FindingKind.ORDERS]
    assert [finding.told for finding in report.findings] == [True]
    assert report.cleared == 3
    assert "orders seen" in guardian_page(report)


async def test_a_person_who_could_not_be_told_is_told_by_the_next_run(
    server: WorkflowEnvironment,
) -> None:
    script = Watched(looks=deque([look(found(FindingKind.ORDERS))]), deaf=True)
    report = await run(server, script)
    assert [finding.told for finding in report.findings] == [False]


async def test_a_look_that_goes_wrong_at_one_worker_is_tried_at_another(
    server: WorkflowEnvironment,
) -> None:
    script = Watched(
        looks=deque([ApplicationError("no keys here", type="NoKeys"), look(cleared=1)])
    )
    report = await run(server, script)
    assert (report.cleared, report.trouble) == (1, "")


async def test_an_account_that_cannot_be_looked_at_is_a_finding_and_no_failure(
    server: WorkflowEnvironment,
) -> None:
    script = Watched(looks=deque([ApplicationError("the venue is away", type="NotSent")]))
    report = await run(server, script)
    assert [finding.kind for finding in report.findings] == [FindingKind.BLIND]
    assert "the venue is away" in report.trouble
    assert [one.kind for one in script.told[0].begun] == [FindingKind.BLIND]
    assert "could not be looked at" in guardian_page(report)


async def test_by_default_an_exposure_is_only_told(server: WorkflowEnvironment) -> None:
    report = await run(server, Watched(looks=deque([look(EXPOSED)])))
    assert (report.flattens, report.begun) == ((), 1)


@pytest.mark.services
async def test_by_policy_an_exposure_is_flattened_by_a_workflow_that_outlives_the_look(
    temporal_client: Client,
) -> None:
    await ensure_search_attributes(temporal_client, SEARCH_ATTRIBUTES)
    report = await run(temporal_client, Watched(looks=deque([look(EXPOSED)])), FLATTEN)
    assert report.flattens == (f"flatten/{MARKET.path}",)
    flatten = temporal_client.get_workflow_handle(report.flattens[0])
    assert (await flatten.describe()).status is WorkflowExecutionStatus.RUNNING
    async with serving(temporal_client, Watched()):
        await flatten.signal("end")
        said = await flatten.result()
    assert said == {
        "venue": "ocx",
        "account": "main",
        "symbol": "BTC-PERP",
        "fleet": "main",
        "reason": "exposure seen",
        "by": "guardian",
    }


@pytest.mark.services
async def test_a_flatten_that_runs_already_is_left_alone(temporal_client: Client) -> None:
    await ensure_search_attributes(temporal_client, SEARCH_ATTRIBUTES)
    first = await run(temporal_client, Watched(looks=deque([look(EXPOSED)])), FLATTEN)
    second = await run(temporal_client, Watched(looks=deque([look(EXPOSED)])), FLATTEN)
    assert (len(first.flattens), len(second.flattens)) == (1, 0)
    await temporal_client.get_workflow_handle(first.flattens[0]).terminate()


async def test_a_difference_of_the_books_without_a_position_is_not_flattened(
    server: WorkflowEnvironment,
) -> None:
    flat = found(FindingKind.EXPOSURE, held="0")
    report = await run(server, Watched(looks=deque([look(flat)])), FLATTEN)
    assert (report.flattens, report.begun) == ((), 1)


@pytest.mark.services
async def test_looks_of_a_schedule_tell_the_beginning_and_the_end_once(
    temporal_client: Client,
) -> None:
    await ensure_search_attributes(temporal_client, SEARCH_ATTRIBUTES)
    lagging = found(FindingKind.LAGGARD, since_ms=1)
    script = Watched(
        looks=deque(
            [
                look(found(FindingKind.ORDERS)),
                look(found(FindingKind.ORDERS), lagging),
                look(lagging),
                look(),
            ]
        )
    )
    account = GuardAccount(venue="ocx", fleet=f"t{uuid.uuid4().hex[:8]}")
    watch = Watch(account=account, every_s=300)
    schedule = watch.schedule()
    schedule.spec.intervals = []  # only when asked
    handle = await temporal_client.create_schedule(watch.schedule_id, schedule)
    try:
        async with serving(temporal_client, script), asyncio.timeout(90):
            for number in range(1, 5):
                await handle.trigger()
                await ended(temporal_client, watch, number)
    finally:
        await handle.delete()
    said = [
        ([one.kind.value for one in told.begun], [one.kind.value for one in told.over])
        for told in script.told
    ]
    assert said == [
        (["orders"], []),
        (["laggard"], []),
        ([], ["orders"]),
        ([], ["laggard"]),
    ]
    assert [asked.overdue for asked in script.asked] == [(), (), (MARKET,), (MARKET,)]


async def ended(client: Client, watch: Watch, number: int) -> None:
    """Wait until so many runs of a schedule have ended."""
    handle = client.get_schedule_handle(watch.schedule_id)
    while True:
        described = await handle.describe()
        if described.info.num_actions >= number and not described.info.running_actions:
            return
        await asyncio.sleep(0.1)


async def test_a_worker_that_knows_no_such_report_is_told_in_a_sentence() -> None:
    with pytest.raises(pydantic.ValidationError, match="venue"):
        GuardAccount.model_validate({"account": "main"})
    with pytest.raises(pydantic.ValidationError, match="extra"):
        GuardAccount.model_validate({"venue": "ocx", "policy": "flatten"})
