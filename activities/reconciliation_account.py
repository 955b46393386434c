"""One account apart from its orders: payments, fills, positions, equity, and the venue's sources.

The one rule: what differs is read again around a new look at the venue's history before it is a
break; the most authoritative source is compared, and sources that contradict each other stop all.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from activities.ports import ActivityPorts
from activities.reconciliation_balance import MONEY_AGREED, keep_money
from activities.reconciliation_history import SKEW_MS, History
from activities.reconciliation_messages import ReconcileInput
from activities.reconciliation_money import Money, MoneySeen, anchor_of, anchor_side
from activities.reconciliation_payments import book_payments
from activities.reconciliation_positions import AGREED, keep_positions, keep_sources, view_side
from activities.reconciliation_reading import Doubts, Reading, both
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
from desk.errors import VenueError
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
ASKED: Final = "asked_until"
DEEP: Final = "asked_deep_until"
"""Where their side keeps which market was asked for its fills last."""
UNPAID: Final = "unpaid_runs"
"""Where our side keeps in how many comparisons on end payments could not be read."""

_ZERO = Decimal(0)


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
        self._unread: set[str] = set()
        self._waiting: set[str] = set()

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
            reading, doubts = await self._again(doubts, reading.residuals or ())
        lasting = await self._lasting(reading)
        self._show(reading)
        await self._keep(reading, sorted({*doubts.symbols, *lasting}), doubts.sources)
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
        asked = turns(known, self._turn(ASKED), self._request.most_fills)
        for symbol in asked:
            await self._history.fills(self._instruments[symbol], books)
        self._seen.theirs[ASKED] = asked[-1] if asked else ""

    def _turn(self, name: str) -> str:
        """The market whose turn was last in the run before."""
        return str(self._before[1].get(name, ""))

    async def _reading(self) -> Reading:
        request, unpaid = self._request, ""
        anchor = anchor_of(self._before[0])
        try:
            await book_payments(self._ports, self._venue, request.venue, request.account, anchor)
        except VenueError as error:
            unpaid = f"what was paid could not be read: {error}"
        asked_ms, account = self._desk.now_ms(), self._venue.account
        views = await account.views()
        balance_ms, balance = self._desk.now_ms(), await account.balance()
        if (word := authoritative(views)) is None:
            self._seen.trouble = "no source of the venue could say what is held"
        else:
            await self._learn(word)
        return Reading(
            asked_ms=asked_ms,
            views=views,
            balance=balance,
            balance_ms=balance_ms,
            books=await self._books(),
            residuals=None if word is None else {},
            unpaid=unpaid,
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

    async def _again(self, before: Doubts, followed: Iterable[str] = ()) -> tuple[Reading, Doubts]:
        """A second reading; only what differed in both is a difference.

        Residuals of what is `followed` are read as well.
        """
        reading = await self._reading()
        watched = replace(before, symbols=(*before.symbols, *followed))
        now = both(self._doubts(reading), watched)
        if now.symbols or now.sources:
            await asyncio.sleep(self._apart_s)
            reading, now = await self._explained(reading, now)
        return reading, both(now, before)

    async def _explained(self, reading: Reading, doubts: Doubts) -> tuple[Reading, Doubts]:
        """What of it remains once the venue's history is booked and late records are in.

        The reading comes back with the books as they are then. A market whose history was not
        read is not judged: it has its turn in the next runs.
        """
        asked = await self._deep(reading, doubts)
        places = {*doubts.symbols, *(one for one in doubts.places if one is not None)}
        since_ms = reading.asked_ms - SKEW_MS
        for _ in range(_READS):
            before, lately = await self._books(), await self._lately(asked, since_ms)
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
        left = both(left, doubts)
        return known, Doubts(
            symbols=tuple(one for one in left.symbols if one not in self._unread),
            sources=tuple(one for one in left.sources if one.symbol not in self._unread),
        )

    async def _deep(self, reading: Reading, doubts: Doubts) -> Sequence[str]:
        """Look deep into the history of markets that differ, where sources do first; which ones.

        One that cannot be read is not judged, but followed from run to run.
        """
        most, after = self._request.most_fills, self._turn(DEEP)
        places = {*doubts.symbols, *(one for one in doubts.places if one is not None)}
        listed = sorted(places & self._instruments.keys())
        asked = turns([one for one in listed if one in doubts.places], after, most)
        others = [one for one in listed if one not in doubts.places]
        asked += turns(others, after, most - len(asked))
        if left := set(listed).difference(asked):
            self._waiting |= left
            self._seen.theirs[DEEP] = asked[-1]
        self._unread |= left
        for symbol in asked:
            try:
                await self._history.fills(self._instruments[symbol], reading.books, deep=True)
            except VenueError as error:
                self._unread.add(symbol)
                self._seen.trouble = f"fills of {symbol} could not be read: {error}"
        return asked

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
            again, _ = await self._again(Doubts(symbols=tuple(found)))
            second = again.residuals
            found = second and {one: left for one, left in second.items() if found.get(one) == left}
        if found is not None:
            waiting = {one: kept[one] for one in self._waiting if one in kept}
            kept = {**waiting, **counted(kept, found)}
        self._seen.theirs[RESIDUALS] = kept
        lasting = [one for one, (_, runs) in kept.items() if runs >= self._request.agree_runs]
        return [one for one in lasting if one not in self._waiting]

    # --- what is kept ------------------------------------------------------------------------

    async def _keep(
        self, reading: Reading, symbols: Sequence[str], sources: Sequence[SourceDifference]
    ) -> None:
        word = authoritative(reading.views)
        if word is not None:
            await keep_positions(
                self._desk,
                self._seen,
                symbols,
                ours=reading.books.positions,
                theirs=quantities(word.positions, self._instruments),
                source=word.source.name,
                asked_ms=reading.asked_ms,
            )
        await keep_sources(
            self._desk,
            self._request,
            self._seen,
            sources,
            agreed=int(self._before[1].get(AGREED, 0)),
            all_told=len(reading.views) == len(self._venue.account.sources),
            asked_ms=reading.asked_ms,
        )

    def _show(self, reading: Reading) -> None:
        books, word = reading.books, authoritative(reading.views)
        held = {} if word is None else quantities(word.positions, self._instruments)
        self._seen.ours |= {
            "positions": {one: held for one, held in sorted(books.positions.items()) if held},
            "pnl": None if books.unpriced else books.pnl,
            "transfers": books.transfers,
            "adjusted": books.adjusted,
        }
        if foreign := reading.foreign(self._ours):
            self._seen.ours["foreign"] = foreign
        self._seen.theirs |= {
            "positions": dict(sorted(held.items())),
            **reading.equity_side,
            "views": [view_side(view) for view in reading.views],
        }
        self._seen.equity = reading.balance.equity
        self._seen.counts = (len(self._seen.ours["positions"]), len(held))

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
            if seen == reading.unpaid:
                await self._tell_unpaid(seen)
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
        self._seen.theirs |= again.equity_side
        if again.unpaid or self._doubts(again).symbols:
            return again.unpaid or "positions moved meanwhile"
        return await money.judge_fresh(seen.anchor, again.balance, again.books, self._desk.now_ms())

    async def _tell_unpaid(self, why: str) -> None:
        """A person hears once of payments that cannot be read for longer."""
        runs = int(self._before[0].get(UNPAID, 0)) + 1
        self._seen.ours[UNPAID] = runs
        self._seen.trouble = self._seen.trouble or why
        if runs == self._request.agree_runs:
            place = f"{self._request.venue}/{self._request.account}"
            text = f"{place}: its money is not judged for {runs} comparisons: {why}"
            await self._ports.alerts.alert(None, "warning", text)

    def _not_judged(self, reading: Reading, doubts: Doubts) -> str:
        word = authoritative(reading.views)
        if reading.unpaid:
            return reading.unpaid
        if doubts.symbols or doubts.sources or word is None:
            return "positions differ"
        if self._unread.intersection(self._doubts(reading).symbols):
            return "positions differ that had no turn"
        if unpriced := reading.books.unpriced:
            return f"nobody can price all fills of {', '.join(unpriced)}"
        if foreign := reading.foreign(self._ours):
            return f"{', '.join(foreign)} is held here and was never quoted by this deployment"
        return ""


def _held(books: AccountBooks, symbols: Iterable[str]) -> Mapping[str, Decimal]:
    return {symbol: books.positions.get(symbol, _ZERO) for symbol in symbols}
