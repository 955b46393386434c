"""Watching a set until there is something to do: a trade fired, a surprise, or the window's end.

The rule: whatever the account tells that the books do not hold comes before any chance.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, TypeAlias

from desk.arbitrage.verdicts import Passed, Verdict
from desk.market import FeedEvent
from desk.orders import AccountEvent
from desk.units import NS_PER_MS, NS_PER_S
from quoting.arbitrage.answers import Fired
from quoting.arbitrage.firing import Chance, Firing
from quoting.arbitrage.leg import LiveLeg
from quoting.arbitrage.ports import SetPorts
from quoting.arbitrage.sight import SetSight

_TICK_NS: Final = 250 * NS_PER_MS
_DOUBT_NS: Final = 500 * NS_PER_MS
_REST_NS: Final = 100 * NS_PER_MS


class Turn(StrEnum):
    """Why watching ended without a trade."""

    WINDOW = "window"
    SURPRISE = "surprise"
    LEASE = "lease"


Watched: TypeAlias = Fired | Turn


class Vigil:
    """Hears the legs and fires at most once."""

    def __init__(
        self, *, legs: Sequence[LiveLeg], sight: SetSight, firing: Firing, ports: SetPorts
    ) -> None:
        self._legs = legs
        self._sight = sight
        self._firing = firing
        self._clock = ports.clock
        self._awake = asyncio.Event()
        self._chance: Chance | None = None
        self._doubted_ns: int | None = None
        self._fault: Exception | None = None
        self._quiet_until_ns = 0
        self.looks = 0
        self.passed: Counter[str] = Counter()
        self.missed = ""
        """Why the last chance came to nothing, a sentence."""

    def wake(self) -> None:
        """Something changed that others keep."""
        self._awake.set()

    def hear_feed(self, leg: LiveLeg, event: FeedEvent) -> None:
        """Take one event of a leg's book, and in the same turn what it means for the set."""
        try:
            self._take(leg, event)
        except Exception as error:  # noqa: BLE001 - called by a stream, which would only go on
            self._fail(error)

    def hear_account(self, leg: LiveLeg, event: AccountEvent) -> None:
        """Take one event of a leg's account."""
        try:
            leg.hear_account(event)
        except Exception as error:  # noqa: BLE001
            self._fail(error)
        if leg.surprised or leg.doubted:
            self._awake.set()

    async def until(self, deadline_ns: int) -> Watched:
        """Watch until a trade was fired, somebody must look, or the window is over.

        Raises what hearing a leg raised: that is a bug, and nothing may be fired past it.
        """
        while True:
            if self._fault is not None:
                raise self._fault
            self._awake.clear()
            now_ns = self._clock.monotonic_ns()
            if turn := self._turn(now_ns, deadline_ns):
                return turn
            if self._chance is None or now_ns < self._quiet_until_ns:
                quiet_ns = self._quiet_until_ns
                until_ns = quiet_ns if now_ns < quiet_ns else now_ns + _TICK_NS
                await self._rest(min(deadline_ns, until_ns))
                continue
            chance, self._chance = self._chance, None
            fired = await self._firing.shoot(chance, lambda: self._fault is not None)
            if isinstance(fired, Fired):
                return fired
            self.passed[fired.reason] += 1
            self.missed = fired.sentence
            if fired.rests:
                self._quiet_until_ns = self._clock.monotonic_ns() + _REST_NS

    def _take(self, leg: LiveLeg, event: FeedEvent) -> None:
        if not leg.hear_feed(event):
            self._sight.confirmed(leg.market, event.received_ns)
            return
        self.looks += 1
        verdicts = self._sight.changed(leg.market, self._clock.monotonic_ns())
        self._weigh(verdicts, event.received_ns)

    def _fail(self, error: Exception) -> None:
        self._fault = self._fault or error
        self._awake.set()

    def _turn(self, now_ns: int, deadline_ns: int) -> Turn | None:
        if any(leg.surprised for leg in self._legs) or self._doubted(now_ns):
            return Turn.SURPRISE
        if any(leg.dispossessed for leg in self._legs):
            return Turn.LEASE
        return Turn.WINDOW if now_ns >= deadline_ns else None

    def _doubted(self, now_ns: int) -> bool:
        """Whether a venue has told another position for so long that it is no word on its way."""
        if not any(leg.doubted for leg in self._legs):
            self._doubted_ns = None
            return False
        if self._doubted_ns is None:
            self._doubted_ns = now_ns
        return now_ns - self._doubted_ns >= _DOUBT_NS

    async def _rest(self, until_ns: int) -> None:
        """Wait for news, or look at the set again when time alone may have changed the answer."""
        try:
            async with asyncio.timeout((until_ns - self._clock.monotonic_ns()) / NS_PER_S):
                await self._awake.wait()
        except TimeoutError:
            now_ns = self._clock.monotonic_ns()
            self._weigh(self._sight.look(now_ns), now_ns)

    def _weigh(self, verdicts: Sequence[Verdict], caused_ns: int) -> None:
        self._chance = None  # where nothing is said, there is no edge any more
        for verdict in verdicts:
            if isinstance(verdict, Passed):
                self.passed[verdict.reason.value] += 1
            elif self._chance is None:
                changes = self._sight.changes
                self._chance = Chance(seen=verdict, changes=changes, caused_ns=caused_ns)
                self._awake.set()
