"""Breaks as a person's command sees them: read from the record, settled by their workflow.

The one rule: a command tells what became of it; what a safety rule refuses is RefusedBySafety.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RPCError

from desk.book_ports import BreakBook
from desk.breaks import Break
from desk.errors import ConfigurationFault
from flotilla.break_keeper import begin_break
from flotilla.control import open_temporal
from flotilla.failures import RefusedBySafety, unanswered
from flotilla.wiring import open_breaks
from infra.settings import load_settings
from workflows import names
from workflows.breaks import BreakWorkflow
from workflows.breaks_messages import BreakStatus, SettleBreak

_LOOK_S = 0.3
_QUERY = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A decision that was handed over; `known` is the break then, or when it was settled."""

    workflow_id: str
    known: Break


async def listed_breaks(*, settled: bool, limit: int) -> Sequence[Break]:
    """Open breaks, oldest first; or the newest ones, settled ones too. Raises Unavailable."""
    async with open_breaks(load_settings()) as book:
        return await (book.recent(limit) if settled else book.standing())


async def one_break(number: int) -> Break:
    """One break. Raises Unavailable, and ConfigurationFault for an unknown number."""
    async with open_breaks(load_settings()) as book:
        return await _known(book, number)


async def settle_break(number: int, decision: SettleBreak, *, wait: bool) -> Asked:
    """Hand a decision to the break's workflow, which is begun if need be; with `wait`, its end.

    Raises RefusedBySafety when it was settled before, or (with `wait`) when nothing was settled.
    """
    settings = load_settings()
    workflow_id = names.break_workflow_id(settings.fleet, number)
    async with open_breaks(settings) as book:
        known = await _known(book, number)
        if not known.open:
            raise RefusedBySafety(
                f"break {number} was settled by {known.settled_by}: {known.reason}"
            )
        async with open_temporal(settings) as client:
            refused = await _refused(client, workflow_id)
            try:
                await begin_break(client, settings.fleet, number, decision)
            except RPCError as error:
                raise unanswered(f"break {number}", error) from error
            if not wait:
                return Asked(workflow_id=workflow_id, known=known)
            return await _settled(book, client, workflow_id, known, refused)


async def _settled(
    book: BreakBook, client: Client, workflow_id: str, known: Break, refused: int
) -> Asked:
    """Wait for the record's word, or the workflow's that nothing was settled."""
    while True:
        known = await _known(book, known.number)
        status = await _status(client, workflow_id)
        said = status.history[-1].text if status and status.history else ""
        if not known.open:
            return Asked(workflow_id=workflow_id, known=known)
        if status and status.refused > refused:
            raise RefusedBySafety(f"break {known.number}: {said}")
        await asyncio.sleep(_LOOK_S)


async def _refused(client: Client, workflow_id: str) -> int:
    status = await _status(client, workflow_id)
    return status.refused if status else 0


async def _status(client: Client, workflow_id: str) -> BreakStatus | None:
    """What the workflow says, None while it does not run or nobody answers."""
    handle = client.get_workflow_handle_for(BreakWorkflow.run, workflow_id)
    with suppress(RPCError):
        return await handle.query(BreakWorkflow.status, rpc_timeout=_QUERY)
    return None


async def _known(book: BreakBook, number: int) -> Break:
    known = await book.get(number)
    if known is None:
        raise ConfigurationFault(
            f"break: there is no break {number}; 'flotilla breaks list --all' shows those there are"
        )
    return known
