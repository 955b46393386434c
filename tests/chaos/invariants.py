"""What must hold of a market whatever died: each rule reads the venue's own log and nothing else.

A rule gives the breaches it found as sentences, none when it holds; it never looks at what our
processes say of themselves, and `test_invariants.py` shows that each can fail.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate, pairwise

from desk.instrument import Instrument
from desk.orders import Fill
from desk.units import NS_PER_MS, NS_PER_S, Side
from tests.chaos.venue_log import Accepted, VenueLog

IN_FLIGHT_NS = NS_PER_S // 2
"""What was on the wire when a gate closed or a process died may be taken this much later."""
DRIFT = Decimal("1.02")
"""A cap is kept at the price of the order; its fill may be valued a little higher."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateClosed:
    """From `at_ms` on nothing that adds risk goes out; `in_flight_ns` is what may be on its way.

    With `exits`, reduce-only orders may: a flatten is what was asked for. At `until_ms` it was
    opened again, None for never.
    """

    at_ms: int
    until_ms: int | None = None
    exits: bool = False
    in_flight_ns: int = IN_FLIGHT_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphaned:
    """From `at_ns` on nobody stands behind the orders of `epoch` and of those before it."""

    epoch: int
    at_ns: int
    gone_within_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was done to a market, and what it was told to keep to."""

    instrument: Instrument
    max_position: Decimal
    gates: tuple[GateClosed, ...] = ()
    orphaned: tuple[Orphaned, ...] = ()
    flat_since: int | None = None
    """Event number from which on a flatten led to exactly zero, when one was asked for."""


def breaches(log: VenueLog, facts: Facts, booked: Sequence[Fill]) -> list[str]:
    """Everything that does not hold at the end of a test."""
    found = [
        *two_owners(log),
        *ids_taken_twice(log),
        *past_the_cap(log, facts.instrument, facts.max_position),
        *booked_otherwise(log, booked),
        *still_resting(log),
    ]
    for gate in facts.gates:
        found += taken_after_the_gate(log, gate)
    for orphan in facts.orphaned:
        found += [*taken_from_the_dead(log, orphan), *left_resting(log, orphan)]
    if facts.flat_since is not None:
        found += not_flat(log, facts.flat_since)
    return found


def taken_after_the_gate(log: VenueLog, gate: GateClosed) -> list[str]:
    """No order is accepted after "gate closed"."""
    closed_ns = (gate.at_ms + 1) * NS_PER_MS + gate.in_flight_ns
    late = [
        order
        for order in log.accepted()
        if order.at_ns >= closed_ns
        and (gate.until_ms is None or order.at_ns < gate.until_ms * NS_PER_MS)
        and not (gate.exits and order.reduce_only)
    ]
    return _told(late, closed_ns, "accepted after its gate closed")


def taken_from_the_dead(log: VenueLog, orphan: Orphaned) -> list[str]:
    """No order of a dead or frozen owner is accepted, also when it is thawed."""
    since_ns = orphan.at_ns + IN_FLIGHT_NS
    late = [
        order
        for order in log.accepted()
        if order.identity.epoch <= orphan.epoch and order.at_ns >= since_ns
    ]
    return _told(late, since_ns, "accepted from an owner that is gone")


def left_resting(log: VenueLog, orphan: Orphaned) -> list[str]:
    """No order rests longer than the bound without a live owner."""
    until_ns = orphan.at_ns + int(orphan.gone_within_s * NS_PER_S)
    left = log.left_by(orphan.epoch, until_ns=until_ns)
    what = f"orders of epochs up to {orphan.epoch} rested without an owner"
    return [f"{len(left)} {what} for more than {orphan.gone_within_s} s"] if left else []


def two_owners(log: VenueLog) -> list[str]:
    """Epochs never go back in the venue's own order: there is one owner at a time."""
    return [
        f"epoch {after.identity.epoch} got an order in after epoch {before.identity.epoch} "
        f"(event {after.sequence})"
        for before, after in pairwise(log.accepted())
        if after.identity.epoch < before.identity.epoch
    ]


def ids_taken_twice(log: VenueLog) -> list[str]:
    """No client order id is accepted twice."""
    return [f"client order id {name} was accepted twice" for name in log.twice_used_ids()]


def past_the_cap(log: VenueLog, instrument: Instrument, max_position: Decimal) -> list[str]:
    """No trade makes the position larger than the cap; positions are added up trade by trade."""
    trades, found = log.trades(), []
    after = list(accumulate(trade.lots for trade in trades))
    for trade, held in zip(trades, after, strict=True):
        worth = instrument.notional(trade.price, held)
        grew = abs(held) > abs(held - trade.lots)
        if grew and worth > max_position * DRIFT:
            found.append(f"position {held} lots is worth {worth:.2f}, above {max_position}")
    return found


def not_flat(log: VenueLog, since: int) -> list[str]:
    """A flatten ends at exactly zero and never passes it."""
    found = [f"position went from {a} to {b} lots" for a, b in log.flips_after(since)]
    held = sum(trade.lots for trade in log.trades())
    return [*found, f"{held} lots are left after the flatten"] if held else found


def booked_otherwise(log: VenueLog, booked: Sequence[Fill]) -> list[str]:
    """The ledger has exactly the venue's executions, each once."""
    venue = Counter((trade.price, trade.lots) for trade in log.trades())
    ledger = Counter((fill.price, _signed(fill)) for fill in booked)
    missing, invented = venue - ledger, ledger - venue
    return [
        f"{sum(difference.values())} executions are only {where}: {sorted(difference)[:3]}"
        for difference, where in ((missing, "at the venue"), (invented, "in the ledger"))
        if difference
    ]


def still_resting(log: VenueLog) -> list[str]:
    """Nothing rests once all is over."""
    left = log.resting()
    return [f"{len(left)} orders rest at the end"] if left else []


def _signed(fill: Fill) -> int:
    return fill.lots if fill.side is Side.BUY else -fill.lots


def _told(orders: Iterable[Accepted], since_ns: int, what: str) -> list[str]:
    return [
        f"order {order.order_id} of epoch {order.identity.epoch} was {what}, "
        f"{(order.at_ns - since_ns) / NS_PER_S:.3f} s too late"
        for order in orders
    ]
