"""Accounts that this process cannot clear, and which of their lost leases nobody else has cleared.

A person is told once an account, and again only after all of its leases were cleared.
"""

from collections.abc import Iterable
from typing import Final

from desk.identity import MarketId
from desk.records import LostLease
from desk.units import NS_PER_S

_PATIENCE_NS: Final = 15 * NS_PER_S
_Account = tuple[str, str]


class Unguarded:
    """What is left to others, by venue and account, and since when it has been lost."""

    def __init__(self) -> None:
        self._accounts: set[_Account] = set()
        self._since: dict[tuple[MarketId, int], int] = {}
        self._told: set[_Account] = set()

    def leave(self, market: MarketId) -> bool:
        """Leave this market's account to others; False when it was left to them before."""
        account = (market.venue, market.account)
        known = account in self._accounts
        self._accounts.add(account)
        return not known

    def covers(self, market: MarketId) -> bool:
        """Whether this market's account is left to others."""
        return (market.venue, market.account) in self._accounts

    def overdue(self, lost: Iterable[LostLease], now_ns: int) -> list[LostLease]:
        """Of everything lost now: the first of each account to tell a person of (monotonic)."""
        theirs = {(one.market, one.epoch): one for one in lost if self.covers(one.market)}
        self._since = {key: self._since.get(key, now_ns) for key in theirs}
        late: dict[_Account, LostLease] = {}
        for key, one in theirs.items():
            if now_ns - self._since[key] > _PATIENCE_NS:
                late.setdefault((one.market.venue, one.market.account), one)
        news = [one for account, one in late.items() if account not in self._told]
        self._told = set(late)
        return news
