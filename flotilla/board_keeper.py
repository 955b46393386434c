"""Keeps the kill board at least as strict as the durable record: what is missing is put back.

It only ever adds, and no kill that was lifted meanwhile. Redis may lose its last second when it
dies; Postgres does not.
"""

import asyncio

import structlog

from desk.errors import Unavailable
from desk.ports import KillBoard, LedgerReader
from desk.records import Kill

_EVERY_S = 5.0


async def keep_board(board: KillBoard, ledger: LedgerReader) -> None:
    """Compare every few seconds until cancelled; trouble is for the next look."""
    log = structlog.get_logger("flotilla.board")
    told: set[Kill] = set()
    while True:
        try:
            active = await ledger.active_kills()
            await board.rearm(active)
            for kill in set(active) - told:
                log.warning("kill in force", scope=kill.scope, by=kill.by, reason=kill.reason)
            told = set(active)
        except Unavailable as trouble:
            log.warning("kill board not checked", trouble=str(trouble))
        await asyncio.sleep(_EVERY_S)
