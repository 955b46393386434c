"""What the crowd shows in the markets of one set, in ticks: a price worth taking, and worse ones.

Nothing moves by itself, so that a script decides what every leg meets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import Any, Final

from desk.instrument import Settlement
from desk.units import Side
from quoting.arbitrage.report import SetKind
from venues.ocx.simulator.settings import FlowKind, SimMarket

TICK: Final = Decimal("0.001")
WHOLE: Final = 1_000
"""Ticks that all outcomes of an event are worth together."""
DEEP_LOTS: Final = 5_000
FIRST: Final = Decimal(60)
SECOND: Final = Decimal(6)
"""What the two currencies of each triangle are worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One market's book. `edge` is the price that is too good, `side` whose trade takes it.

    Whoever is left without it completes at `deep` and trades back at `back`.
    """

    market: SimMarket
    side: Side
    edge: int
    deep: int
    back: int

    @property
    def symbol(self) -> str:
        """At the venue."""
        return self.market.symbol

    def quiet(self, lots: int = DEEP_LOTS) -> list[dict[str, str]]:
        """Levels of a book that gives nothing away."""
        taken = self.side.opposite
        return [
            self._level(taken, self.edge, 0),
            self._level(taken, self.deep, lots),
            self._level(taken.opposite, self.back, lots),
        ]

    def worth_taking(self, lots: int) -> list[dict[str, str]]:
        """The level that makes the edge."""
        return [self._level(self.side.opposite, self.edge, lots)]

    def far(self, more: int) -> list[dict[str, str]]:
        """The level to trade back at, with some lots more: a change that changes nothing."""
        return [self._level(self.side, self.back, DEEP_LOTS + more % 10)]

    def without_way(self, *, on: bool) -> list[dict[str, str]]:
        """Take away what could complete this leg, or put it back."""
        return [self._level(self.side.opposite, self.deep, 0 if on else DEEP_LOTS)]

    def _level(self, side: Side, ticks: int, lots: int) -> dict[str, str]:
        return {
            "side": side.value,
            "price": f"{self.market.tick * ticks:f}",
            "quantity": f"{self.market.lot * lots:f}",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The legs of one set, in the order they are given to it."""

    name: str
    kind: SetKind
    legs: tuple[Shown, ...]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Of all legs."""
        return tuple(leg.symbol for leg in self.legs)

    @property
    def worth(self) -> dict[str, Decimal]:
        """What a unit of each currency is about worth."""
        if self.kind is SetKind.OUTCOME_SET:
            return {"USDC": Decimal(1)}
        first, second, _ = self.legs
        names = (first.market.currencies[0], second.market.currencies[0])
        return {"USDC": Decimal(1), names[0]: FIRST, names[1]: SECOND}


def outcome_books(
    event: str, fair: Sequence[int], *, rng: Random | None = None, min_lots: int = 1
) -> Books:
    """An event whose outcomes are thought to be worth `fair` ticks, together a whole."""
    assert sum(fair) == WHOLE
    legs = []
    for number, ticks in enumerate(fair, start=1):
        cut, up, down = (12, 20, 24) if rng is None else _gaps(rng)
        legs.append(
            Shown(
                market=SimMarket(
                    symbol=f"{event}-OUT{number}",
                    price=TICK * ticks,
                    tick=TICK,
                    lot=Decimal(1),
                    min_lots=min_lots,
                    flow=FlowKind.NONE,
                    settlement=Settlement(event=event, outcome=f"OUT{number}", outcomes=len(fair)),
                ),
                side=Side.BUY,
                edge=ticks - cut,
                deep=min(ticks + up, WHOLE - 1),
                back=max(1, ticks - down),
            )
        )
    return Books(name=event, kind=SetKind.OUTCOME_SET, legs=tuple(legs))


def triangle_books(name: str, *, rng: Random | None = None) -> Books:
    """Two currencies of its own against USDC and each other, cheaper one way round."""
    one, two = f"{name}A", f"{name}B"
    pairs = (
        (f"{one}-USDC-SPOT", FIRST, Decimal("0.001"), Decimal("0.01"), "USDC"),
        (f"{two}-USDC-SPOT", SECOND, Decimal("0.0001"), Decimal("0.1"), "USDC"),
        (f"{two}-{one}-SPOT", SECOND / FIRST, Decimal("0.000001"), Decimal("0.1"), one),
    )
    forth = rng is None or rng.random() < 0.5
    # USDC buys the first, that buys the second, which is sold for USDC; or the other way round.
    sides = (Side.BUY, Side.SELL, Side.BUY) if forth else (Side.SELL, Side.BUY, Side.SELL)
    legs = []
    for (symbol, price, tick, lot, quote), side in zip(pairs, sides, strict=True):
        cut, up, down = (80, 30, 110) if rng is None else _gaps(rng, scale=6)
        fair = int(price / tick)
        market = SimMarket(
            symbol=symbol,
            price=price,
            tick=tick,
            lot=lot,
            quote=quote,
            flow=FlowKind.NONE,
            spot=True,
        )
        legs.append(
            Shown(
                market=market,
                side=side,
                edge=fair - side.sign * fair * cut // 10_000,
                deep=fair + side.sign * fair * up // 10_000,
                back=fair - side.sign * fair * down // 10_000,
            )
        )
    return Books(name=name, kind=SetKind.TRIANGLE, legs=tuple(legs))


def shares(rng: Random, legs: int) -> tuple[int, ...]:
    """Fair ticks of so many outcomes, none too small for the gaps around it."""
    least = 90
    cuts = sorted(rng.randrange(WHOLE - legs * least + 1) for _ in range(legs - 1))
    edges = [0, *cuts, WHOLE - legs * least]
    return tuple(least + high - low for low, high in pairwise(edges))


def levels(shown: Shown, given: Sequence[dict[str, str]]) -> dict[str, Any]:
    """The lever's body."""
    return {"marketId": shown.symbol, "levels": list(given)}


def _gaps(rng: Random, scale: int = 1) -> tuple[int, int, int]:
    """How far the edge lies below what is fair, what completes above, and what unwinds below."""
    cut = rng.randint(10, 18)
    # Where completing is dear, trading back is the way.
    up = rng.randint(4, 30) if rng.random() < 0.7 else rng.randint(60, 80)
    return cut * scale, up * scale, (cut + rng.randint(4, 30)) * scale
