"""One account apart from its orders: payments, fills, positions, equity, and the venue's sources.

The one rule: what differs is read again around a new look at the venue's history before it is a
break; the most authoritative source is compared, and sources that contradict each other stop all.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from activities.ports import ActivityPorts
from activities.reconciliation_balance import MONEY_AGREED, keep_money
from activities.reconciliation_history import SKEW_MS, History
from activities.reconciliation_messages import ReconcileInput
from activities.reconciliation_money import (
    Money,
    MoneySeen,
    anchor_of,
    anchor_side,
    book_payments,
)
from activities.reconciliation_residuals import (
    RESIDUALS,
    counted,
    left_over,
    residuals_of,
    seen_before,
)
from activities.reconciliation_side import BreakDesk, Compared
from desk.book_ports import AccountBooks
from desk.breaks import BreakKind
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.orders import Balance, Fill
from desk.ports import Venue
from desk.reconciliation import (
    Anchor,
    SourceDifference,
    authoritative,
    positions_apart,
    quantities,
    source_differences,
    steps_back,
    turns,
)
from desk.sources import SourceView

_READS: Final = 3
AGREED: Final = "agreed_runs"
"""Where their side keeps in how many comparisons on end every source agreed."""

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the venue said at about one moment, and our books read after it.

    `residuals` is what no trade after the question explains; None where nobody can say.
    """

    asked_ms: int
    views: Sequence[SourceView]
    balance: Balance
    books: AccountBooks
    residuals: Mapping[str, Decimal] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubts:
    """What differs in a reading: symbols of ours, and sources that contradict each other."""

    symbols: tuple[str, ...] = ()
    sources: tuple[SourceDifference, ...] = ()

    @property
    def places(self) -> frozenset[str | None]:
        """Symbols on which sources differ; None is the equity."""
        return frozenset(one.symbol for one in self.sources)


class AccountLook:
    """One comparison of an account. `before` are the two sides of the run before this one."""

    def __init__(
        self,
        ports: ActivityPorts,
        request: ReconcileInput,
        venue: Venue,
        before: tuple[Mapping[str, Any], Mapping[str, Any]],
    ) -> None:
        self._ports = ports
        self._request = request
        self._venue = venue
        self._before = before
        self._seen = Compared()
        self._desk = BreakDesk(ports, request)
        self._history = History(ports, request, venue, self._seen)
        self._instruments: Mapping[str, Instrument] = {}
        self._ours: frozenset[str] = frozenset()

    async def run(self) -> Compared:
        """Book what the venue tells and compare the rest. Raises VenueError and Unavailable."""
        self._instruments = {one.symbol: one for one in await self._venue.instruments()}
        await self._book_in_turn()
        reading = await self._reading()
        doubts = self._doubts(reading)
        if doubts.symbols or doubts.sources:
            await asyncio.sleep(self._apart_s)
            reading, doubts = await self._explained(reading, doubts)
        if doubts.symbols or doubts.sources:
            reading, doubts = await self._again(doubts)
        lasting = await self._lasting(reading)
        self._show(reading)
        await self._keep_positions(reading, sorted({*doubts.symbols, *lasting}))
        await self._keep_sources(reading, doubts.sources)
        await self._judge_money(reading, doubts)
        for known in await self._desk.standing(BreakKind.MISSED_FILL):
            await self._desk.over(known, known.found.kind.value, "the fills are booked")
        return self._seen

    # --- reading -----------------------------------------------------------------------------

    @property
    def _apart_s(self) -> float:
        return (self._venue.capabilities.settling_ms + self._request.lag_ms) / 1_000

    async def _books(self) -> AccountBooks:
        return await self._ports.reconciliations.books(self._request.venue, self._request.account)

    async def _book_in_turn(self) -> None:
        """Price what can be priced now, and ask some markets for fills: each has its turn."""
        books = await self._books()
        for symbol in books.unpriced:
            if (instrument := self._instruments.get(symbol)) is not None:
                await self._ports.ledger.remember_instrument(instrument)
        symbols = sorted(set(books.positions) | {order.symbol for order in books.orders})
        known = [one for one in symbols if one in self._instruments]
        number = self._request.began_ms // (self._request.every_s * 1_000)
        for symbol in turns(known, number, self._request.most_fills):
            await self._history.fills(self._instruments[symbol], books)

    async def _reading(self) -> Reading:
        request = self._request
        await book_payments(self._ports, self._venue, request.venue, request.account)
        asked_ms, account = self._desk.now_ms(), self._venue.account
        views = await account.views()
        balance = await account.balance()
        if (word := authoritative(views)) is None:
            self._seen.trouble = "no source of the venue could say what is held"
        else:
            await self._learn(word)
        return Reading(
            asked_ms=asked_ms,
            views=views,
            balance=balance,
            books=await self._books(),
            residuals=None if word is None else {},
        )

    async def _learn(self, word: SourceView) -> None:
        """Which of the held markets are ours: those that this deployment ever quoted."""
        request = self._request
        known = await self._ports.ownership.exposures(
            request.venue, request.account, sorted(word.positions)
        )
        self._ours = frozenset(one.market.symbol for one in known)

    # --- what differs ------------------------------------------------------------------------

    def _doubts(
        self,
        reading: Reading,
        steps: Mapping[str, Collection[Decimal]] | None = None,
    ) -> Doubts:
        word = authoritative(reading.views)
        if word is None:
            return Doubts()
        held = quantities(word.positions, self._instruments)
        ours = self._ours | {one for one, held in reading.books.positions.items() if held}
        if unknown := sorted(one for one in word.positions if one not in self._instruments):
            self._seen.trouble = f"the venue holds {', '.join(unknown)}, which it does not list"
        lots = {
            symbol: [self._instruments[symbol].lots(step) for step in found]
            for symbol, found in (steps or {}).items()
            if symbol in self._instruments
        }
        return Doubts(
            symbols=positions_apart(reading.books.positions, held, ours - set(unknown), steps),
            sources=source_differences(
                reading.views, lots, equity_tolerance=self._equity_tolerance(reading.balance)
            ),
        )

    def _equity_tolerance(self, balance: Balance) -> Decimal:
        return self._request.tolerance.allowed(balance.exposure or _ZERO, _ZERO)

    async def _again(self, before: Doubts) -> tuple[Reading, Doubts]:
        """A second reading; only what differed in both is a difference."""
        reading = await self._reading()
        now = self._doubts(reading)
        if now.symbols or now.sources:
            await asyncio.sleep(self._apart_s)
            reading, now = await self._explained(reading, now)
        both = Doubts(
            symbols=tuple(one for one in now.symbols if one in before.symbols),
            sources=tuple(one for one in now.sources if one.symbol in before.places),
        )
        return reading, both

    async def _explained(self, reading: Reading, doubts: Doubts) -> tuple[Reading, Doubts]:
        """What of it remains once the venue's history is booked and late records are in.

        The reading comes back with the books as they are then.
        """
        places = {*doubts.symbols, *(one for one in doubts.places if one is not None)}
        listed = sorted(one for one in places if one in self._instruments)
        for symbol in listed[: self._request.most_fills]:
            await self._history.fills(self._instruments[symbol], reading.books, deep=True)
        since_ms = reading.asked_ms - SKEW_MS
        for _ in range(_READS):
            before, lately = await self._books(), await self._lately(listed, since_ms)
            books = await self._books()
            if _held(before, places) == _held(books, places):
                break
        else:
            # It trades faster than it can be read: the next run has a quieter moment.
            return replace(reading, books=books, residuals=None), Doubts()
        known = replace(reading, books=books)
        known = replace(known, residuals=self._unexplained(known, lately))
        left = self._doubts(
            known, {one: steps_back(self._instruments[one], fills) for one, fills in lately.items()}
        )
        return known, Doubts(
            symbols=tuple(one for one in left.symbols if one in doubts.symbols),
            sources=tuple(one for one in left.sources if one.symbol in doubts.places),
        )

    async def _lately(self, symbols: Iterable[str], since_ms: int) -> Mapping[str, Sequence[Fill]]:
        found = {}
        for symbol in symbols:
            market = MarketId(self._request.venue, self._request.account, symbol)
            found[symbol] = await self._ports.ledger.fills(market, since_ms)
        return found

    def _unexplained(
        self, reading: Reading, lately: Mapping[str, Sequence[Fill]]
    ) -> Mapping[str, Decimal]:
        word = authoritative(reading.views)
        held = {} if word is None else quantities(word.positions, self._instruments)
        return left_over(self._instruments, reading.books.positions, held, lately, reading.asked_ms)

    async def _lasting(self, reading: Reading) -> Sequence[str]:
        """Symbols where a trade seemed to explain one and the same difference run after run."""
        kept = residuals_of(self._before[1])
        found = reading.residuals
        if found and seen_before(kept, found):
            again, _ = await self._again(Doubts())
            second = again.residuals
            found = second and {one: left for one, left in second.items() if found.get(one) == left}
        if found is not None:
            kept = counted(kept, found)
        self._seen.theirs[RESIDUALS] = kept
        return [one for one, (_, runs) in kept.items() if runs >= self._request.agree_runs]

    # --- what is kept ------------------------------------------------------------------------

    def _show(self, reading: Reading) -> None:
        books, word = reading.books, authoritative(reading.views)
        held = {} if word is None else quantities(word.positions, self._instruments)
        self._seen.ours |= {
            "positions": {one: held for one, held in sorted(books.positions.items()) if held},
            "pnl": None if books.unpriced else books.pnl,
            "transfers": books.transfers,
            "adjusted": books.adjusted,
        }
        self._seen.theirs |= {
            "positions": dict(sorted(held.items())),
            "equity": reading.balance.equity,
            "views": [_view(view) for view in reading.views],
        }
        self._seen.equity = reading.balance.equity
        self._seen.counts = (len(self._seen.ours["positions"]), len(held))

    async def _keep_positions(self, reading: Reading, symbols: Sequence[str]) -> None:
        word = authoritative(reading.views)
        if word is None:
            return
        held = quantities(word.positions, self._instruments)
        for symbol in symbols:
            ours = reading.books.positions.get(symbol, _ZERO)
            theirs = held.get(symbol, _ZERO)
            text = (
                f"our books hold {ours:f} {symbol} and {word.source.name} says {theirs:f}, "
                f"{theirs - ours:+f}"
            )
            self._seen.note(BreakKind.POSITION.value, symbol, text)
            await self._desk.open(
                self._desk.found(
                    BreakKind.POSITION,
                    symbol,
                    text,
                    ours={"quantity": ours},
                    theirs={"quantity": theirs, "source": word.source.name},
                    at_ms=reading.asked_ms,
                )
            )

    async def _keep_sources(
        self, reading: Reading, differences: Sequence[SourceDifference]
    ) -> None:
        """Stop the account while its sources contradict each other; let it go on when they agree.

        A source that cannot say now neither contradicts nor agrees.
        """
        agreed = int(self._before[1].get(AGREED, 0))
        if differences:
            agreed = 0
            text = "; ".join(one.sentence for one in differences)
            self._seen.note(BreakKind.SOURCES.value, None, text)
            await self._desk.open(
                self._desk.found(
                    BreakKind.SOURCES,
                    None,
                    f"two sources of the venue differ: {text}",
                    ours={"positions": self._seen.ours["positions"]},
                    theirs={"views": self._seen.theirs["views"]},
                    at_ms=reading.asked_ms,
                )
            )
        elif len(reading.views) == len(self._venue.account.sources):
            agreed += 1
        self._seen.theirs[AGREED] = agreed
        if not (self._request.auto_resume and agreed >= self._request.agree_runs):
            return
        for known in await self._desk.standing(BreakKind.SOURCES):
            await self._desk.over(
                known, "sources agree", f"every source agreed in {agreed} comparisons"
            )

    # --- money -------------------------------------------------------------------------------

    async def _judge_money(self, reading: Reading, doubts: Doubts) -> None:
        anchor = anchor_of(self._before[0])
        agreed = int(self._before[1].get(MONEY_AGREED, 0))
        seen = await self._money(anchor, reading, doubts)
        if isinstance(seen, str):
            self._seen.ours["not_judged"] = seen
            self._seen.theirs[MONEY_AGREED] = agreed
            if anchor is not None:
                self._seen.ours["anchor"] = anchor_side(anchor)
            return
        await keep_money(
            self._desk, self._request, self._seen, seen, agreed=agreed, asked_ms=reading.asked_ms
        )

    async def _money(
        self, anchor: Anchor | None, reading: Reading, doubts: Doubts
    ) -> MoneySeen | str:
        """Equity against the expectation, twice where it is off; or why it is not judged."""
        if why := self._not_judged(reading, doubts):
            return why
        money = Money(self._ports, self._request, self._venue, self._instruments)
        seen = await money.judge(anchor, reading.balance, reading.books, self._desk.now_ms())
        if isinstance(seen, str) or not seen.off:
            return seen
        await asyncio.sleep(self._apart_s)
        again = await self._reading()
        if self._doubts(again).symbols:
            return "positions moved meanwhile"
        return await money.judge_fresh(seen.anchor, again.balance, again.books, self._desk.now_ms())

    def _not_judged(self, reading: Reading, doubts: Doubts) -> str:
        word = authoritative(reading.views)
        if doubts.symbols or doubts.sources or word is None:
            return "positions differ"
        if unpriced := reading.books.unpriced:
            return f"nobody can price all fills of {', '.join(unpriced)}"
        foreign = sorted(one for one in word.positions if one not in self._ours)
        if foreign:
            return f"{', '.join(foreign)} is held here and was never quoted by this deployment"
        return ""


def _held(books: AccountBooks, symbols: Iterable[str]) -> Mapping[str, Decimal]:
    return {symbol: books.positions.get(symbol, _ZERO) for symbol in symbols}


def _view(view: SourceView) -> dict[str, Any]:
    return {
        "source": view.source.name,
        "authority": view.source.authority.name.lower(),
        "positions": dict(sorted(view.positions.items())),
        "equity": view.equity,
    }
