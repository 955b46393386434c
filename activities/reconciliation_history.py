"""What a venue tells of the past and our books do not have yet: fills that were missed, payments.

The one rule: only what the venue lists is booked, once, and a missed fill is on record by its id.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from activities.ports import ActivityPorts
from activities.reconciliation_messages import ReconcileInput
from activities.reconciliation_side import BreakDesk, Compared, named
from desk.book_ports import AccountBooks
from desk.breaks import BreakKind
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.orders import Fill
from desk.ports import Venue
from desk.reconciliation import missed
from quoting.reach import fills_in_reach

SKEW_MS: Final = 5_000
"""How far the venue's clock may be from ours when the moment of a fill is judged."""

_OVERLAP_MS = 600_000
_DEEP_OVERLAP_MS = 86_400_000
_BOOKED = "booked from the venue's history"
_LOOK_S = 0.3
_ROUNDS = 3


class History:
    """The past of one account, as far as it is asked for."""

    def __init__(
        self, ports: ActivityPorts, request: ReconcileInput, venue: Venue, seen: Compared
    ) -> None:
        self._ports = ports
        self._request = request
        self._venue = venue
        self._seen = seen
        self._desk = BreakDesk(ports, request)
        self._late_s = (venue.capabilities.settling_ms + request.lag_ms) / 1_000
        self._patience_s = _ROUNDS * self._late_s

    async def fills(
        self, instrument: Instrument, books: AccountBooks, *, deep: bool = False
    ) -> Sequence[Fill]:
        """Book the fills of a market that are missing; those among them that nobody heard.

        Fills of the last seconds are waited for: a session may be about to book them itself.
        """
        now_ms, last_ms = self._desk.now_ms(), books.last_trade_ms.get(instrument.symbol)
        overlap_ms = _DEEP_OVERLAP_MS if deep else _OVERLAP_MS
        since_ms = max(0, (last_ms or now_ms - _DEEP_OVERLAP_MS) - overlap_ms)
        history, since_ms = await fills_in_reach(self._venue, instrument, since_ms)
        if not history:
            return ()
        market = MarketId(self._request.venue, self._request.account, instrument.symbol)
        lacking, unheard = await self._lacking(market, history, since_ms)
        if not lacking:
            return ()
        if unheard:
            self._desk.record(
                instrument.symbol, "reconciliation books", _BOOKED, named(_ids(unheard))
            )
        adjusted_ms = books.adjusted_ms.get(instrument.symbol, 0)
        if older := [fill for fill in lacking if fill.traded_at_ms <= adjusted_ms]:
            await self._tell_twice(market, older)
        await self._ports.ledger.remember_instrument(instrument)
        await self._ports.ledger.book_fills(market, history)
        if unheard:
            await self._keep(instrument, unheard)
        return unheard

    async def _lacking(
        self, market: MarketId, history: Sequence[Fill], since_ms: int
    ) -> tuple[Sequence[Fill], Sequence[Fill]]:
        """What our books lack, and what of it nobody can be about to book any more.

        All markets of a run together are waited for a few times as long as a record may take.
        """
        now_ms, waited_s = self._desk.now_ms(), 0.0
        old_ms = now_ms - SKEW_MS - int(self._late_s * 1_000)
        while True:
            booked = await self._ports.ledger.fills(market, since_ms)
            # Another clock made these times: whatever is listed counts.
            lacking = missed(history, booked, until_ms=now_ms + _DEEP_OVERLAP_MS)
            old = missed(lacking, (), until_ms=old_ms)
            if len(old) == len(lacking) or waited_s >= self._late_s:
                return lacking, lacking
            if self._patience_s <= 0:
                return lacking, old
            await asyncio.sleep(_LOOK_S)
            waited_s += _LOOK_S
            self._patience_s -= _LOOK_S

    async def _tell_twice(self, market: MarketId, fills: Sequence[Fill]) -> None:
        """An adjustment may have stood for these; what is then too much is a position break."""
        text = (
            f"{len(fills)} fills are booked late and are older than an adjustment of "
            f"{market.path}, which may have stood for them: {named(_ids(fills))}; compare both"
        )
        self._seen.note("fill_after_adjustment", market.symbol, text)
        await self._ports.alerts.alert(market, "warning", text)

    async def _keep(self, instrument: Instrument, fills: Sequence[Fill]) -> None:
        text = f"{len(fills)} fills were not in our books: {named(_ids(fills))}"
        self._seen.note(BreakKind.MISSED_FILL.value, instrument.symbol, text)
        await self._desk.settled(
            self._desk.found(
                BreakKind.MISSED_FILL,
                instrument.symbol,
                text,
                ours={"fills": []},
                theirs={"fills": [_words(instrument, fill) for fill in fills]},
            ),
            BreakKind.MISSED_FILL.value,
            _BOOKED,
        )


def _ids(fills: Iterable[Fill]) -> list[str]:
    return [fill.trade_id for fill in fills]


def _words(instrument: Instrument, fill: Fill) -> dict[str, object]:
    return {
        "trade": fill.trade_id,
        "side": fill.side.value,
        "quantity": instrument.quantity(fill.lots),
        "price": instrument.price(fill.price),
        "traded_at_ms": fill.traded_at_ms,
        "order": fill.client_order_id,
    }
