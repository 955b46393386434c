"""The simulated X10: its markets, and an account with API key, Stark key and vault for each name.

Orders are signed for the test network's domain, so that none of them could ever be valid live.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from flotilla.simulated.markets import COLLATERAL, assets, lot_of, price_of, tick_of
from venues.x10.signing import public_of
from venues.x10.simulator.counterflow import replayed_market
from venues.x10.simulator.settings import SeedAccount, SimMarket, SimulatorSettings

DOMAIN: Final = "SN_SEPOLIA"
_FIRST_VAULT: Final = 10_001
_LEAST_LOTS: Final = 10


def symbols(count: int, replay: Path | None) -> tuple[str, ...]:
    """Names of so many markets."""
    return tuple(f"{asset}-USD" for asset in assets(count, replay))


def vault_of(place: int) -> int:
    """Position id of the account at this place, counted from zero."""
    return _FIRST_VAULT + place


def x10_settings(
    *,
    count: int,
    regime: str,
    replay: Path | None,
    keys: Mapping[str, tuple[str, str]],
    rate_per_minute: int,
) -> SimulatorSettings:
    """A venue with `count` markets and an account for each (API key, Stark private key)."""
    return SimulatorSettings(
        accounts=tuple(
            SeedAccount(
                name=name,
                api_key=api_key,
                stark_public_key=public_of(int(private_key, 16)),
                vault=vault_of(place),
                collateral=COLLATERAL,
            )
            for place, (name, (api_key, private_key)) in enumerate(keys.items())
        ),
        markets=tuple(
            _market(index, symbol, regime, replay)
            for index, symbol in enumerate(symbols(count, replay))
        ),
        rate_per_minute=rate_per_minute,
    )


def _market(index: int, symbol: str, regime: str, replay: Path | None) -> SimMarket:
    price = price_of(index)
    market = SimMarket(
        symbol=symbol,
        price=price,
        min_price_change=tick_of(price),
        min_order_size_change=lot_of(price),
        min_order_size=lot_of(price) * _LEAST_LOTS,
        regime=regime,
    )
    return market if replay is None else replayed_market(market, replay)
