"""Keeps board, record and the KILL file at one: what the strictest of them says holds for all.

What is missing on the board is put back, and no kill that was lifted meanwhile; so are leases of
markets with orders resting when Redis was emptied. Kills whose time is up are ended; a new KILL
file becomes a durable kill of the fleet, once.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog

from desk.control_ports import KillAnswers, LostLeases, OwnershipBook
from desk.errors import Unavailable
from desk.ports import KillBoard, LedgerReader
from desk.records import Kill
from quoting.gates import Gates

_EVERY_S = 5.0
_FILE_S = 0.5
_ITSELF = ("flotilla", "ended by itself")


class KeptPorts(Protocol):
    """The ports this file keeps in step."""

    @property
    def board(self) -> KillBoard:
        """The fast copy."""

    @property
    def ledger(self) -> LedgerReader:
        """The durable record."""

    @property
    def answers(self) -> KillAnswers:
        """Which kills are over, and which have ended."""

    @property
    def gates(self) -> Gates:
        """Kills told to this process."""

    @property
    def lost(self) -> LostLeases:
        """Leases that the dead-man's switch is pulled for."""

    @property
    def ownership(self) -> OwnershipBook:
        """What rests by the books."""


class DatedKillFile(Protocol):
    """The KILL file of this machine."""

    def since_ms(self) -> int | None:
        """When it last changed, unix milliseconds; None when there is none."""

    def reason(self) -> str:
        """What it says."""


async def keep_board(ports: KeptPorts) -> None:
    """Compare every few seconds until cancelled; trouble is for the next look."""
    log = structlog.get_logger("flotilla.board")
    told: set[Kill] = set()
    ended: set[Kill] = set()
    while True:
        try:
            active = await _look(ports, ended)
            for kill in set(active) - told:
                log.warning("kill in force", scope=kill.scope, by=kill.by, reason=kill.reason)
            told = set(active)
        except Unavailable as trouble:
            log.warning("kill board not checked", trouble=str(trouble))
        await asyncio.sleep(_EVERY_S)


async def keep_file(ports: KeptPorts, file: DatedKillFile, host: str) -> None:
    """Make a new KILL file a kill of the fleet, until cancelled. Its time makes it one kill."""
    log = structlog.get_logger("flotilla.board")
    keeper = _FileKeeper(ports, file, host)
    while True:
        try:
            await keeper.look()
        except Unavailable as trouble:
            log.warning("KILL file not told everybody yet", trouble=str(trouble))
        await asyncio.sleep(_FILE_S)


async def _look(ports: KeptPorts, ended: set[Kill]) -> Sequence[Kill]:
    for kill in await ports.answers.ended():
        if kill not in ended:
            # The record first: the board stops sessions until the record no longer does.
            await ports.ledger.lift_kill(kill.scope, kill.at_ms, *_ITSELF)
            await ports.board.lift(kill.scope, [kill.at_ms])
            ended.add(kill)
    active = await ports.ledger.active_kills()
    # An emptied Redis forgot leases with the kills: whoever died meanwhile would never be missed.
    # At every look, for a session that opens may have put the kills back first.
    await ports.lost.restore(await ports.ownership.resting())
    await ports.board.rearm(active)
    for kill in ports.gates.told():
        # What stands in the record is on the board by now, and comes back when it is emptied.
        stands = any(one.scope == kill.scope and one.at_ms >= kill.at_ms for one in active)
        if stands or await ports.answers.over(kill.scope, kill.at_ms):
            ports.gates.forget(kill)
    return active


class _FileKeeper:
    """What is known of one KILL file: when it was told, and whether it was ever seen absent."""

    def __init__(self, ports: KeptPorts, file: DatedKillFile, host: str) -> None:
        self._ports = ports
        self._file = file
        self._host = host
        self._told: int | None = None
        self._new = False

    async def look(self) -> None:
        """Tell it, unless it was told before. Raises Unavailable; then it is told later."""
        since_ms = self._file.since_ms()
        if since_ms is None:
            self._new, self._told = True, None
            return
        if since_ms == self._told:
            return
        kill = Kill(
            scope="fleet",
            reason=self._file.reason() or "the KILL file appeared",
            by=f"KILL file on {self._host}",
            at_ms=since_ms,
        )
        if self._new:
            # It came while we looked on: nobody can have lifted it yet.
            await self._ports.board.set(kill)
            self._new = False
        if not await self._ports.answers.over(kill.scope, kill.at_ms):
            active = await self._ports.ledger.active_kills()
            if any(one.scope == "fleet" and one.at_ms != since_ms for one in active):
                return  # the fleet is stopped already; that kill is not to be replaced
            await self._ports.ledger.set_kill(kill)
            await self._ports.board.set(kill)
        self._told = since_ms
