"""What came of a replace: which order was refused or lost, and what stands in its slot after.

Every wait ends with the word for what did not come about.
"""

from desk.orders import NewOrder, OutcomeKind
from desk.records import FillSeen, OrderAnswered, OrderSent
from desk.units import NS_PER_MS, NS_PER_S, Side
from quoting.actions import ClearAll
from tests.venues.x10.quoting_stage import TOUCH, QuotingStage, until
from venues.simulation.events import CancelReason, OrderAccepted, OrderCancelled, OrderRejected

_SLACK_S = 2.0
"""On top of the measured cycle: the grace of 250 ms, a clearing of 150 ms, a busy machine."""


def move(stage: QuotingStage, by: int = 6) -> None:
    """Others quote elsewhere, so both our quotes have to follow."""
    stage.show(TOUCH[0] + by, TOUCH[1] + by)


async def refused(stage: QuotingStage, code: int) -> tuple[NewOrder, str, int]:
    """The order that the venue refused with this code, the one it was to replace, and when."""

    def found() -> list[OrderAnswered]:
        return [one for one in stage.answers() if f" {code} " in one.message]

    await until(lambda: bool(found()), f"nothing was refused with {code}")
    answer = found()[0]
    new = named(stage, answer.client_order_id)
    assert new.replaces is not None
    return new, new.replaces, answer.answered_at_ms * NS_PER_MS


async def lost(stage: QuotingStage) -> tuple[NewOrder, str, int]:
    """The order whose reply was lost, the one it was to replace, and when."""

    def found() -> list[OrderAnswered]:
        return [one for one in stage.answers() if one.kind is OutcomeKind.UNRESOLVED]

    await until(lambda: bool(found()), "no reply was lost")
    new = named(stage, found()[0].client_order_id)
    assert new.replaces is not None
    return new, new.replaces, found()[0].answered_at_ms * NS_PER_MS


async def rejected(stage: QuotingStage) -> tuple[NewOrder, str, int]:
    """The order that the matching engine refused, the one it was to replace, and when."""

    def found() -> list[OrderRejected]:
        return [one for one in stage.log if isinstance(one, OrderRejected)]

    await until(lambda: bool(found()), "nothing was rejected")
    new = named(stage, found()[0].client_order_id or "")
    return new, new.replaces or "", found()[0].at_ns


async def followed(stage: QuotingStage, side: Side, by: int) -> None:
    """Move the book, and wait until this side has followed: so the other had its chance too."""
    before = stage.resting(side)
    move(stage, by)
    await until(lambda: stage.resting(side) not in {None, before}, f"{side} did not follow")


def named(stage: QuotingStage, name: str) -> NewOrder:
    (order,) = [one for one in stage.loop.sent if one.client_order_id == name]
    return order


async def filled_again(
    stage: QuotingStage, side: Side, since_ns: int, cycle_s: float, dead: set[str]
) -> NewOrder:
    """The slot's next order: in time, fresh (replacing nothing), under a new id."""
    await until(lambda: stage.accepted_at(side, since_ns) is not None, f"{side} stayed empty")
    took_s = ((stage.accepted_at(side, since_ns) or 0) - since_ns) / NS_PER_S
    assert took_s < cycle_s + _SLACK_S, (took_s, cycle_s)
    resting = next(
        one
        for one in stage.log
        if isinstance(one, OrderAccepted) and one.side is side and one.at_ns > since_ns
    )
    fresh = named(stage, resting.client_order_id or "")
    assert fresh.replaces is None
    assert fresh.client_order_id not in dead
    later = stage.loop.sent[stage.loop.sent.index(fresh) :]
    assert not dead & {one.replaces for one in later}, "a dead id was to be replaced again"
    await stage.agreed()
    return fresh


def sent_between(stage: QuotingStage, side: Side, refusal: str, trade_id: str) -> list[str]:
    """Orders of a side that went out after this refusal was heard, before this fill was booked."""
    records = stage.ledger.records
    first = next(
        place
        for place, one in enumerate(records)
        if isinstance(one, OrderAnswered) and one.client_order_id == refusal
    )
    last = next(
        place
        for place, one in enumerate(records)
        if isinstance(one, FillSeen) and one.fill.trade_id == trade_id
    )
    return [
        one.client_order_id
        for one in records[first:last]
        if isinstance(one, OrderSent) and one.side is side
    ]


def cleared(stage: QuotingStage) -> bool:
    return any(isinstance(action, ClearAll) for action in stage.loop.actions)


def ends_of(stage: QuotingStage, name: str) -> list[CancelReason]:
    return [one.reason for one in stage.told(name) if isinstance(one, OrderCancelled)]
