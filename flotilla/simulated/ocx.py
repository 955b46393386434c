"""The simulated OCX: its markets, and an account for each key."""

from collections.abc import Mapping
from pathlib import Path

from flotilla.simulated.markets import COLLATERAL, assets, lot_of, price_of, tick_of
from venues.ocx.simulator.counterflow import replayed_market
from venues.ocx.simulator.settings import (
    SeedAccount,
    SimMarket,
    SimulatorSettings,
)


def symbols(count: int, replay: Path | None) -> tuple[str, ...]:
    """Names of so many markets."""
    return tuple(
        "XAUT-USDC-PERP" if asset == "XAUT" else f"{asset}-PERP" for asset in assets(count, replay)
    )


def ocx_settings(
    *,
    count: int,
    regime: str,
    replay: Path | None,
    keys: Mapping[str, str],
    rate_per_minute: int,
) -> SimulatorSettings:
    """A venue with `count` markets and an account for each key, by name."""
    return SimulatorSettings(
        accounts=tuple(
            SeedAccount(
                name=name,
                api_key_secret=key,
                perps_collateral=COLLATERAL,
                rate_per_minute=rate_per_minute,
            )
            for name, key in keys.items()
        ),
        markets=tuple(
            _market(index, symbol, regime, replay)
            for index, symbol in enumerate(symbols(count, replay))
        ),
    )


def _market(index: int, symbol: str, regime: str, replay: Path | None) -> SimMarket:
    if replay is not None:
        return replayed_market(symbol, replay)
    price = price_of(index)
    return SimMarket(
        symbol=symbol, price=price, tick=tick_of(price), lot=lot_of(price), regime=regime
    )
