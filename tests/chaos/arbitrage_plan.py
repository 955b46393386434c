"""What happens to the sets of one batch, drawn from a seed: books, trades, faults and strikes.

One run is one set. A number's plan depends on the seed and the number of its batch alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Any, Final

from quoting.arbitrage.report import SetKind
from tests.chaos.arbitrage_books import Books, outcome_books, shares, triangle_books

BULK: Final = "/perps/quotes/bulk"
WAVES: Final = 3
_TWINS: Final = 0.2
_TRIANGLES: Final = 0.15
_SECOND_FAULT: Final = 0.25


class Strike(StrEnum):
    """What befalls all sets of a batch at once, in the middle of a wave of trades."""

    NONE = "none"
    WORKER = "a worker is killed"
    WORKERS = "all workers are killed"
    FLUSHED = "redis is flushed"
    VALKEY = "valkey is killed"
    TEMPORAL = "temporal is killed"
    TEMPORAL_AWAY = "temporal is away"
    TEMPORAL_AND_WORKER = "temporal is away and a worker is killed"
    POSTGRES_AWAY = "postgres is away"
    FLUSHED_AND_WORKER = "redis is flushed and a worker is killed"
    SILENT = "the account stream is silent"


_WEIGHTS: Final = {
    Strike.NONE: 5,
    Strike.WORKER: 4,
    Strike.WORKERS: 2,
    Strike.FLUSHED: 3,
    Strike.VALKEY: 1,
    Strike.TEMPORAL: 2,
    Strike.TEMPORAL_AWAY: 2,
    Strike.TEMPORAL_AND_WORKER: 2,
    Strike.POSTGRES_AWAY: 1,
    Strike.FLUSHED_AND_WORKER: 1,
    Strike.SILENT: 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """An order that is kept on the line for so long, or lost there."""

    symbol: str
    seconds: float
    lost: bool = False
    skip: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What is armed before a trade. `killed_s`: a kill is told so long after it fired.

    `closed`: a market without anything to complete from while the trade lasts. `refused_s`: for so
    long the venue refuses every way out.
    """

    name: str
    faults: tuple[dict[str, Any], ...] = ()
    keeps: tuple[Keep, ...] = ()
    killed_s: float | None = None
    closed: str | None = None
    refused_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """An edge that is shown `after_s` into a wave, for `open_s`, in `lots` of each leg."""

    after_s: float
    open_s: float
    lots: tuple[int, ...]
    troubles: tuple[Trouble, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """All trades of a batch at about the same time, and the strike among them.

    `after_s` counts from the first order taken, `for_s` is how long it lasts.
    """

    strike: Strike
    after_s: float
    for_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Books, the trades they offer (one for each wave), and the runs that watch them.

    Two runs are sets of two accounts that see the same sizes. `settles`: it is decided in the end.
    """

    books: Books
    trades: tuple[Trade, ...]
    runs: tuple[int, ...]
    settles: bool
    max_units: int
    rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """All that happens on one ground."""

    number: int
    seed: str
    events: tuple[Event, ...]
    waves: tuple[Wave, ...]


def batch_of(seed: int, number: int, first: int, runs: int) -> Batch:
    """The batch whose runs are numbered from `first` on."""
    name = f"{seed}/{number}"
    rng = Random(name)
    events: list[Event] = []
    given = 0
    while given < runs:
        twins = runs - given > 1 and rng.random() < _TWINS
        numbers = tuple(range(first + given, first + given + 1 + twins))
        events.append(_event(rng, f"{len(events) + 1}", numbers))
        given += len(numbers)
    waves = tuple(_wave(rng) for _ in range(WAVES))
    return Batch(number=number, seed=name, events=tuple(events), waves=waves)


def _event(rng: Random, name: str, runs: tuple[int, ...]) -> Event:
    if len(runs) == 1 and rng.random() < _TRIANGLES:
        books = triangle_books(f"COIN{name}", rng=rng)
    else:
        legs = rng.choice((2, 3, 3, 3, 4, 5))
        least = rng.choice((1, 1, 1, 4))
        books = outcome_books(f"EVENT{name}", shares(rng, legs), rng=rng, min_lots=least)
    return Event(
        books=books,
        trades=tuple(_trade(rng, books, len(runs)) for _ in range(WAVES)),
        runs=runs,
        settles=books.kind is SetKind.OUTCOME_SET and rng.random() < 0.5,
        max_units=_units(rng, books),
        rounds=rng.choice((2, 4, 6)),
    )


def _units(rng: Random, books: Books) -> int:
    return rng.randint(8, 30) if books.kind is SetKind.OUTCOME_SET else rng.randint(60, 400)


def _wave(rng: Random) -> Wave:
    (strike,) = rng.choices(tuple(_WEIGHTS), weights=tuple(_WEIGHTS.values()))
    return Wave(strike=strike, after_s=rng.uniform(0, 1.2), for_s=rng.uniform(3, 9))


def _trade(rng: Random, books: Books, sets: int) -> Trade:
    scale = rng.randint(1, sets) if books.kind is SetKind.OUTCOME_SET else 20
    names = [rng.choice(tuple(TROUBLES))]
    if names[0] != "none" and rng.random() < _SECOND_FAULT:
        names.append(rng.choice(tuple(TROUBLES)))
    return Trade(
        after_s=rng.uniform(0, 1.5),
        open_s=rng.uniform(0.8, 3.0),
        lots=tuple(scale * rng.randint(6, 40) for _ in books.legs),
        troubles=tuple(
            Trouble(name=name, **TROUBLES[name](rng, books.symbols))
            for name in dict.fromkeys(names)
        ),
    )


# --- troubles --------------------------------------------------------------------------------

Drawn = dict[str, Any]


def _none(_rng: Random, _legs: Sequence[str]) -> Drawn:
    return {}


def _vanishes(rng: Random, legs: Sequence[str]) -> Drawn:
    return {"faults": (_gone(rng.choice(legs)),)}


def _in_part(rng: Random, legs: Sequence[str]) -> Drawn:
    some = rng.sample(legs, rng.choice((1, 1, 2)))
    return {"faults": tuple(_part(rng, leg) for leg in some)}


def _late_answer(rng: Random, legs: Sequence[str]) -> Drawn:
    return {"faults": (_bulk("slow_response", rng.choice(legs), delay_s=rng.uniform(0.2, 3)),)}


def _time_out(rng: Random, legs: Sequence[str]) -> Drawn:
    """Longer than the adapter waits."""
    return {"faults": (_bulk("slow_response", rng.choice(legs), delay_s=rng.uniform(5.5, 9)),)}


def _answer_lost(rng: Random, legs: Sequence[str]) -> Drawn:
    kind = rng.choice(("response_lost", "error_after", "truncated_body", "not_json"))
    return {"faults": (_bulk(kind, rng.choice(legs)),)}


def _order_lost(rng: Random, legs: Sequence[str]) -> Drawn:
    leg = rng.choice(legs)
    if rng.random() < 0.5:
        return {"faults": (_bulk("request_lost", leg),)}
    return {"keeps": (Keep(symbol=leg, seconds=0, lost=True),)}


def _order_late(rng: Random, legs: Sequence[str]) -> Drawn:
    """It arrives after it was given up, cancelled and perhaps hedged."""
    return {"keeps": (Keep(symbol=rng.choice(legs), seconds=rng.uniform(0.3, 9)),)}


def _orders_late(rng: Random, legs: Sequence[str]) -> Drawn:
    """All but one: whoever dies now dies after one leg."""
    first = rng.choice(legs)
    seconds = rng.uniform(0.5, 6)
    return {"keeps": tuple(Keep(symbol=leg, seconds=seconds) for leg in legs if leg != first)}


def _untold(rng: Random, legs: Sequence[str]) -> Drawn:
    return {"faults": ({"kind": "fill_untold", "market": rng.choice(legs)},)}


def _hedge_refused(rng: Random, legs: Sequence[str]) -> Drawn:
    refused_s = rng.uniform(2, 10)
    refused = (_bulk("margin_reject", leg, skip=1, count=None, for_s=refused_s) for leg in legs)
    return {"faults": (_gone(rng.choice(legs)), *refused), "refused_s": refused_s}


def _hedge_vanishes(rng: Random, legs: Sequence[str]) -> Drawn:
    thin = (_gone(leg, skip=1, count=rng.randint(1, 2)) for leg in legs)
    return {"faults": (_part(rng, rng.choice(legs)), *thin)}


def _hedge_lost(rng: Random, legs: Sequence[str]) -> Drawn:
    kind = rng.choice(("response_lost", "request_lost", "error_after"))
    lost = (_bulk(kind, leg, skip=1) for leg in legs)
    return {"faults": (_gone(rng.choice(legs)), *lost)}


def _hedge_late(rng: Random, legs: Sequence[str]) -> Drawn:
    seconds = rng.uniform(0.5, 8)
    late = tuple(Keep(symbol=leg, seconds=seconds, skip=1) for leg in legs)
    return {"faults": (_part(rng, rng.choice(legs)),), "keeps": late}


def _hedge_limited(rng: Random, legs: Sequence[str]) -> Drawn:
    limited = (_bulk("rate_limited", leg, skip=1, count=2, delay_s=1.0) for leg in legs)
    return {"faults": (_gone(rng.choice(legs)), *limited)}


def _no_way(rng: Random, legs: Sequence[str]) -> Drawn:
    leg = rng.choice(legs)
    return {"faults": (_gone(leg),), "closed": leg}


def _killed(rng: Random, legs: Sequence[str]) -> Drawn:
    drawn = _vanishes(rng, legs) if rng.random() < 0.5 else _in_part(rng, legs)
    return {**drawn, "killed_s": rng.uniform(0, 0.6)}


TROUBLES: Final[dict[str, Callable[[Random, Sequence[str]], Drawn]]] = {
    "none": _none,
    "a leg vanishes": _vanishes,
    "partial fills": _in_part,
    "late answer": _late_answer,
    "time-out": _time_out,
    "answer lost": _answer_lost,
    "order lost": _order_lost,
    "order late": _order_late,
    "all but one late": _orders_late,
    "fill untold": _untold,
    "hedge refused": _hedge_refused,
    "hedge vanishes": _hedge_vanishes,
    "hedge lost": _hedge_lost,
    "hedge late": _hedge_late,
    "hedge rate-limited": _hedge_limited,
    "nothing to complete from": _no_way,
    "killed": _killed,
}


def _bulk(kind: str, market: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "path": BULK, "market": market, **more}


def _gone(market: str, **more: Any) -> dict[str, Any]:
    return {"kind": "leg_vanishes", "market": market, **more}


def _part(rng: Random, market: str) -> dict[str, Any]:
    return {
        "kind": "leg_fills_in_part",
        "market": market,
        "fraction": round(rng.uniform(0.1, 0.9), 2),
    }
