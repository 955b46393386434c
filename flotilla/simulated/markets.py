"""Invented markets: the same assets at every simulated venue, each named the venue's own way."""

from decimal import Decimal
from pathlib import Path
from typing import Final

RATE_PER_MINUTE: Final = 60_000
COLLATERAL: Final = Decimal(1_000_000)
ASSETS: Final = (
    "BTC",
    "ETH",
    "SOL",
    "XRP",
    "DOGE",
    "AVAX",
    "LINK",
    "LTC",
    "ADA",
    "XAUT",
    *(f"SIM{number}" for number in range(1, 191)),
)
_PRICES: Final = ("60000", "3000", "150", "2.5", "0.25", "35", "20", "90", "0.8", "2600")


def assets(count: int, replay: Path | None) -> tuple[str, ...]:
    """Names of so many assets; replayed markets do not carry the name of another asset."""
    if replay is None:
        return ASSETS[:count]
    return tuple(f"REPLAY{number}" for number in range(1, count + 1))


def price_of(index: int) -> Decimal:
    """Where the index-th market starts, quote currency."""
    return Decimal(_PRICES[index % len(_PRICES)])


def tick_of(price: Decimal) -> Decimal:
    """About a fifth of a basis point."""
    return Decimal(1).scaleb(price.adjusted() - 5)


def lot_of(price: Decimal) -> Decimal:
    """About one unit of quote currency."""
    return Decimal(1).scaleb(-price.adjusted() - 1)
