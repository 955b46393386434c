"""What it costs to take the venue's word: the adjustment that makes our books say the same.

The one rule: both sides are read anew, twice, and a price nobody knows is asked for, not made up.
"""

import asyncio
import json
from decimal import Decimal

from activities.breaks_messages import SettleBreakInput
from activities.listing import listed
from activities.ports import ActivityPorts
from activities.reconciliation_messages import ReconcileInput, ReconcileKind
from activities.reconciliation_money import Money, MoneySeen, allowed_of, anchor_of
from activities.reconciliation_payments import book_payments
from desk.book_ports import Adjustment
from desk.breaks import Break, BreakKind
from desk.errors import ConfigurationFault, VenueError
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.ports import Venue
from desk.reconciliation import Anchor, authoritative, positions_apart, quantities
from desk.units import NS_PER_MS
from quoting.hedge import read_books
from quoting.taking import read_book


class CannotSettle(Exception):
    """Why a decision books nothing and settles nothing, in one sentence with the remedy."""


async def adjustment_of(
    ports: ActivityPorts, known: Break, request: SettleBreakInput
) -> Adjustment | None:
    """What taking the venue's word books; None when nothing differs, or nothing can be booked.

    Raises CannotSettle, and what the ports raise.
    """
    kind, symbol = known.found.kind, known.found.symbol
    if kind is BreakKind.BALANCE:
        return await _balance(ports, known, request)
    if kind is BreakKind.POSITION and symbol is not None:
        market = MarketId(known.found.venue, known.found.account, symbol)
        return await _position(ports, market, request)
    return None


async def _position(
    ports: ActivityPorts, market: MarketId, request: SettleBreakInput
) -> Adjustment | None:
    try:
        venue, instrument = await listed(ports.venues, market)
    except ConfigurationFault as fault:
        return await _delisted(ports, market, request, fault)
    lots = await _difference(ports, market, venue, instrument)
    await asyncio.sleep(venue.capabilities.settling_ms / 1_000)
    if lots != await _difference(ports, market, venue, instrument):
        raise CannotSettle(
            f"break: the difference at {market.path} still moves; settle it when nothing trades it"
        )
    if not lots:
        return None
    quantity = instrument.quantity(lots)
    _check_size(abs(quantity), request.largest, market.symbol)
    return Adjustment(
        number=request.number,
        venue=market.venue,
        account=market.account,
        symbol=market.symbol,
        quantity=quantity,
        price=request.price or await _price(ports, market, venue, instrument),
        amount=Decimal(0),
        by=request.by,
        reason=request.reason,
        at_ms=_now_ms(ports),
    )


async def _delisted(
    ports: ActivityPorts, market: MarketId, request: SettleBreakInput, why: ConfigurationFault
) -> Adjustment | None:
    """What our books still hold of a market that is gone, where the venue holds nothing of it."""
    venue = await ports.venues.venue(market.venue, market.account)
    held = await _held_of_gone(ports, venue, market, why)
    await asyncio.sleep(venue.capabilities.settling_ms / 1_000)
    if held != await _held_of_gone(ports, venue, market, why):
        raise CannotSettle(f"break: our books of {market.path} still move; settle it later")
    if not held:
        return None
    _check_size(abs(held), request.largest, market.symbol)
    return Adjustment(
        number=request.number,
        venue=market.venue,
        account=market.account,
        symbol=market.symbol,
        quantity=-held,
        price=request.price or await _marked(ports, market),
        amount=Decimal(0),
        by=request.by,
        reason=request.reason,
        at_ms=_now_ms(ports),
    )


async def _held_of_gone(
    ports: ActivityPorts, venue: Venue, market: MarketId, why: ConfigurationFault
) -> Decimal:
    word = authoritative(await venue.account.views())
    if word is None or word.positions.get(market.symbol):
        raise CannotSettle(
            f"{why}, and nobody can say that it holds none; close it there, then settle it"
        )
    books = await ports.reconciliations.books(market.venue, market.account)
    return books.positions.get(market.symbol, Decimal(0))


async def _difference(
    ports: ActivityPorts, market: MarketId, venue: Venue, instrument: Instrument
) -> int:
    """Lots that the venue holds and our books do not, once every fill it tells of is booked."""
    books = await read_books(market, instrument, venue, ports.ledger, ports.clock)
    return books.venue_position - books.position


async def _price(
    ports: ActivityPorts, market: MarketId, venue: Venue, instrument: Instrument
) -> Decimal:
    """The mid now, else the last one on record, else what the venue says the holding cost."""
    try:
        mid_x2 = (await read_book(venue, instrument)).mid_x2
    except VenueError:
        mid_x2 = None
    if mid_x2:
        return instrument.tick_size * mid_x2 / 2
    entry = (await venue.account.position(instrument)).entry_price
    return await _marked(ports, market, entry)


async def _marked(ports: ActivityPorts, market: MarketId, else_: Decimal | None = None) -> Decimal:
    for part in await ports.losses.pnl(None, market):
        if part.mid:
            return part.mid
    if else_:
        return else_
    raise CannotSettle(f"price: nobody knows a price of {market.path}; give one with the decision")


async def _balance(
    ports: ActivityPorts, known: Break, request: SettleBreakInput
) -> Adjustment | None:
    found = known.found
    anchor = await _anchor(ports, known)
    venue = await ports.venues.venue(found.venue, found.account)
    first = await _money(ports, known, venue, anchor)
    await asyncio.sleep(venue.capabilities.settling_ms / 1_000)
    money = await _money(ports, known, venue, anchor)
    if abs(money.apart - first.apart) > money.allowed:
        raise CannotSettle(
            f"break: the equity of {found.venue}/{found.account} still moves; settle it later"
        )
    if abs(money.apart) <= min(money.allowed, allowed_of(found.ours)):
        raise CannotSettle(
            f"break: the venue's equity is {money.equity:f} and our books expect "
            f"{money.expected:f}: nothing differs any more; settle it with 'recheck'"
        )
    _check_size(abs(money.apart), request.largest, "the account")
    return Adjustment(
        number=request.number,
        venue=found.venue,
        account=found.account,
        symbol=None,
        quantity=Decimal(0),
        price=None,
        amount=money.apart,
        by=request.by,
        reason=request.reason,
        at_ms=_now_ms(ports),
    )


async def _money(ports: ActivityPorts, known: Break, venue: Venue, anchor: Anchor) -> MoneySeen:
    """Equity and what our books expect of it at this moment, all that was paid booked before."""
    found = known.found
    asked = ReconcileInput(
        venue=found.venue,
        account=found.account,
        kind=ReconcileKind.ACCOUNT,
        run_id="",
        began_ms=_now_ms(ports),
        every_s=1,
    )
    instruments = {one.symbol: one for one in await venue.instruments()}
    await book_payments(ports, venue, found.venue, found.account, anchor)
    word, balance = authoritative(await venue.account.views()), await venue.account.balance()
    books = await ports.reconciliations.books(found.venue, found.account)
    held = {} if word is None else quantities(word.positions, instruments)
    if (
        word is None
        or any(lots and symbol not in instruments for symbol, lots in word.positions.items())
        or positions_apart(books.positions, held, {*books.positions, *held})
    ):
        raise CannotSettle(
            f"break: positions of {found.venue}/{found.account} differ or are not known, so its "
            "money cannot be judged; settle them first"
        )
    money = Money(ports, asked, venue, instruments)
    seen = await money.judge_fresh(anchor, balance, books, _now_ms(ports))
    if isinstance(seen, str):
        raise CannotSettle(f"break: its money cannot be judged now: {seen}; settle it later")
    return seen


async def _anchor(ports: ActivityPorts, known: Break) -> Anchor:
    """From where equity and books must go together: as the last comparison has it."""
    found = known.found
    last = await ports.reconciliations.last(found.venue, found.account, ReconcileKind.ACCOUNT.value)
    for side in (last.ours if last is not None else "", found.ours):
        try:
            said = json.loads(side)
        except ValueError:
            continue
        if (anchor := anchor_of(said)) is not None:
            return anchor
    raise CannotSettle(
        f"break: {known.number} does not tell what its money was compared with; settle it with "
        "'recheck'"
    )


def _check_size(size: Decimal, largest: Decimal | None, what: str) -> None:
    if largest is not None and size > largest:
        raise CannotSettle(f"rule: {what} differs by {size}, more than {largest}; a person decides")


def _now_ms(ports: ActivityPorts) -> int:
    return ports.clock.wall_ns() // NS_PER_MS
