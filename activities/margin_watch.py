"""Calls a person when an account comes near what its margin can carry: once, and once when over.

The rule: many markets of one account in one process are one alarm.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from desk.errors import Unavailable
from desk.identity import MarketId
from desk.ports import AlertPort
from desk.risk.headroom import HeadroomLimits, alarm
from quoting.funds import AccountFunds

_LOOK_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginWatch:
    """Looks at the funds that a session reads anyway."""

    market: MarketId
    limits: HeadroomLimits
    funds: AccountFunds
    alerts: AlertPort

    async def run(self) -> None:
        """Watch until cancelled; what could not be told is told at a later look."""
        while True:
            await asyncio.sleep(_LOOK_S)
            with suppress(Unavailable):
                await self.look()

    async def look(self) -> None:
        """One look. Raises Unavailable."""
        if self.funds.last is None:
            return
        was = self.limits in self.funds.sounding
        why = alarm(self.funds.last.funds, self.limits, sounding=was)
        if bool(why) == was:
            return
        name = f"{self.market.venue}/{self.market.account}"
        # Noted before it is told, so that no other market of the account tells it as well.
        self.funds.sounding ^= {self.limits}
        try:
            if why:
                await self.alerts.alert(None, "critical", f"{name}: {why}")
            else:
                await self.alerts.alert(None, "info", f"{name}: its margin is out of danger again")
        except BaseException:
            self.funds.sounding ^= {self.limits}
            raise
