"""What a panic saw of one account, and how it is told.

The one rule: "zero" stands here only while the last word of the venue was zero, read twice.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal


@dataclass(slots=True, kw_only=True)
class Seen:
    """Grows while a panic works on one account; times are unix milliseconds of our clock.

    `orders_left` is what the venue listed last, None while it was never read. `positions` holds
    signed base units by symbol, None where they could not be read, and `why` what hindered.
    """

    venue: str
    account: str
    flatten: bool
    cancel_confirmed: bool = False
    orders_left: int | None = None
    orders_zero_ms: int | None = None
    positions: dict[str, Decimal | None] = field(default_factory=dict)
    positions_zero_ms: int | None = None
    why: dict[str, str] = field(default_factory=dict)
    came_back: int = 0
    looked_again_ms: int | None = None
    trouble: str = ""

    @property
    def name(self) -> str:
        """Venue and account."""
        return f"{self.venue}/{self.account}"

    @property
    def verified(self) -> bool:
        """Whether everything asked for was seen to be zero twice, and once more seconds later."""
        zero = self.orders_zero_ms is not None and self.looked_again_ms is not None
        return zero and (self.positions_zero_ms is not None or not self.flatten)

    def orders_listed(self, count: int, *, twice_at_ms: int | None = None) -> None:
        """The venue listed so many; `twice_at_ms` when it was the second look that gave zero."""
        self.orders_left = count
        if count:
            self.orders_zero_ms = self.looked_again_ms = None
        elif twice_at_ms is not None:
            self.orders_zero_ms = twice_at_ms

    def none_held(self, *, twice_at_ms: int) -> None:
        """The venue stated no position, the second time in a row."""
        self.positions.clear()
        self.why.clear()
        self.positions_zero_ms = twice_at_ms

    def all_zero_again(self, *, at_ms: int) -> None:
        """A look some time after everything was zero found it still so."""
        self.looked_again_ms = at_ms

    def held(self, symbols: tuple[str, ...]) -> None:
        """The venue states positions in these markets, and in no other."""
        self.positions_zero_ms = self.looked_again_ms = None
        for gone in self.positions.keys() - set(symbols):
            del self.positions[gone]
            self.why.pop(gone, None)
        for symbol in symbols:
            self.positions.setdefault(symbol, None)


def sentence(seen: Seen) -> str:
    """One line for a person."""
    word = "verified" if seen.verified else "NOT VERIFIED"
    parts = [f"{seen.name}: {word}", _orders(seen), _positions(seen)]
    if seen.came_back:
        parts.append(
            f"{seen.came_back} orders came back and were cancelled again: somebody still quotes"
            " this account; stop the workers of other machines too"
        )
    if seen.trouble and not seen.verified:
        parts.append(seen.trouble)
    return "; ".join(parts)


def document(seen: Seen) -> dict[str, object]:
    """The same for programs; times are ISO 8601 in UTC, quantities texts."""
    return {
        "venue": seen.venue,
        "account": seen.account,
        "verified": seen.verified,
        "cancel_confirmed": seen.cancel_confirmed,
        "orders_left": seen.orders_left,
        "orders_zero_twice_at": _time(seen.orders_zero_ms),
        "flatten": seen.flatten,
        "positions": {
            symbol: None if left is None else str(left) for symbol, left in seen.positions.items()
        },
        "positions_zero_twice_at": _time(seen.positions_zero_ms),
        "looked_again_at": _time(seen.looked_again_ms),
        "came_back": seen.came_back,
        "trouble": "" if seen.verified else seen.trouble,
        "why": dict(seen.why),
    }


def _orders(seen: Seen) -> str:
    if seen.orders_zero_ms is not None:
        again = "" if seen.looked_again_ms is None else f", again at {_clock(seen.looked_again_ms)}"
        return f"no orders (listed zero twice at {_clock(seen.orders_zero_ms)}{again})"
    if seen.orders_left is None:
        return "orders could not be listed"
    if not seen.orders_left:
        return "orders listed zero once only"
    return f"{seen.orders_left} orders left"


def _positions(seen: Seen) -> str:
    if seen.positions_zero_ms is not None:
        return f"no positions (zero twice at {_clock(seen.positions_zero_ms)})"
    if not seen.flatten:
        kept = ", ".join(seen.positions)
        return f"positions kept in {kept} (--flatten closes them)" if kept else "positions not read"
    left = ", ".join(
        f"{symbol} {'unread' if held is None else held}{_because(seen.why.get(symbol))}"
        for symbol, held in seen.positions.items()
    )
    return f"positions left: {left}" if left else "positions not verified"


def _because(why: str | None) -> str:
    return f" ({why})" if why else ""


def _time(wall_ms: int | None) -> str | None:
    return None if wall_ms is None else datetime.fromtimestamp(wall_ms / 1_000, UTC).isoformat()


def _clock(wall_ms: int) -> str:
    return f"{datetime.fromtimestamp(wall_ms / 1_000, UTC):%H:%M:%S} UTC"
