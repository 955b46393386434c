"""The program's commands, run as people run them against a Temporal server of a test."""

import asyncio
from pathlib import Path

from temporalio.testing import WorkflowEnvironment

from tests.flotilla.test_cli import flotilla


class Commands:
    """Runs verbs of one group (`market`, `hedge`, `arb`) while this process serves workflows."""

    def __init__(self, group: str, server: WorkflowEnvironment, folder: Path) -> None:
        self.client = server.client
        self._group = group
        self._address = server.client.service_client.config.target_host
        self._folder = folder

    async def run(self, *arguments: str, code: int = 0) -> str:
        """What it printed; to stderr where another exit code than 0 is expected."""
        environment = {"TEMPORAL_ADDRESS": self._address}
        done = await asyncio.to_thread(
            flotilla, self._group, *arguments, environment=environment, folder=self._folder
        )
        assert done.returncode == code, done.stderr
        return done.stderr if code else done.stdout
