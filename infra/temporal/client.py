"""How this house connects to Temporal, and whether the server it meets can do what we need.

The one rule: every client speaks through the same payload converter, so that what one process
writes every other reads back with the same types.
"""

from collections.abc import Sequence

import temporalio.service
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client, Interceptor, Plugin
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConnectConfig

from desk.errors import Unavailable
from infra.settings import Settings
from infra.temporal.runtime import quiet_runtime
from infra.temporal.search_attributes import (
    SEARCH_ATTRIBUTES,
    SearchAttributes,
    known_attributes,
    wrong_types,
)

DATA_CONVERTER = pydantic_data_converter
"""Plain dataclasses, pydantic models, Decimals (as strings), enums and datetimes round-trip."""


async def connect(
    settings: Settings, *, interceptors: Sequence[Interceptor] = (), plugins: Sequence[Plugin] = ()
) -> Client:
    """A client for the configured server and namespace. Raises Unavailable."""
    config: ClientConnectConfig = settings.temporal()
    address = config.setdefault("target_host", "127.0.0.1:7233")
    try:
        return await Client.connect(
            **config,
            data_converter=DATA_CONVERTER,
            runtime=quiet_runtime(),
            interceptors=interceptors,
            plugins=plugins,
        )
    except (RuntimeError, OSError) as error:
        raise Unavailable(
            f"Temporal does not answer at {address} ({_brief(error)}); start it with `flotilla up` "
            "or set TEMPORAL_ADDRESS."
        ) from None


async def check_server(
    client: Client, attributes: SearchAttributes = SEARCH_ATTRIBUTES
) -> tuple[str, ...]:
    """What the server lacks, one sentence each with the remedy; empty when all is well.

    Raises Unavailable when the server does not answer.
    """
    try:
        described = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace)
        )
        known = await known_attributes(client)
    except temporalio.service.RPCError as error:
        raise Unavailable(
            f"Temporal namespace {client.namespace} cannot be read: {error}"
        ) from None
    problems = []
    if not described.namespace_info.capabilities.worker_commands:
        problems.append(
            "The Temporal server does not push cancellations to workers, so a stop waits for a "
            "heartbeat; set frontend.WorkerCommandsEnabled and "
            "system.enableCancelActivityWorkerCommand to true in its dynamic configuration."
        )
    missing = [f"{name} ({kind})" for name, kind in attributes if name not in known]
    if missing:
        problems.append(
            f"The Temporal namespace {client.namespace} lacks search attributes: "
            f"{', '.join(missing)}; add them with `temporal operator search-attribute create`."
        )
    return (*problems, *wrong_types(known, attributes))


def _brief(error: Exception) -> str:
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__
