"""The simulated 01.xyz: its markets, and an account for the wallet behind each key."""

from collections.abc import Mapping
from pathlib import Path

from flotilla.simulated.markets import COLLATERAL, assets, price_of
from venues._transport.secret import Secret
from venues.zo.signing import address_of, seed_of
from venues.zo.simulator.counterflow import replayed_market
from venues.zo.simulator.settings import SeedAccount, SimMarket, SimulatorSettings


def symbols(count: int, replay: Path | None) -> tuple[str, ...]:
    """Names of so many markets."""
    return tuple(f"{asset}USD" for asset in assets(count, replay))


def zo_settings(
    *, count: int, regime: str, replay: Path | None, keys: Mapping[str, str]
) -> SimulatorSettings:
    """A venue with `count` markets and an account for each wallet key, by name."""
    return SimulatorSettings(
        accounts=tuple(
            SeedAccount(
                name=name,
                wallet=address_of(seed_of("--key-file", Secret(key)).public),
                collateral=COLLATERAL,
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
        symbol=symbol,
        price=price,
        # The grids of `tick_of` and `lot_of`, as this venue writes them.
        price_decimals=5 - price.adjusted(),
        size_decimals=max(0, price.adjusted() + 1),
        regime=regime,
    )
