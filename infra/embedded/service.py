"""What the supervision needs to know of a service; PostgreSQL, Valkey and Temporal say it.

The one rule: `ready` means a real connection answered, not that a process or a port exists.
"""

from typing import Protocol

from infra.embedded.process import Command


class Service(Protocol):
    """One embedded service with its folder, port and secret settled."""

    @property
    def name(self) -> str:
        """`postgres`, `valkey` or `temporal`."""

    @property
    def port(self) -> int:
        """Where it will listen on loopback."""

    async def prepare(self) -> None:
        """Make folder, files and first contents; repeating is harmless. ConfigurationFault."""

    def command(self) -> Command:
        """What to start; may differ from start to start."""

    async def ready(self) -> bool:
        """Try once to use the service; False means not yet. ConfigurationFault when hopeless."""
