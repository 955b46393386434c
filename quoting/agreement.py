"""The last look at a market: what the venue lists, what our books say, and whether they agree."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from desk.identity import MarketId
from desk.instrument import Instrument
from desk.orders import Fill
from desk.ports import LedgerReader, Venue
from desk.records import LedgerFacts
from quoting.reach import fills_in_reach

_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class StandDownReport:
    """What was verified. Positions are signed lots.

    Fills count the market's whole history, as far back as the venue lists it.
    """

    venue_open_orders: int
    venue_position: int
    ledger_position: int
    venue_fills: int
    ledger_fills: int
    ledger_equals_venue: bool
    difference: str
    pnl: Decimal | None = None


async def agree(
    market: MarketId,
    instrument: Instrument,
    venue: Venue,
    ledger: LedgerReader,
    *,
    life_epoch: int,
    beat: Callable[[], None],
    booked: Callable[[Sequence[Fill]], object] = lambda _: None,
) -> StandDownReport:
    """Book what is missing from the venue's history, then compare fill by fill.

    The history is read whole, so that the first fill is checked as well as the last; where the
    venue lists less, what it lists. `booked` is given it where something was missing.
    """
    since_ms = 0
    for attempt in range(_TRIES):
        beat()
        history, since_ms = await fills_in_reach(venue, instrument, since_ms)
        if await ledger.book_fills(market, history):
            booked(history)
        report = await look(
            market, instrument, venue, ledger, life_epoch=life_epoch, since_ms=since_ms
        )
        if report.ledger_equals_venue:
            return report
        await asyncio.sleep(0.2 * 2**attempt)
    return report


async def look(
    market: MarketId,
    instrument: Instrument,
    venue: Venue,
    ledger: LedgerReader,
    *,
    life_epoch: int,
    since_ms: int = 0,
) -> StandDownReport:
    """Compare fill by fill since a time, and lot by lot; reads only."""
    theirs, since_ms = await fills_in_reach(venue, instrument, since_ms)
    ours = await ledger.fills(market, since_ms)
    facts = await ledger.facts(market, life_epoch)
    position = await venue.account.position(instrument)
    difference = _difference(theirs, ours, facts, position.lots)
    return StandDownReport(
        venue_open_orders=len(await venue.account.open_orders(instrument)),
        venue_position=position.lots,
        ledger_position=facts.position,
        venue_fills=len(theirs),
        ledger_fills=len(ours) if since_ms else facts.fills,
        ledger_equals_venue=not difference,
        difference=difference,
        pnl=facts.cash - facts.fees + facts.funding if facts.position == 0 else None,
    )


def _difference(
    theirs: Sequence[Fill], ours: Sequence[Fill], facts: LedgerFacts, venue_position: int
) -> str:
    found = []
    if facts.position != venue_position:
        found.append(f"position: ledger {facts.position}, venue {venue_position} lots")
    venue_ids, ledger_ids = {fill.trade_id for fill in theirs}, {fill.trade_id for fill in ours}
    if venue_ids != ledger_ids:
        found.append(
            f"fills: {len(venue_ids - ledger_ids)} only at the venue, "
            f"{len(ledger_ids - venue_ids)} only in the ledger"
        )
    venue_fees, ledger_fees = _fees(theirs), _fees(ours)
    if venue_fees != ledger_fees:
        found.append(f"fees: ledger {ledger_fees}, venue {venue_fees}")
    return "; ".join(found)


def _fees(fills: Sequence[Fill]) -> Decimal:
    return sum((fill.fee for fill in fills), Decimal(0))
