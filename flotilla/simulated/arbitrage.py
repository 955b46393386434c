"""Markets of the simulated OCX that belong together: outcomes of events, and three spot pairs."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final

from desk.instrument import Settlement
from flotilla.simulated.markets import lot_of, tick_of
from venues.ocx.simulator.settings import SeedAccount, SimMarket, SimulatorSettings

OUTCOME_TICK: Final = Decimal("0.001")
SPOT_ASSETS: Final[Mapping[str, Decimal]] = {
    "USDC": Decimal(500_000),
    "BTC": Decimal(10),
    "ETH": Decimal(200),
}
"""What each account owns at the start, so that any leg of a triangle can go first."""

_BTC: Final = Decimal(60_000)
_ETH: Final = Decimal(3_000)


def event_name(number: int) -> str:
    """Name of an invented event, counted from one."""
    return f"EVENT{number}"


def outcome_symbol(event: str, number: int) -> str:
    """Market of an event's outcome, counted from one."""
    return f"{event}-OUT{number}"


def outcome_set(event: str, outcomes: int, *, regime: str = "calm") -> tuple[SimMarket, ...]:
    """All outcomes of an event, the first the likeliest; their prices add up to 1.

    ValueError for fewer than two.
    """
    if outcomes < 2:
        raise ValueError(f"{event}: {outcomes} outcomes are no set; give two or more")
    return tuple(
        SimMarket(
            symbol=outcome_symbol(event, number),
            price=price,
            tick=OUTCOME_TICK,
            lot=Decimal(1),
            regime=regime,
            settlement=Settlement(event=event, outcome=f"OUT{number}", outcomes=outcomes),
        )
        for number, price in enumerate(_fair(outcomes), start=1)
    )


def triangle(*, regime: str = "calm") -> tuple[SimMarket, ...]:
    """BTC and ETH against USDC and against each other, at prices that fit."""
    cross = _ETH / _BTC
    return (
        _pair("BTC-USDC-SPOT", _BTC, lot=lot_of(_BTC), regime=regime),
        _pair("ETH-USDC-SPOT", _ETH, lot=lot_of(_ETH), regime=regime),
        replace(_pair("ETH-BTC-SPOT", cross, lot=lot_of(_ETH), regime=regime), quote="BTC"),
    )


def with_arbitrage(
    settings: SimulatorSettings, *, events: int, outcomes: int, pairs: bool, regime: str = "calm"
) -> SimulatorSettings:
    """The same venue with so many events more, and with three spot pairs and assets to trade."""
    markets = [*settings.markets]
    for number in range(1, events + 1):
        markets += outcome_set(event_name(number), outcomes, regime=regime)
    accounts = settings.accounts
    if pairs:
        markets += triangle(regime=regime)
        accounts = tuple(_endowed(account) for account in accounts)
    return replace(settings, markets=tuple(markets), accounts=accounts)


def _fair(outcomes: int) -> tuple[Decimal, ...]:
    """Prices in ticks that fall evenly; what rounding leaves over goes to the first."""
    whole = int(1 / OUTCOME_TICK)
    weights = [2 * outcomes - place for place in range(outcomes)]
    ticks = [whole * weight // sum(weights) for weight in weights]
    ticks[0] += whole - sum(ticks)
    return tuple(OUTCOME_TICK * count for count in ticks)


def _pair(symbol: str, price: Decimal, *, lot: Decimal, regime: str) -> SimMarket:
    return SimMarket(
        symbol=symbol, price=price, tick=tick_of(price), lot=lot, regime=regime, spot=True
    )


def _endowed(account: SeedAccount) -> SeedAccount:
    return replace(account, spot=SPOT_ASSETS)
