"""Keeps the permit's facts fresh: lease, kill board, clock, ledger, the venue's own timer.

A fact that cannot be confirmed is left to grow old; the permit then refuses by itself.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from desk.errors import Unavailable, VenueError
from desk.identity import MarketId
from desk.permit import Permit
from desk.ports import Clock, KillBoard, LeasePort, LedgerWriter, Venue
from desk.units import NS_PER_MS, NS_PER_S
from quoting.gates import Gates

_BOARD_POLL_S = 0.5
_BOARD_VALID_S = 2
_CLOCK_POLL_S = 30.0
_CLOCK_RETRY_S = 1.0
_LEDGER_POLL_S = 0.2
_SOON_S = 0.1
_DEAD_MAN_POLL_S = 0.5
_FAILURES = 2


class WatchedPorts(Protocol):
    """The ports this file reads."""

    @property
    def venue(self) -> Venue:
        """Whose clock is compared."""

    @property
    def lease(self) -> LeasePort:
        """Where the lease is renewed."""

    @property
    def board(self) -> KillBoard:
        """Where kills are read."""

    @property
    def ledger(self) -> LedgerWriter:
        """Whose delay is watched."""

    @property
    def clock(self) -> Clock:
        """Our clock."""

    @property
    def gates(self) -> Gates:
        """Kills told directly to this process."""


class Watch:
    """Tasks that move a permit's deadlines forward, each only by what it confirmed itself."""

    def __init__(
        self,
        *,
        market: MarketId,
        epoch: int,
        owner: str,
        lease_ttl_ms: int,
        permit: Permit,
        ports: WatchedPorts,
        may_hold: Callable[[], bool],
        may_renew: Callable[[], bool],
        wake: Callable[[], None],
    ) -> None:
        self._market = market
        self._epoch = epoch
        self._owner = owner
        self._ttl_ms = lease_ttl_ms
        self._permit = permit
        self._ports = ports
        self._may_hold = may_hold
        self._may_renew = may_renew
        self._wake = wake
        self._on_board = permit.kills
        self._board_changed = asyncio.Event()

    async def lease(self) -> None:
        """Renew at a third of the lease; stop being permitted a sixth before it expires.

        Who cannot take its orders away lets the lease run out: a guardian may have another way.
        """
        while True:
            if not self._may_hold():
                await asyncio.sleep(_SOON_S)
                continue
            asked_ns = self._ports.clock.monotonic_ns()
            try:
                ours = await self._ports.lease.renew(
                    self._market, self._epoch, self._owner, self._ttl_ms
                )
            except Unavailable:
                await asyncio.sleep(_SOON_S)
                continue
            if not ours:
                self._permit.lease_until_ns = 0
                return
            self._permit.lease_until_ns = asked_ns + self._ttl_ms * NS_PER_MS * 5 // 6
            await asyncio.sleep(self._ttl_ms / 3_000)

    async def board(self) -> None:
        """Read the kill board twice a second and whenever it says it changed."""
        while True:
            self._board_changed.clear()
            asked_ns = self._ports.clock.monotonic_ns()
            try:
                self._on_board = await self._ports.board.kills(self._market)
                self._permit.board_until_ns = asked_ns + _BOARD_VALID_S * NS_PER_S
            except Unavailable:
                await asyncio.sleep(_SOON_S)
                continue
            self._take_kills()
            try:
                async with asyncio.timeout(_BOARD_POLL_S):
                    await self._board_changed.wait()
            except TimeoutError:
                continue

    async def board_changes(self) -> None:
        """Listen for changes; polling goes on when listening fails."""
        while True:
            try:
                await self._ports.board.watch(self._board_changed.set)
            except Unavailable:
                await asyncio.sleep(_SOON_S)

    async def gates(self) -> None:
        """Hear kills told to this process, in the moment they are told."""
        with self._ports.gates.heard_by(self._take_kills):
            self._take_kills()
            await asyncio.Event().wait()

    async def clock(self) -> None:
        """Compare the venue's clock with ours."""
        while True:
            try:
                self._permit.clock_offset_ms = await self._ports.venue.clock_offset_ms()
            except VenueError:
                await asyncio.sleep(_CLOCK_RETRY_S)
                continue
            await asyncio.sleep(_CLOCK_POLL_S)

    async def ledger(self) -> None:
        """Know how far the ledger is behind."""
        while True:
            self._permit.ledger_behind_s = self._ports.ledger.behind_s()
            await asyncio.sleep(_LEDGER_POLL_S)

    async def dead_man(self) -> None:
        """Keep the venue's timer from running out while we stand behind what rests.

        Two failures in a row end the permit well before the timer does (x10.md section 10).
        """
        timer, failures = self._ports.venue.dead_man, 0
        while timer is not None:
            if self._may_renew():
                try:
                    self._permit.dead_man_until_ns = await timer.keep(self._market.path)
                    failures = 0
                except VenueError:
                    failures += 1
                    if failures >= _FAILURES:
                        self._permit.dead_man_until_ns = 0
            await asyncio.sleep(_SOON_S if failures else _DEAD_MAN_POLL_S)

    def _take_kills(self) -> None:
        kills = self._ports.gates.merged(self._market, self._on_board)
        if kills != self._permit.kills:
            self._permit.kills = kills
            self._wake()
