"""One account is one alarm: told once when it begins and once when it is over."""

from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from activities.margin_watch import MarginWatch
from desk.errors import Unavailable
from desk.identity import MarketId
from desk.orders import Balance
from desk.risk.headroom import HeadroomLimits
from quoting.funds import Funds
from quoting.inbox import FundsSeen

_LIMITS = HeadroomLimits(alarm_above_maintenance=Decimal("0.8"))


@dataclass(slots=True)
class Told:
    """Alerts as they were told; `away` refuses them."""

    texts: list[str] = field(default_factory=list)
    away: bool = False

    async def alert(self, market: MarketId | None, severity: str, text: str) -> None:
        del market
        if self.away:
            raise Unavailable("nobody hears")
        self.texts.append(f"{severity}: {text}")


def required(share: str) -> FundsSeen:
    funds = Balance(equity=Decimal(100), available=Decimal(0), maintenance=100 * Decimal(share))
    return FundsSeen(funds=funds, asked_ns=0)


def watches(funds: Funds, told: Told, *symbols: str) -> list[MarginWatch]:
    return [
        MarginWatch(
            market=MarketId("x10", "main", symbol),
            limits=_LIMITS,
            funds=funds.of("x10", "main"),
            alerts=told,
        )
        for symbol in symbols
    ]


async def test_many_markets_tell_one_beginning_and_one_end() -> None:
    funds, told = Funds(), Told()
    markets = watches(funds, told, "BTC-USD", "ETH-USD", "SOL-USD")
    for share in ("0.5", "0.85", "0.99", "0.75", "0.85", "0.5", "0.6"):
        funds.of("x10", "main").last = required(share)
        for one in markets:
            await one.look()
    first, second = told.texts
    assert first.startswith("critical: x10/main: the venue requires 85% of the equity")
    assert second.startswith("info: x10/main")


async def test_a_later_session_does_not_tell_it_again() -> None:
    funds, told = Funds(), Told()
    funds.of("x10", "main").last = required("0.9")
    for _ in range(3):
        (one,) = watches(funds, told, "BTC-USD")
        await one.look()
    assert len(told.texts) == 1


async def test_what_could_not_be_told_is_told_later() -> None:
    funds, told = Funds(), Told(away=True)
    funds.of("x10", "main").last = required("0.9")
    (one,) = watches(funds, told, "BTC-USD")
    with pytest.raises(Unavailable):
        await one.look()
    told.away = False
    await one.look()
    await one.look()
    assert len(told.texts) == 1


async def test_before_anything_was_read_nothing_is_said() -> None:
    told = Told()
    for one in watches(Funds(), told, "BTC-USD"):
        await one.look()
    assert told.texts == []
