"""A recorded crowd: levels as the recording set them, and takers as it heard them.

Our orders queue behind the crowd at the same price; nothing recorded is invented or left out
within the window of prices shown.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path

from desk.errors import ConfigurationFault
from desk.orders import TimeInForce
from desk.units import BPS, NS_PER_MS, NS_PER_S, Lots, Side, Ticks
from venues.simulation.engine import Engine
from venues.simulation.flow import crowd_account, taker_account
from venues.simulation.orders import OrderRequest
from venues.simulation.recording import Message, RecordedBook, messages

_SHIFT_EVERY_NS = 100 * NS_PER_MS
_RECENTRE_PART = 4


class ReplayFlow:
    """Replays one recording into one market, from the start again when it ends.

    `rate` makes it faster or slower than life. Only levels within `window_bps` of the middle are
    put into the book. Opens its own house accounts. A shock shifts all recorded prices by a
    growing offset, which stays until the recording starts over.
    """

    def __init__(
        self,
        engine: Engine,
        symbol: str,
        path: Path | str,
        *,
        instrument: str | None = None,
        rate: Decimal = Decimal(1),
        window_bps: Decimal = Decimal(100),
    ) -> None:
        self._engine = engine
        self._symbol = symbol
        self._path = Path(path)
        self._instrument = instrument
        self._rate = rate
        self._window_bps = window_bps
        self._tick = engine.market_rules(symbol).instrument.tick_size
        self._book = RecordedBook(engine.market_rules(symbol).instrument)
        self._tape: Iterator[Message] = iter(())
        self._next: Message | None = None
        self._started_ns: int | None = None
        self._first_ns = 0
        self._last_ns = 0
        self._placed: dict[tuple[Side, Ticks], Lots] = {}
        self._centre = Decimal(0)
        self._stale = True
        self._offset = 0
        self._drift = Decimal(0)
        self._shifted_ns = 0
        self._shock_bps = 0
        self._shock_left_ns = 0
        engine.open_account(crowd_account(symbol), Decimal(0), house=True)
        engine.open_account(taker_account(symbol), Decimal(0), house=True)

    def shock(self, bps_per_s: int, direction: int, duration_s: int) -> None:
        """Shift the recorded prices one way from the next step on; replaces one under way."""
        self._shock_bps = bps_per_s * (1 if direction > 0 else -1)
        self._shock_left_ns = duration_s * NS_PER_S

    def step(self, now_ns: int) -> None:
        """Apply all messages that are due; ConfigurationFault when there is nothing to replay."""
        if self._started_ns is None or self._next is None:
            self._rewind(now_ns)
        elapsed_ns = max(0, now_ns - self._last_ns)
        self._last_ns = now_ns
        if not self._engine.tradable(self._symbol):
            self._stale = True
        started_ns = now_ns if self._started_ns is None else self._started_ns
        due_ns = self._first_ns + int((now_ns - started_ns) * self._rate)
        changed = False
        while self._next is not None and self._next.at_ns <= due_ns:
            self._apply(self._next)
            self._next = next(self._tape, None)
            changed = True
        shifted = self._shift(now_ns, elapsed_ns)
        if changed or shifted:
            self._follow_middle(shifted=shifted)

    # --- the tape ---------------------------------------------------------------------------

    def _rewind(self, now_ns: int) -> None:
        self._tape = messages(self._path, self._instrument)
        self._next = next(self._tape, None)
        if self._next is None:
            raise ConfigurationFault(f"replay: {self._path} holds no snapshot to start from")
        self._started_ns = self._last_ns = now_ns
        self._first_ns = self._next.at_ns
        self._offset = 0
        self._drift = Decimal(0)

    def _apply(self, message: Message) -> None:
        if message.kind == "trade":
            for row in message.rows:
                self._take(*self._book.trade(row))
            return
        if message.kind == "snapshot":
            self._book.clear()
            self._stale = True
        touched = {self._book.set(row): None for row in message.rows}
        if self._stale:
            self._rebuild()
        else:
            self._set((side, price, self._book.lots(side, price)) for side, price in touched)

    def _take(self, side: Side, price: Ticks, lots: Lots) -> None:
        if not lots:
            return
        request = OrderRequest(
            symbol=self._symbol,
            side=side,
            lots=lots,
            price=max(1, price + self._offset),
            time_in_force=TimeInForce.IOC,
        )
        self._engine.submit(taker_account(self._symbol), request)

    # --- the book shown ---------------------------------------------------------------------

    def _set(self, levels: Iterable[tuple[Side, Ticks, Lots]]) -> None:
        """Show recorded levels; what shrinks goes first, so the crowd never crosses itself."""
        reach = self._centre * self._window_bps / BPS
        low, high = int(self._centre - reach), int(self._centre + reach)
        less: list[tuple[Side, Ticks, Lots]] = []
        more: list[tuple[Side, Ticks, Lots]] = []
        for side, recorded, lots in levels:
            key = side, recorded + self._offset
            shown = lots if low <= recorded <= high and key[1] > 0 else 0
            before = self._placed.get(key, 0)
            if not shown and not before:
                continue
            (more if shown > before else less).append((side, key[1], shown))
            if shown:
                self._placed[key] = shown
            else:
                self._placed.pop(key, None)
        self._engine.set_levels(crowd_account(self._symbol), self._symbol, less + more)

    def _rebuild(self) -> None:
        """Show the whole recorded book anew around its middle."""
        middle = self._book.middle()
        if middle is None or not self._engine.tradable(self._symbol):
            return
        self._centre = middle
        self._stale = False
        recorded = [(Side.BUY, price, lots) for price, lots in self._book.bids.items()]
        recorded += [(Side.SELL, price, lots) for price, lots in self._book.asks.items()]
        kept = {(side, price + self._offset) for side, price, _ in recorded}
        gone = [(side, price - self._offset, 0) for side, price in self._placed.keys() - kept]
        self._set(gone + recorded)

    def _follow_middle(self, *, shifted: bool) -> None:
        """Keep the window around the middle, and tell the engine the index."""
        middle = self._book.middle()
        if middle is None:
            return
        reach = self._centre * self._window_bps / BPS
        if shifted or self._stale or abs(middle - self._centre) * _RECENTRE_PART > reach:
            self._rebuild()
        self._engine.set_index(self._symbol, (middle + self._offset) * self._tick)

    def _shift(self, now_ns: int, elapsed_ns: int) -> bool:
        """Let a shock drift; True when the book must be shown at a new offset."""
        if self._shock_left_ns > 0:
            span_ns = min(elapsed_ns, self._shock_left_ns)
            self._shock_left_ns -= span_ns
            self._drift += self._centre * self._shock_bps * span_ns / (BPS * NS_PER_S)
        offset = int(self._drift)
        due = self._shock_left_ns <= 0 or now_ns - self._shifted_ns >= _SHIFT_EVERY_NS
        if offset == self._offset or not due:
            return False
        self._shifted_ns = now_ns
        self._offset = offset
        return True
