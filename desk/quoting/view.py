"""What the quote model may look at: a moment of the market and our holding, nothing else."""

from dataclasses import dataclass
from decimal import Decimal

from desk.units import Lots, Ticks


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """What others show near their best prices, our own lots taken out.

    `…_levels` are prices where somebody else rests, counted as far as a style looks; `…_lots` is
    what rests at the best of them.
    """

    bid_levels: int
    ask_levels: int
    bid_lots: Lots
    ask_lots: Lots


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One moment of one market.

    `best_bid` and `best_ask` are the market's, `best_bid < best_ask`; new quotes stay inside them
    so as never to take. `mid_x2` is the mid in half ticks, above zero. The venue's book contains
    our own orders: where we can be the best of it, take the mid from `Book.best_of_others`, or
    quotes follow their own skew. `inventory` is signed, long above zero. `sigma_bps` is the
    standard deviation of one-minute returns, None while it is not known; `depth` None where the
    style does not ask for it.
    """

    best_bid: Ticks
    best_ask: Ticks
    mid_x2: int
    inventory: Lots
    sigma_bps: Decimal | None = None
    depth: Depth | None = None
