"""Margin in the venue's words: amounts in USD that are compared directly (zo.md section 8).

`omf` must exceed `imf` to add risk and `cmf` to keep open orders; `mf` below `mmf` is liquidated.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from venues.simulation.engine import Engine
from venues.zo.simulator.settings import SimMarket

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Margins:
    """All amounts quote currency. `pon` and `pn` are plain notionals: with orders, and without."""

    omf: Decimal
    mf: Decimal
    imf: Decimal
    cmf: Decimal
    mmf: Decimal
    pon: Decimal
    pn: Decimal

    @property
    def bankrupt(self) -> bool:
        """Whether the account owes more than it has."""
        return self.mf < 0

    @property
    def healthy(self) -> bool:
        """Whether open orders may stay."""
        return self.pon == 0 or self.omf > self.cmf


def margins_of(
    engine: Engine,
    account: str,
    market: Callable[[str], SimMarket],
    *,
    gains_back_risk: bool,
) -> Margins:
    """An account's margins now."""
    balance = engine.balance(account)
    figures = dict.fromkeys(("imf", "cmf", "mmf", "pon", "pn"), _ZERO)
    for one in engine.exposures.of(account):
        rules = market(one.symbol)
        figures["imf"] += one.exposed_value * rules.imf
        figures["cmf"] += one.exposed_value * rules.cmf
        figures["mmf"] += one.position_value * rules.mmf
        figures["pon"] += one.exposed_value
        figures["pn"] += one.position_value
    discounted = max(_ZERO, balance.collateral)
    omf = balance.equity if gains_back_risk else min(balance.equity, discounted)
    return Margins(omf=omf, mf=balance.equity, **figures)
