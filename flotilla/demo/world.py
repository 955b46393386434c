"""What a demo stands on: services, simulated venues, a worker and a guardian, each a process."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    ListTaskQueuePartitionsRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError

from desk.errors import ConfigurationFault, Unavailable
from flotilla.control import open_temporal
from flotilla.demo.arbitrage.sets import caps
from flotilla.demo.children import GUARDIAN, Child
from flotilla.demo.plan import DemoPlan
from flotilla.demo.venues import DemoVenue
from flotilla.failures import one_fault
from flotilla.tracing import traces_folder
from infra.embedded.ports import PortWishes
from infra.embedded.stack import EmbeddedStack
from infra.settings import Settings, external_services, load_settings
from workflows import names

_FLEET = "demo"
_READY_S = 60.0
_FORGET_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything that runs beside the demo.

    `account` is new each time: the simulated venue forgets when it ends, the ledger does not.
    """

    stack: EmbeddedStack
    settings: Settings
    venues: Mapping[str, DemoVenue]
    worker: Child
    guardian: Child
    account: str

    def services(self) -> dict[str, object]:
        """What ran, for the JSON."""
        return {
            "temporal": self.stack.temporal_address,
            "temporal_ui": self.stack.ui_url,
            "traces": str(traces_folder(self.settings)),
            **{name: venue.urls["base_url"] for name, venue in self.venues.items()},
            "pids": {
                **self.stack.pids,
                **{name: venue.child.pid for name, venue in self.venues.items()},
                "worker": self.worker.pid,
                "guardian": self.guardian.pid,
            },
        }


@asynccontextmanager
async def open_world(plan: DemoPlan) -> AsyncIterator[World]:
    """Start everything, wait until each part answers, and stop it in order at the end."""
    demanded = {} if plan.ui_port is None else {"ui": plan.ui_port}
    stack = EmbeddedStack(
        plan.data_dir, external=external_services(), ports=PortWishes(demanded=demanded)
    )
    # Account main is left to the person: markets started from the UI do not meet the demo's.
    account = f"demo{secrets.token_hex(3)}"
    venues = {name: DemoVenue(name, plan, account=account) for name in plan.venues}
    worker = Child("worker", ["worker"], log=plan.data_dir / "logs" / "worker.out")
    guardian = Child("guardian", GUARDIAN, log=plan.data_dir / "logs" / "guardian.out")
    try:
        # The venues need no service: they start while those do.
        for venue in venues.values():
            await venue.child.start({})
        async with stack:
            try:
                async with _running(plan, stack, venues, worker, guardian, account) as world:
                    yield world
            finally:
                # The guardian goes last: it is there for a worker that fails to clear its orders.
                await worker.stop()
                await guardian.stop()
                await _forgotten()
    finally:
        for venue in venues.values():
            await venue.child.stop()
            venue.forget()


async def forget_schedules(client: Client, fleet: str) -> None:
    """Remove what looks at this fleet's accounts now and then. Raises RPCError."""
    async for one in await client.list_schedules():
        if one.id.split("/")[1:2] == [fleet]:
            await client.get_schedule_handle(one.id).delete()


async def _forgotten() -> None:
    """The venues are gone, and keys with them: every look would fail, and be told."""
    with suppress(Unavailable, ConfigurationFault, RPCError, TimeoutError):
        async with asyncio.timeout(_FORGET_S), open_temporal(load_settings()) as client:
            await forget_schedules(client, _FLEET)


@asynccontextmanager
async def _running(
    plan: DemoPlan,
    stack: EmbeddedStack,
    venues: Mapping[str, DemoVenue],
    worker: Child,
    guardian: Child,
    account: str,
) -> AsyncIterator[World]:
    for venue in venues.values():
        await venue.ready()
    environment = _worker_environment(plan, venues, account)
    await worker.start(environment)
    await guardian.start(environment)
    # This process looks at the venues too, with the same settings.
    os.environ.update(environment)
    settings = load_settings()
    async with open_temporal(settings) as client:
        await wait_for_worker(client, worker)
    async with one_fault(), asyncio.TaskGroup() as tasks:
        watching = [
            *(tasks.create_task(venue.child.watch({}, restart=False)) for venue in venues.values()),
            tasks.create_task(worker.watch(environment, restart=True)),
            tasks.create_task(guardian.watch(environment, restart=True)),
        ]
        yield World(
            stack=stack,
            settings=settings,
            venues=venues,
            worker=worker,
            guardian=guardian,
            account=account,
        )
        for task in watching:
            task.cancel()


def _worker_environment(
    plan: DemoPlan, venues: Mapping[str, DemoVenue], account: str
) -> Mapping[str, str]:
    environment = {
        "FLOTILLA_DATA_DIR": str(plan.data_dir.absolute()),
        "FLOTILLA_STATE_DIR": str(plan.state_dir.absolute()),
        "FLOTILLA_FLEET": _FLEET,
    }
    for venue in venues.values():
        environment.update(venue.environment())
    if plan.arb:
        environment["FLOTILLA_ARBITRAGE_CAPS"] = caps(account)
    return environment


async def wait_for_worker(client: Client, worker: Child, *, within_s: float = _READY_S) -> None:
    """Wait until this worker polls for activities. Unavailable when it ends or stays silent."""
    try:
        async with asyncio.timeout(within_s):
            while True:
                for identity in await polled_by(client, names.MARKETS_QUEUE):
                    if worker.is_identity(identity):
                        return
                if worker.ended:
                    raise Unavailable(f"the worker did not start: {worker.last_words()}")
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise Unavailable(f"the worker did not become ready: {worker.last_words()}") from None


async def polled_by(client: Client, queue: str) -> set[str]:
    """Identities of those who poll this queue for activities, on any of its partitions.

    A worker has about as many polls open as a queue has partitions: any one may be without it.
    """
    service, found = client.workflow_service, set[str]()
    listed = await service.list_task_queue_partitions(
        ListTaskQueuePartitionsRequest(namespace=client.namespace, task_queue=TaskQueue(name=queue))
    )
    for partition in listed.activity_task_queue_partitions:
        answer = await service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=client.namespace,
                task_queue=TaskQueue(name=partition.key),
                task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
            )
        )
        found.update(poller.identity for poller in answer.pollers)
    return found
