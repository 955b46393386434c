"""Claims as they stood while trades ran: looked at again and again, and held against their bounds.

What is seen too short to be looked at is not judged here; the record of what was fired is.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from desk.arbitrage_ports import ClaimPort, ClaimStage, StandingClaim
from desk.arbitrage_records import TradeKey
from desk.errors import Unavailable
from desk.units import Side

_LOOK_S: Final = 0.1


@dataclass(slots=True, kw_only=True)
class SeenClaims:
    """Every claim that was seen with its sizes, and what was more than it may be.

    Caps are quote currency, of each account and of each set.
    """

    account_cap: Decimal
    set_cap: Decimal
    by_key: dict[TradeKey, StandingClaim] = field(default_factory=dict)
    breaches: list[str] = field(default_factory=list)
    looks: int = 0

    async def watch(self, claims: ClaimPort) -> None:
        """Look until cancelled; while Redis is away nothing is seen."""
        while True:
            with suppress(Unavailable):
                self.judge(await claims.open())
            await asyncio.sleep(_LOOK_S)

    def judge(self, standing: Sequence[StandingClaim]) -> None:
        """Take one look."""
        self.looks += 1
        found = list(standing)
        for one in found:
            if one.sizes:
                self.by_key[one.key] = one
        self.breaches += [*_sizes(found), *self._capital(found)]

    def _capital(self, standing: list[StandingClaim]) -> list[str]:
        held: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for one in standing:
            for part in one.capital:
                held[f"{part.venue}/{part.account}", part.quote] += part.amount
                held[f"set {one.key.set_name}", part.quote] += part.amount
        return [
            f"{place} holds {amount} {quote}"
            for (place, quote), amount in held.items()
            if amount > (self.set_cap if place.startswith("set ") else self.account_cap)
        ]


def _sizes(standing: list[StandingClaim]) -> list[str]:
    claimed: defaultdict[tuple[str, Side], int] = defaultdict(int)
    shown: defaultdict[tuple[str, Side], int] = defaultdict(int)
    for one in standing:
        if one.stage is not ClaimStage.ALIVE:
            continue
        for size in one.sizes:
            place = (size.market.symbol, size.side)
            claimed[place] += size.lots
            shown[place] = max(shown[place], size.shown)
    return [
        f"{lots} lots of {symbol} are claimed together, {shown[symbol, side]} were shown"
        for (symbol, side), lots in claimed.items()
        if lots > shown[symbol, side]
    ]
