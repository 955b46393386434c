"""A market is found at its venue, or its absence is told in the sentence that helps."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from activities.listing import chosen, listed, traded
from desk.errors import ConfigurationFault
from desk.identity import MarketId
from desk.instrument import Instrument
from tests.quoting.builders import INSTRUMENT

BTC = replace(INSTRUMENT, symbol="BTC-PERP")
ETH = replace(INSTRUMENT, symbol="ETH-PERP", active=False)
SOL = MarketId("ocx", "main", "SOL-PERP")


def at(instrument: Instrument) -> MarketId:
    return MarketId("ocx", "main", instrument.symbol)


@dataclass
class Venues:
    """One account, which is its own directory; it lists when `open` is set."""

    open: asyncio.Event = field(default_factory=asyncio.Event)
    settings: bool = True

    async def venue(self, name: str, account: str) -> Any:
        if not self.settings:
            raise ConfigurationFault(f"base_url: {name}/{account} is not set")
        return self

    async def instruments(self) -> Sequence[Instrument]:
        await self.open.wait()
        return (ETH, BTC)


@pytest.fixture
def venues() -> Any:
    made = Venues()
    made.open.set()
    return made


async def test_a_listed_market_is_found_also_while_it_is_halted(venues: Any) -> None:
    assert await listed(venues, at(BTC)) == (venues, BTC)
    assert await chosen(venues, at(ETH)) == (venues, ETH)


async def test_a_market_that_is_gone_is_told_apart_from_a_name_that_was_mistyped(
    venues: Any,
) -> None:
    with pytest.raises(ConfigurationFault) as gone:
        await listed(venues, SOL)
    assert str(gone.value) == "symbol: ocx lists no market SOL-PERP any more"
    with pytest.raises(ConfigurationFault) as mistyped:
        await chosen(venues, SOL)
    assert str(mistyped.value) == (
        "symbol: ocx has no market SOL-PERP; choose one of BTC-PERP, ETH-PERP"
    )


async def test_only_what_may_trade_is_traded(venues: Any) -> None:
    assert await traded(venues, at(BTC)) == (venues, BTC)
    assert await traded(venues, at(ETH)) is None
    assert await traded(venues, SOL) is None
    venues.settings = False
    with pytest.raises(ConfigurationFault, match="base_url: ocx/main is not set"):
        await traded(venues, at(BTC))


async def test_a_list_that_does_not_come_is_given_up() -> None:
    with pytest.raises(TimeoutError):
        await listed(Venues(), at(BTC), within_s=0.01)
