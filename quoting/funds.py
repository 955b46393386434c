"""An account's funds, read once for all of its markets in this process.

The rule: asking often costs no more than asking once in a while, whoever asks.
"""

import asyncio

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

    async def read(self, venue: Venue, clock: Clock, max_age_s: float) -> FundsSeen:
        """What the venue says, or said so many seconds ago at most. Raises as reads do."""
        async with self._asking:
            asked_ns = clock.monotonic_ns()
            if self.last is None or asked_ns - self.last.asked_ns > max_age_s * NS_PER_S:
                self.last = FundsSeen(funds=await venue.account.balance(), asked_ns=asked_ns)
            return self.last


class Funds:
    """Those of all accounts, by venue and account; one per process."""

    def __init__(self) -> None:
        self._accounts: dict[tuple[str, str], AccountFunds] = {}

    def of(self, venue: str, account: str) -> AccountFunds:
        """The account's, always the same."""
        return self._accounts.setdefault((venue, account), AccountFunds())
