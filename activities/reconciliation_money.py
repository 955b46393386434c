"""The venue's equity against what our books expect of it since the first comparison.

The one rule: money is judged only where every position agrees and has a price.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any, Final

from activities.marking import stood_mid
from activities.ports import ActivityPorts
from activities.reconciliation_messages import ReconcileInput
from desk.book_ports import AccountBooks
from desk.daily_loss import MarketPnl
from desk.errors import VenueError
from desk.instrument import Instrument
from desk.orders import Balance
from desk.payments import PaymentKind
from desk.ports import Venue
from desk.reconciliation import Anchor

ALLOWED: Final = "allowed"
"""Where our side keeps how far equity and expectation may be apart."""

_FRESH_MS: Final = 60_000
_MOST_PRICES: Final = 20
_AT_ONCE: Final = 4
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneySeen:
    """Equity at the venue, what was expected, and how far apart they may be.

    `renewed` is the anchor that may take the place of an old one.
    """

    equity: Decimal
    expected: Decimal
    allowed: Decimal
    anchor: Anchor
    renewed: Anchor | None = None

    @property
    def apart(self) -> Decimal:
        """How much more the venue has than our books expect."""
        return self.equity - self.expected

    @property
    def off(self) -> bool:
        """Whether they are further apart than allowed."""
        return abs(self.apart) > self.allowed


class Money:
    """Equity of one account."""

    def __init__(
        self,
        ports: ActivityPorts,
        request: ReconcileInput,
        venue: Venue,
        instruments: Mapping[str, Instrument],
    ) -> None:
        self._ports = ports
        self._request = request
        self._venue = venue
        self._instruments = instruments

    async def judge(
        self, anchor: Anchor | None, balance: Balance, books: AccountBooks, now_ms: int
    ) -> MoneySeen | str:
        """At the last marks, at fresh prices where there are none. None begins a new anchor.

        No anchor stands on an old mark. A sentence says why it could not be judged.
        """
        parts = await self._parts()
        due = anchor is None or anchor.due(now_ms)
        lacking = [
            one for one in parts if one.pnl is None or (due and one.quantity and _old(one, now_ms))
        ]
        if not lacking:
            return self._seen(anchor, balance, books, parts, now_ms, anew=due)
        seen = await self._at_prices(anchor, balance, books, parts, lacking, now_ms)
        if isinstance(seen, str) and anchor and all(one.pnl is not None for one in parts):
            return self._seen(anchor, balance, books, parts, now_ms, anew=False)
        return seen

    async def judge_fresh(
        self, anchor: Anchor | None, balance: Balance, books: AccountBooks, now_ms: int
    ) -> MoneySeen | str:
        """The same with what is held valued at mids of this moment."""
        parts = await self._parts()
        held = [one for one in parts if one.quantity]
        return await self._at_prices(anchor, balance, books, parts, held, now_ms)

    async def _at_prices(
        self,
        anchor: Anchor | None,
        balance: Balance,
        books: AccountBooks,
        parts: list[MarketPnl],
        lacking: list[MarketPnl],
        now_ms: int,
    ) -> MoneySeen | str:
        """With what is held of these valued at mids of this moment, the others at their marks."""
        held = [one for one in lacking if one.quantity]
        if len(held) > _MOST_PRICES:
            return f"{len(held)} markets are held, too many to read a price of each"
        some = asyncio.Semaphore(_AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            pricing = [tasks.create_task(self._priced(one, some)) for one in held]
        fresh = [one.result() for one in pricing] + [one for one in parts if one not in held]
        made = [one.pnl for one in fresh]
        if unpriced := [one.market.symbol for one in fresh if one.pnl is None]:
            return f"no price could be read of {', '.join(sorted(unpriced))}"
        pnl = sum((one for one in made if one is not None), _ZERO)
        return self._seen(anchor, balance, replace(books, pnl=pnl), fresh, now_ms, anew=True)

    async def _parts(self) -> list[MarketPnl]:
        request = self._request
        return [
            one
            for one in await self._ports.losses.pnl()
            if (one.market.venue, one.market.account) == (request.venue, request.account)
        ]

    async def _priced(self, part: MarketPnl, some: asyncio.Semaphore) -> MarketPnl:
        """At a mid of this moment; without any where none can be read."""
        instrument = self._instruments.get(part.market.symbol)
        if instrument is None:
            return replace(part, mid=None)
        async with some:
            try:
                mid_x2 = await stood_mid(self._venue, instrument, self._ports.clock)
            except VenueError:
                return replace(part, mid=None)
        mid = instrument.tick_size * mid_x2 / 2
        return replace(part, mid=mid, multiplier=instrument.multiplier)

    def _seen(
        self,
        anchor: Anchor | None,
        balance: Balance,
        books: AccountBooks,
        parts: list[MarketPnl],
        now_ms: int,
        *,
        anew: bool,
    ) -> MoneySeen:
        worth = sum((_worth(one) for one in parts), _ZERO)
        exposure = max(worth, balance.exposure or _ZERO)
        tolerance = self._request.tolerance
        tells = PaymentKind.FUNDING in self._venue.capabilities.tells_payments
        known = (anchor or Anchor.at(balance.equity, books, now_ms)).until(
            now_ms, exposure, _ZERO if tells else tolerance.untold_bps
        )
        return MoneySeen(
            equity=balance.equity,
            expected=known.expected(books),
            allowed=tolerance.allowed(exposure, known.untold),
            anchor=known,
            renewed=(
                known.anew(balance.equity, books, now_ms)
                if anew and anchor is not None and anchor.due(now_ms)
                else None
            ),
        )


def anchor_of(side: Mapping[str, Any]) -> Anchor | None:
    """The anchor in our side of an earlier run; None when there is none that can be read."""
    try:
        said = side["anchor"]
        return Anchor(
            equity=Decimal(said["equity"]),
            pnl=Decimal(said["pnl"]),
            transfers=Decimal(said["transfers"]),
            adjusted=Decimal(said["adjusted"]),
            untold=Decimal(said["untold"]),
            at_ms=int(said["at_ms"]),
            seen_ms=int(said["seen_ms"]),
            accepted=Decimal(said.get("accepted", 0)),
        )
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError):
        return None


def anchor_side(anchor: Anchor) -> dict[str, Any]:
    """The same as it is kept."""
    return asdict(anchor)


def allowed_of(side: str) -> Decimal:
    """How far apart they might be, in our side of a break; nothing where nobody can say."""
    try:
        return Decimal(json.loads(side)[ALLOWED])
    except (ArithmeticError, KeyError, TypeError, ValueError):
        return _ZERO


def _old(part: MarketPnl, now_ms: int) -> bool:
    return part.marked_at_ms is None or now_ms - part.marked_at_ms > _FRESH_MS


def _worth(part: MarketPnl) -> Decimal:
    if part.mid is None or part.multiplier is None:
        return _ZERO
    return abs(part.quantity) * part.multiplier * part.mid
