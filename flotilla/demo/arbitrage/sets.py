"""The three sets of the demo: what each is to show, its legs, and what it may use.

Names and legs belong to the demo's own account, so that no set meets one of an earlier demo.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from desk.identity import MarketId
from flotilla.simulated.arbitrage import event_name, outcome_symbol
from quoting.arbitrage.report import SetKind
from workflows.arbitrage_messages import StartArbitrage

OUTCOMES: Final = 3
_VENUE: Final = "ocx"
_UNITS: Final = Decimal(100)
# The settled payout of an earlier demo's sets never came: their capital stays on record.
_FLEET_CAP: Final = Decimal(1_000_000)


class Scene(StrEnum):
    """What a set is to show; played in this order."""

    WHOLE = "whole"
    MISSED = "missed"
    STALE = "stale"

    @property
    def promise(self) -> str:
        """For people."""
        return _PROMISES[self]


_PROMISES: Final = {
    Scene.WHOLE: "a profitable set is taken",
    Scene.MISSED: "a missed leg is hedged",
    Scene.STALE: "a set with a stale leg is refused",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSet:
    """One outcome set at the simulated OCX, an event for each scene."""

    scene: Scene
    account: str

    @property
    def name(self) -> str:
        """Name of the set."""
        return f"{self.account}-{self.scene.value}"

    @property
    def legs(self) -> tuple[MarketId, ...]:
        """All outcomes of its event."""
        event = event_name(list(Scene).index(self.scene) + 1)
        return tuple(
            MarketId(_VENUE, self.account, outcome_symbol(event, number))
            for number in range(1, OUTCOMES + 1)
        )

    @property
    def cheap(self) -> MarketId:
        """The leg whose crowd gives an edge away."""
        return self.legs[0]

    @property
    def troubled(self) -> MarketId:
        """The leg that vanishes, or whose feed falls silent."""
        return self.legs[-1]

    def start(self) -> StartArbitrage:
        """How it is started: small, with a little room for its legs to be heard at times."""
        return StartArbitrage(
            name=self.name,
            kind=SetKind.OUTCOME_SET,
            legs=tuple(leg.path for leg in self.legs),
            fleet="demo",
            max_units=_UNITS,
            max_capital=_UNITS,
            max_exposure=Decimal(20),
            max_skew_ms=2_000,
        )


def shown_sets(account: str) -> tuple[ShownSet, ...]:
    """All three, in the order in which they are shown."""
    return tuple(ShownSet(scene=scene, account=account) for scene in Scene)


def caps(account: str) -> str:
    """What the demo's account may lock, and account main, as the worker is told."""
    return (
        f"fleet={_FLEET_CAP} USDC, set={10 * _UNITS} USDC, "
        f"account:{_VENUE}/{account}={10 * _UNITS} USDC, account:{_VENUE}/main={10 * _UNITS} USDC"
    )
