"""What the venue itself recorded of one market: the judge of every fault test.

It believes nothing that our own processes say.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from desk.identity import OrderIdentity
from venues.zo.client_ids import unpack

ACCOUNT = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """One order of ours the venue took, decoded."""

    at_ns: int
    sequence: int
    order_id: str
    identity: OrderIdentity
    rests: bool
    reduce_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OurTrade:
    """One execution of ours: price in ticks, lots positive when bought."""

    at_ns: int
    sequence: int
    client_order_id: str
    price: int
    lots: int


class VenueLog:
    """The venue's events of our account in one market, in the venue's order.

    `tag` is the market's; only a venue that takes whole numbers for ids needs it to read them.
    """

    def __init__(self, events: Sequence[Mapping[str, Any]], symbol: str, *, tag: str = "") -> None:
        self._events = [event for event in events if event.get("symbol") == symbol]
        self._tag = tag

    @property
    def sequence(self) -> int:
        """Number of the newest event."""
        return int(self._events[-1]["sequence"]) if self._events else 0

    def accepted(self) -> list[Accepted]:
        """Orders taken; an id that is not of our making is a failure by itself."""
        found = []
        for event in self._of("OrderAccepted"):
            identity = self._identity(event["client_order_id"] or "")
            assert identity is not None, f"a stranger's order: {event}"
            found.append(
                Accepted(
                    at_ns=event["at_ns"],
                    sequence=event["sequence"],
                    order_id=event["order_id"],
                    identity=identity,
                    rests=event["time_in_force"].lower() != "ioc",
                    reduce_only=event["reduce_only"],
                )
            )
        return found

    def epochs(self) -> list[int]:
        """Epochs that had an order accepted, in the order of their first one."""
        return list(dict.fromkeys(order.identity.epoch for order in self.accepted()))

    def first_of(self, epoch: int) -> Accepted:
        """First order of an epoch."""
        return next(order for order in self.accepted() if order.identity.epoch == epoch)

    def last_of(self, epoch: int) -> Accepted:
        """Last order of an epoch."""
        return [order for order in self.accepted() if order.identity.epoch == epoch][-1]

    def twice_used_ids(self) -> list[str]:
        """Client order ids that were accepted more than once."""
        counts = Counter(event["client_order_id"] for event in self._of("OrderAccepted"))
        return [name for name, count in counts.items() if count > 1]

    def resting(self, *, until_ns: int | None = None, epoch: int | None = None) -> set[str]:
        """Ids of orders that rest at a moment (default: now), of one epoch or of all."""
        mine = {
            order.order_id
            for order in self.accepted()
            if order.rests and epoch in {None, order.identity.epoch}
        }
        found: set[str] = set()
        for event in self._events:
            if until_ns is not None and event["at_ns"] > until_ns:
                break
            if event["event"] == "OrderAccepted":
                found.add(event["order_id"])
            found -= _gone(event)
        return found & mine

    def left_by(self, epoch: int, *, until_ns: int | None = None) -> set[str]:
        """Ids of orders of this epoch and of those before it that rest at a moment."""
        epochs = [number for number in self.epochs() if number <= epoch]
        found: set[str] = set()
        return found.union(*(self.resting(until_ns=until_ns, epoch=one) for one in epochs))

    def gone_ns(self, epoch: int) -> int:
        """When the last order of an epoch left the book (wall time)."""
        left = 0
        mine = {order.order_id for order in self.accepted() if order.identity.epoch == epoch}
        for event in self._events:
            if _gone(event) & mine:
                left = event["at_ns"]
        assert not self.resting(epoch=epoch), f"orders of epoch {epoch} still rest"
        return left

    def positions(self) -> list[int]:
        """Signed lots after each change."""
        return [
            event["lots"] for event in self._of("PositionChanged") if event["account"] == ACCOUNT
        ]

    def flips_after(self, sequence: int) -> list[tuple[int, int]]:
        """Changes of sign of the position after a moment; reaching zero is none."""
        late = [
            event["lots"]
            for event in self._of("PositionChanged")
            if event["account"] == ACCOUNT and event["sequence"] > sequence
        ]
        return [(before, after) for before, after in pairwise(late) if before * after < 0]

    def exits(self) -> list[Accepted]:
        """Orders of a flatten."""
        return [order for order in self.accepted() if order.identity.exit]

    def trade_count(self) -> int:
        """Executions of ours."""
        return sum(ACCOUNT in {event["maker"], event["taker"]} for event in self._of("Trade"))

    def trades(self) -> list[OurTrade]:
        """Executions of ours; one against ourselves counts once for each side."""
        found = []
        for event in self._of("Trade"):
            for side, sign in (("taker", 1), ("maker", -1)):
                if event[side] != ACCOUNT:
                    continue
                bought = sign if event["aggressor"] == "buy" else -sign
                found.append(
                    OurTrade(
                        at_ns=event["at_ns"],
                        sequence=event["sequence"],
                        client_order_id=event[f"{side}_client_order_id"] or "",
                        price=event["price"],
                        lots=bought * event["lots"],
                    )
                )
        return found

    def _identity(self, text: str) -> OrderIdentity | None:
        return unpack(int(text), self._tag) if text.isdecimal() else OrderIdentity.decode(text)

    def _of(self, kind: str) -> list[Mapping[str, Any]]:
        return [event for event in self._events if event["event"] == kind]


def _gone(event: Mapping[str, Any]) -> set[str]:
    if event["event"] == "OrderCancelled":
        return set() if event["remaining"] else {event["order_id"]}
    if event["event"] == "Trade":
        sides = (("maker", event["maker_remaining"]), ("taker", event["taker_remaining"]))
        return {event[f"{side}_order_id"] for side, remaining in sides if remaining == 0}
    return set()
