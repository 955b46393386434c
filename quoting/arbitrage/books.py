"""The books of all legs, read at one moment: ledger, venue, and what each trade's orders filled.

The rule: only when ledger and venue agree on every leg is anything concluded from them.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from desk.arbitrage.obligation import Booked
from desk.arbitrage_records import ArbitrageTrade, TradeFired
from desk.hedging import HedgeReceipt
from desk.identity import MarketId, OrderIdentity
from desk.orders import Fill
from desk.units import Lots
from quoting.arbitrage.leg import LiveLeg
from quoting.arbitrage.ports import SetPorts
from quoting.hedge import read_books

Receipts = Mapping[MarketId, HedgeReceipt]
Epochs = Mapping[MarketId, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LegBooks:
    """One leg by the ledger: signed lots, and booked fills, oldest first.

    `ours` are those of our own orders by epoch, so by trade; `others` those that nobody sent.
    """

    leg: LiveLeg
    position: Lots
    ours: Mapping[int, tuple[Fill, ...]]
    others: tuple[Fill, ...]

    @classmethod
    def of(cls, leg: LiveLeg, position: Lots, fills: Iterable[Fill]) -> "LegBooks":
        """Sort the fills by whose they are."""
        ours: dict[int, list[Fill]] = {}
        others = []
        for fill in fills:
            identity = decoded(leg.market, fill)
            if identity is None:
                others.append(fill)
            else:
                ours.setdefault(identity.epoch, []).append(fill)
        sorted_out = {epoch: tuple(found) for epoch, found in ours.items()}
        return cls(leg=leg, position=position, ours=sorted_out, others=tuple(others))

    def of_epoch(self, epoch: int) -> tuple[Fill, ...]:
        """Fills of orders of ours under one epoch of the leg: those of one trade."""
        return self.ours.get(epoch, ())

    def booked(self, fills: Iterable[Fill]) -> Booked:
        """Fills added up; a fee counts as paid."""
        lots, cash = 0, self.leg.instrument.notional(0, 0)
        for fill in fills:
            lots += fill.side.sign * fill.lots
            worth = self.leg.instrument.notional(fill.price, fill.lots)
            cash -= fill.side.sign * worth + fill.fee
        return Booked(lots=lots, cash=cash)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBooks:
    """All legs, in the order of the run. `difference` says why nothing may be concluded yet."""

    legs: tuple[LegBooks, ...]
    difference: str

    def at(self, market: MarketId) -> LegBooks:
        """Of one leg."""
        return next(one for one in self.legs if one.leg.market == market)


async def read_set(
    legs: Sequence[LiveLeg], ports: SetPorts, *, since_ms: int, receipts: Receipts
) -> SetBooks:
    """Book what the venues' histories know, compare, and read the fills since a venue time.

    Raises what the ports raise.
    """
    read = await asyncio.gather(
        *(_read(leg, ports, since_ms, receipts.get(leg.market)) for leg in legs)
    )
    troubles = [f"{books.leg.market.path}: {why}" for books, why in read if why]
    return SetBooks(legs=tuple(books for books, _ in read), difference="; ".join(troubles))


async def _read(
    leg: LiveLeg, ports: SetPorts, since_ms: int, receipt: HedgeReceipt | None
) -> tuple[LegBooks, str]:
    books = await read_books(
        leg.market, leg.instrument, leg.venue, ports.ledger, ports.clock, receipt
    )
    fills = tuple(await ports.ledger.fills(leg.market, since_ms))
    why = books.difference
    if not why and receipt is not None and not receipt.shown_at(books.position):
        why = receipt.sentence(books.position)
    if not why and (await ports.ledger.facts(leg.market, 0)).position != books.position:
        why = "a fill was booked while they were read"
    found = LegBooks.of(leg, books.position, fills)
    leg.strange = leg.strange or bool(found.others)
    if not why:
        leg.learn(books.position, fills, books.read_ns)
    return found, why


def decoded(market: MarketId, fill: Fill) -> OrderIdentity | None:
    """What the id of the fill's order says; None when it is no order of ours in this market."""
    identity = OrderIdentity.decode(fill.client_order_id or "")
    return identity if identity is not None and identity.tag == market.tag else None


def epochs_of(trade: ArbitrageTrade | TradeFired) -> dict[MarketId, int]:
    """The epoch of each leg's orders, by the ids on record."""
    fired = trade.fired if isinstance(trade, ArbitrageTrade) else trade
    found = ((leg.market, OrderIdentity.decode(leg.client_order_id)) for leg in fired.legs)
    return {market: identity.epoch for market, identity in found if identity is not None}
