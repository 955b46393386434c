"""What a demo stands on: embedded services, a simulated venue, and a worker in its own process."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from desk.errors import Unavailable
from flotilla.control import open_temporal
from flotilla.demo.children import Child
from flotilla.demo.plan import DemoPlan
from flotilla.failures import one_fault
from flotilla.simulated import RATE_PER_MINUTE
from infra.embedded.ports import PortWishes
from infra.embedded.stack import EmbeddedStack
from infra.settings import Settings, external_services, load_settings
from workflows import names

_READY_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything that runs beside the demo.

    `account` is new each time: the simulated venue forgets when it ends, the ledger does not.
    """

    stack: EmbeddedStack
    settings: Settings
    venue: Child
    venue_url: str
    worker: Child
    account: str

    def services(self) -> dict[str, object]:
        """What ran, for the JSON."""
        return {
            "temporal": self.stack.temporal_address,
            "temporal_ui": self.stack.ui_url,
            "ocx": self.venue_url,
            "pids": {
                **self.stack.pids,
                "venue": self.venue.pid,
                "worker": self.worker.pid,
            },
        }


@asynccontextmanager
async def open_world(plan: DemoPlan) -> AsyncIterator[World]:
    """Start everything, wait until each part answers, and stop it in order at the end."""
    demanded = {} if plan.ui_port is None else {"ui": plan.ui_port}
    stack = EmbeddedStack(
        plan.data_dir, external=external_services(), ports=PortWishes(demanded=demanded)
    )
    logs, secret_dir = plan.data_dir / "logs", plan.data_dir / "secrets"
    # Account main is left to the person: markets started from the UI do not meet the demo's.
    account = f"demo{secrets.token_hex(3)}"
    keys = (secret_dir / "ocx-main", secret_dir / account)
    venue = Child("simulated venue", _venue_arguments(plan, keys), log=logs / "sim-ocx.log")
    worker = Child("worker", ["worker"], log=logs / "worker.out")
    try:
        # The venue needs no service: it starts while they do.
        await venue.start({})
        async with stack:
            try:
                async with _running(plan, stack, venue, worker, keys) as world:
                    yield world
            finally:
                await worker.stop()
    finally:
        await venue.stop()
        keys[1].unlink(missing_ok=True)


@asynccontextmanager
async def _running(
    plan: DemoPlan, stack: EmbeddedStack, venue: Child, worker: Child, keys: tuple[Path, Path]
) -> AsyncIterator[World]:
    venue_url = await venue.read("base_url", timeout_s=_READY_S)
    environment = _worker_environment(plan, venue_url, keys)
    await worker.start(environment)
    # This process looks at the venue too, with the same settings.
    os.environ.update(environment)
    settings = load_settings()
    async with open_temporal(settings) as client:
        await _wait_for_worker(client, worker)
    async with one_fault(), asyncio.TaskGroup() as tasks:
        watching = [
            tasks.create_task(venue.watch({}, restart=False)),
            tasks.create_task(worker.watch(environment, restart=True)),
        ]
        yield World(
            stack=stack,
            settings=settings,
            venue=venue,
            venue_url=venue_url,
            worker=worker,
            account=keys[1].name,
        )
        for task in watching:
            task.cancel()


def _venue_arguments(plan: DemoPlan, keys: tuple[Path, Path]) -> list[str]:
    arguments = ["sim", "ocx", "--markets", str(plan.markets)]
    for key in keys:
        arguments += ["--key-file", str(key)]
    if plan.seed is not None:
        arguments += ["--seed", str(plan.seed)]
    if plan.replay is not None:
        arguments += ["--replay", str(plan.replay)]
    return arguments


def _worker_environment(
    plan: DemoPlan, venue_url: str, keys: tuple[Path, Path]
) -> Mapping[str, str]:
    main, own = keys
    return {
        "FLOTILLA_DATA_DIR": str(plan.data_dir.absolute()),
        "FLOTILLA_STATE_DIR": str(plan.state_dir.absolute()),
        "FLOTILLA_FLEET": "demo",
        "FLOTILLA_VENUE_OCX__BASE_URL": venue_url,
        "FLOTILLA_VENUE_OCX__API_KEY_FILE": str(main.absolute()),
        f"FLOTILLA_VENUE_OCX__{own.name.upper()}__API_KEY_FILE": str(own.absolute()),
        "FLOTILLA_VENUE_OCX__RATE__ORDER_PER_MIN": str(RATE_PER_MINUTE),
        "FLOTILLA_VENUE_OCX__RATE__RESERVE_FOR_CANCEL": str(RATE_PER_MINUTE // 10),
    }


async def _wait_for_worker(client: Client, worker: Child) -> None:
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=names.MARKETS_QUEUE),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    )
    try:
        async with asyncio.timeout(_READY_S):
            while True:
                answer = await client.workflow_service.describe_task_queue(request)
                if any(worker.is_identity(poller.identity) for poller in answer.pollers):
                    return
                if worker.ended:
                    raise Unavailable(f"the worker did not start: {worker.last_words()}")
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise Unavailable(f"the worker did not become ready: {worker.last_words()}") from None
