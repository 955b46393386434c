"""An account's funds, read once for all of its markets in this process.

The rule: asking often costs no more than asking once in a while, whoever asks; and who quotes with
them hears every answer in the same moment, and how many share it.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from desk.ports import Clock, Venue
from desk.risk.headroom import HeadroomLimits
from desk.units import NS_PER_S
from quoting.inbox import FundsSeen


class AccountFunds:
    """One account's. `sounding` are limits whose alarm was told and is not over."""

    def __init__(self) -> None:
        self.last: FundsSeen | None = None
        self.sounding: set[HeadroomLimits] = set()
        self._asking = asyncio.Lock()
        self._sharers: dict[object, Callable[[FundsSeen], None]] = {}

    @contextmanager
    def shared(self, hearer: Callable[[FundsSeen], None]) -> Iterator[None]:
        """Quote with them while the block runs: `hearer` is told what is read, and how many share.

        Who comes makes the others' parts smaller at once; who goes, only from the next answer on,
        because this one does not tell what was added meanwhile.
        """
        key = object()
        self._sharers[key] = hearer
        self._tell()
        try:
            yield
        finally:
            del self._sharers[key]

    async def read(self, venue: Venue, clock: Clock, max_age_s: float) -> FundsSeen:
        """What the venue says, or said so many seconds ago at most. Raises as reads do."""
        async with self._asking:
            asked_ns = clock.monotonic_ns()
            if self.last is None or asked_ns - self.last.asked_ns > max_age_s * NS_PER_S:
                self.last = FundsSeen(funds=await venue.account.balance(), asked_ns=asked_ns)
                self._tell()
            return self.last

    def _tell(self) -> None:
        if self.last is None:
            return
        told = replace(self.last, sharers=max(1, len(self._sharers)))
        for hearer in self._sharers.values():
            hearer(told)


class Funds:
    """Those of all accounts, by venue and account; one per process."""

    def __init__(self) -> None:
        self._accounts: dict[tuple[str, str], AccountFunds] = {}

    def of(self, venue: str, account: str) -> AccountFunds:
        """The account's, always the same."""
        return self._accounts.setdefault((venue, account), AccountFunds())
