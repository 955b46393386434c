"""Prices that belong together: outcomes of one event, and pairs of the same currencies.

However they walk, the outcomes' fair prices add up to 1, and a pair's is the quotient of two.
Figures here steer a crowd; no money is counted in them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from desk.units import NS_PER_S
from venues.simulation.walks import BP, PULL_PER_S

_PARTS = 1_000_000
_INDEX_DIGITS = 10
_ODDS_PER_BP = 20.0
"""How much livelier an outcome's odds are than a price of the same regime."""


class Strides:
    """Seeded strides of several logarithms at once, each drawn back to where it began."""

    def __init__(self, starts: Mapping[str, float], random: Random, sigma: float) -> None:
        self._starts = dict(starts)
        self._random = random
        self._sigma = sigma
        self._last_ns: int | None = None
        self._pushed: dict[str, float] = {}
        self.at = dict(starts)

    def to(self, now_ns: int) -> None:
        """Go on to a wall time; all members move in the same stride, and only once."""
        before, self._last_ns = self._last_ns, max(now_ns, self._last_ns or now_ns)
        if before is None or now_ns <= before:
            return
        elapsed_s = (now_ns - before) / NS_PER_S
        for name, start in self._starts.items():
            here = self.at[name] + self._pushed.pop(name, 0.0)
            here += self._random.gauss(0.0, self._sigma) * math.sqrt(elapsed_s)
            self.at[name] = here + (start - here) * min(1.0, PULL_PER_S * elapsed_s)

    def push(self, name: str, by: float) -> None:
        """Have one member moved with the next stride, so that all are seen to move at once."""
        self._pushed[name] = self._pushed.get(name, 0.0) + by


class OutcomeWalks:
    """The fair prices of all outcomes of one event, by market; they always add up to 1.

    `starts` are the prices at the start; what they leave of 1 belongs to outcomes that are not
    listed. No price falls below `floor`. ValueError where the starts do not leave room for that.
    """

    def __init__(
        self,
        starts: Mapping[str, Decimal],
        random: Random,
        *,
        floor: Decimal,
        volatility_bps: float,
    ) -> None:
        rest = 1 - sum(starts.values())
        low = min((*starts.values(), rest) if rest else starts.values())
        if low <= floor:
            raise ValueError(f"prices of outcomes must all be above {floor} and add up to 1")
        shares = {**starts, **({"": rest} if rest else {})}
        self._floor = float(floor)
        self._room = 1 - self._floor * len(shares)
        self._strides = Strides(
            {
                name: math.log((float(share) - self._floor) / self._room)
                for name, share in shares.items()
            },
            random,
            volatility_bps * BP * _ODDS_PER_BP,
        )
        self._parts: dict[str, int] = {}
        self._share()

    def of(self, symbol: str) -> "OutcomeWalk":
        """The walk of one market."""
        return OutcomeWalk(event=self, symbol=symbol)

    def parts(self, symbol: str) -> int:
        """A market's fair price in millionths."""
        return self._parts[symbol]

    def move(self, now_ns: int, symbol: str, push_bps: float | None) -> None:
        """Go on to a wall time; a push moves one outcome against all others."""
        self._strides.to(now_ns)
        if push_bps is not None:
            self._strides.push(symbol, push_bps * BP * _ODDS_PER_BP)
        self._share()

    def _share(self) -> None:
        weights = {name: math.exp(at) for name, at in self._strides.at.items()}
        total = sum(weights.values())
        self._parts = {
            name: round((self._floor + self._room * weight / total) * _PARTS)
            for name, weight in weights.items()
        }
        # Rounding must not lose a millionth: the likeliest outcome bears it.
        likeliest = max(self._parts, key=lambda name: self._parts[name])
        self._parts[likeliest] += _PARTS - sum(self._parts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeWalk:
    """One outcome's fair price."""

    event: OutcomeWalks
    symbol: str

    @property
    def price(self) -> float:
        """Between 0 and 1."""
        return self.event.parts(self.symbol) / _PARTS

    @property
    def index(self) -> Decimal:
        """The same, exactly."""
        return Decimal(self.event.parts(self.symbol)) / _PARTS

    @property
    def quote_worth(self) -> float:
        """It is the collateral."""
        return 1.0

    def move(self, now_ns: int, elapsed_s: float, push_bps: float | None) -> None:  # noqa: ARG002
        """Go on to a wall time, and with it the whole event."""
        self.event.move(now_ns, self.symbol, push_bps)


class PairWalks:
    """The fair prices of pairs of currencies: each is the quotient of what its two are worth.

    `worth` is what each currency is worth at the start in one of them, whose own is 1 for ever.
    """

    def __init__(
        self, worth: Mapping[str, Decimal], random: Random, *, volatility_bps: float
    ) -> None:
        self._strides = Strides(
            {name: math.log(one) for name, one in worth.items() if one != 1},
            random,
            volatility_bps * BP,
        )

    def of(self, base: str, quote: str) -> "PairWalk":
        """The walk of one pair."""
        return PairWalk(pairs=self, base=base, quote=quote)

    def worth(self, currency: str) -> float:
        """What a currency is worth now."""
        return math.exp(self._strides.at.get(currency, 0.0))

    def move(self, now_ns: int, base: str, push_bps: float | None) -> None:
        """Go on to a wall time; a push moves one currency against all others."""
        self._strides.to(now_ns)
        if push_bps is not None:
            self._strides.push(base, push_bps * BP)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairWalk:
    """One pair's fair price."""

    pairs: PairWalks
    base: str
    quote: str

    @property
    def price(self) -> float:
        """Quote currency."""
        return self.pairs.worth(self.base) / self.pairs.worth(self.quote)

    @property
    def index(self) -> Decimal:
        """The same to ten digits."""
        return Decimal(f"{self.price:.{_INDEX_DIGITS}g}")

    @property
    def quote_worth(self) -> float:
        """What the quote currency is worth now."""
        return self.pairs.worth(self.quote)

    def move(self, now_ns: int, elapsed_s: float, push_bps: float | None) -> None:  # noqa: ARG002
        """Go on to a wall time, and with it every pair."""
        self.pairs.move(now_ns, self.base, push_bps)
