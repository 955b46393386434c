"""Errors of the program itself, and how one error leaves a group of tasks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from desk.errors import Unavailable

if TYPE_CHECKING:
    # Every command loads this file, and those that speak to no server must not load a client.
    from temporalio.service import RPCError


class RefusedBySafety(Exception):
    """A safety rule said no; the command ends with exit code 3."""


@asynccontextmanager
async def one_fault() -> AsyncIterator[None]:
    """Let a lone error out of its task groups as itself; several stay a group."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        if error is group:
            raise
        raise error from None


def innermost(error: BaseException) -> str:
    """What the first cause of an error says."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error)


def unanswered(what: str, error: "RPCError") -> Unavailable:
    """A workflow was asked and nobody answered: most often no worker runs."""
    return Unavailable(
        f"{what}: no answer ({error.status.name.lower()}); is 'flotilla worker' running?"
    )
