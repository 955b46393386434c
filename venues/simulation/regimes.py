"""Characters of an invented market: how its price moves, how deep it is, how often it is hit."""

from dataclasses import dataclass
from enum import StrEnum


class Regime(StrEnum):
    """The characters there are."""

    CALM = "calm"
    TRENDING = "trending"
    JUMP = "jump"
    ILLIQUID = "illiquid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """Figures of one regime; they steer random draws only, never money.

    Volatility is basis points per square root of a second, trend basis points per second with a
    direction that turns after `trend_s` on average. Distances are basis points of the price,
    notionals quote currency, rates per second.
    """

    volatility_bps: float = 1.0
    trend_bps: float = 0.0
    trend_s: float = 60.0
    jumps_per_s: float = 0.0
    jump_bps: float = 0.0
    half_spread_bps: float = 3.0
    spacing_bps: float = 1.5
    levels: int = 12
    level_notional: float = 8_000.0
    aggressors_per_s: float = 2.0
    aggressor_notional: float = 4_000.0
    informed_per_s: float = 1.0


TRAITS: dict[Regime, Traits] = {
    Regime.CALM: Traits(),
    Regime.TRENDING: Traits(volatility_bps=1.5, trend_bps=2.0, half_spread_bps=4.0),
    Regime.JUMP: Traits(
        volatility_bps=1.5, jumps_per_s=0.05, jump_bps=40.0, half_spread_bps=5.0, informed_per_s=4.0
    ),
    Regime.ILLIQUID: Traits(
        volatility_bps=2.0,
        half_spread_bps=15.0,
        spacing_bps=8.0,
        levels=6,
        level_notional=2_000.0,
        aggressors_per_s=0.4,
        aggressor_notional=1_500.0,
        informed_per_s=0.5,
    ),
}
