"""The market workflow on scripted activities, for commands that speak to it."""

from tests.workflows.conftest import server, start

__all__ = ["server", "start"]
