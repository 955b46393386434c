"""Before a session quotes: nothing of older epochs rests, and our books agree with the venue's.

Fills we did not hear are booked from the venue's history; a difference that remains is a break,
and no fill is ever invented to make it go away.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from desk.identity import MarketId
from desk.instrument import Instrument
from desk.orders import Fill
from desk.ports import Clock, LedgerReader, Venue
from desk.records import LedgerFacts
from quoting.clearing import clear
from quoting.reach import fills_in_reach

_TRIES = 4
_OVERLAP_MS = 60_000
_DEEP_OVERLAP_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Where a session starts from. `difference` is empty when books and venue agree.

    Fills traded before `known_since_ms`, or with an id in `known`, are booked already. `fills` are
    those of the venue's history that were compared, booked here or before.
    """

    facts: LedgerFacts
    known_since_ms: int
    known: frozenset[str]
    cleared: bool
    difference: str
    backfilled: int
    fills: tuple[Fill, ...] = ()


async def open_books(
    market: MarketId,
    instrument: Instrument,
    venue: Venue,
    ledger: LedgerReader,
    clock: Clock,
    *,
    life_epoch: int,
    give_up_s: float = 30.0,
    beat: Callable[[], None] = lambda: None,
) -> Opening:
    """Cancel leftovers, book what was missed, compare. Raises what the ports raise."""
    report = await clear(venue, instrument, clock, give_up_s=give_up_s, beat=beat)
    await ledger.remember_instrument(instrument)
    backfilled, difference = 0, ""
    facts = await ledger.facts(market, life_epoch)
    since_ms = overlap_start_ms(facts)
    known: frozenset[str] = frozenset()
    for attempt in range(_TRIES):
        beat()
        fills, since_ms = await fills_in_reach(venue, instrument, since_ms)
        known |= {fill.trade_id for fill in fills}
        backfilled += await ledger.book_fills(market, fills)
        facts = await ledger.facts(market, life_epoch)
        position = await venue.account.position(instrument)
        if position.lots == facts.position:
            difference = ""
            break
        difference = f"ledger has {facts.position} lots, the venue {position.lots}"
        if attempt:
            # A moment did not mend it: what does may be older than our last fill.
            since_ms = min(since_ms, overlap_start_ms(facts, deep=True))
        await asyncio.sleep(0.1 * 2**attempt)
    return Opening(
        facts=facts,
        known_since_ms=since_ms,
        known=known,
        cleared=report.verified,
        difference=difference,
        backfilled=backfilled,
        fills=tuple(fills),
    )


def overlap_start_ms(facts: LedgerFacts, *, deep: bool = False) -> int:
    """From when on to ask the venue for fills: a minute before our last one, or a day."""
    return max(0, (facts.last_trade_ms or 0) - (_DEEP_OVERLAP_MS if deep else _OVERLAP_MS))
