"""Which simulated markets the program offers, and how the simulated venues are set up."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final

from venues.ocx.simulator.counterflow import replayed_market
from venues.ocx.simulator.settings import (
    SeedAccount,
    SimMarket,
    SimulatorSettings,
)

RATE_PER_MINUTE: Final = 60_000
COLLATERAL: Final = Decimal(1_000_000)
SYMBOLS: Final = (
    "BTC-PERP",
    "ETH-PERP",
    "SOL-PERP",
    "XRP-PERP",
    "DOGE-PERP",
    "AVAX-PERP",
    "LINK-PERP",
    "LTC-PERP",
    "ADA-PERP",
    "XAUT-USDC-PERP",
    *(f"SIM{number}-PERP" for number in range(1, 191)),
)
_PRICES: Final = ("60000", "3000", "150", "2.5", "0.25", "35", "20", "90", "0.8", "2600")


def symbols(count: int, replay: Path | None) -> tuple[str, ...]:
    """Names of so many markets; replayed ones do not carry the name of another asset."""
    if replay is None:
        return SYMBOLS[:count]
    return tuple(f"REPLAY{number}-PERP" for number in range(1, count + 1))


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
    price = Decimal(_PRICES[index % len(_PRICES)])
    # One tick is about a fifth of a basis point, one lot about one unit of quote currency.
    tick = Decimal(1).scaleb(price.adjusted() - 5)
    lot = Decimal(1).scaleb(-price.adjusted() - 1)
    return SimMarket(symbol=symbol, price=price, tick=tick, lot=lot, regime=regime)
