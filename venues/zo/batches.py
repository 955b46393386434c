"""A batch as the fewest atomics, cancels first across all of them; and what their answers mean.

An atomic is all or nothing, so its orders share their fate (zo.md section 4.4).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from desk.orders import Batch, BatchOutcome, NewOrder, OrderOutcome, OutcomeKind, RejectReason
from venues.zo.schema import nord_pb2 as pb


@dataclass(frozen=True, slots=True)
class Target:
    """One order to cancel: our id and the engine's."""

    client_id: str
    order_id: int


@dataclass(frozen=True, slots=True)
class Step:
    """One atomic: cancels, then orders."""

    cancels: tuple[Target, ...]
    orders: tuple[NewOrder, ...]


def steps_of(targets: Sequence[Target], orders: Sequence[NewOrder], size: int) -> list[Step]:
    """Fewest atomics of at most `size`; no order goes before the last cancel."""
    steps = []
    for start in range(0, len(targets) + len(orders), size):
        cancels = tuple(targets[start : start + size])
        first = max(0, start - len(targets))
        steps.append(Step(cancels, tuple(orders[first : first + size - len(cancels)])))
    return steps


@dataclass(slots=True)
class Progress:
    """What is known of a batch while its atomics are answered one after the other.

    `failed` is UNKNOWN_ORDER once a cancel named an order that the venue no longer has. Orders
    may leave until `send_by_ns`, None for ever.
    """

    batch: Batch
    sent_ns: int
    send_by_ns: int | None = None
    answered_ns: int | None = None
    retry_after_s: float | None = None
    failed: RejectReason | None = None
    outcomes: dict[str, OrderOutcome] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    resting: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)

    def executed(self, step: Step, outcomes: Iterable[OrderOutcome]) -> None:
        """The atomic was executed whole."""
        self.gone.update(target.client_id for target in step.cancels)
        self.outcomes.update({one.client_order_id: one for one in outcomes})

    def untouched(self, step: Step, reason: RejectReason, message: str) -> None:
        """Nothing of the atomic was executed."""
        self.resting.update(target.client_id for target in step.cancels)
        self._everyone(step, OutcomeKind.REJECTED, reason, message)

    def open_ended(self, step: Step, reason: RejectReason | None, message: str) -> None:
        """Nobody knows whether the atomic was executed."""
        self.unknown.update(target.client_id for target in step.cancels)
        self._everyone(step, OutcomeKind.UNRESOLVED, reason, message)

    def outcome(self) -> BatchOutcome:
        """The answer for the whole batch.

        `old_gone` is False as soon as one order to cancel certainly rests and none is unknown;
        those that are gone are told by order updates.
        """
        old_gone: bool | None = None
        if not self.unknown:
            nothing_named = not (self.gone or self.batch.replace_all)
            old_gone = not (self.resting or nothing_named)
        return BatchOutcome(
            batch_id=self.batch.batch_id,
            orders=tuple(
                self.outcomes.get(one.client_order_id, _forgotten(one)) for one in self.batch.orders
            ),
            old_gone=old_gone,
            sent_ns=self.sent_ns,
            answered_ns=self.answered_ns,
            retry_after_s=self.retry_after_s,
        )

    def _everyone(
        self, step: Step, kind: OutcomeKind, reason: RejectReason | None, message: str
    ) -> None:
        for order in step.orders:
            self.outcomes[order.client_order_id] = OrderOutcome(
                client_order_id=order.client_order_id, kind=kind, reason=reason, message=message
            )


def outcome_of(order: NewOrder, number: int, result: pb.PlaceOrderResult) -> OrderOutcome:
    """What a receipt says of one placement; `number` is the id it was sent with."""
    filled = sum(fill.size for fill in result.fills)
    named = result.client_order_id if result.HasField("client_order_id") else number
    kind, reason, message = OutcomeKind.ACCEPTED, None, ""
    if named != number:
        kind, message = OutcomeKind.UNRESOLVED, f"the receipt speaks of {named} in its place"
    elif not result.HasField("posted") and not filled:
        kind, reason = OutcomeKind.REJECTED, RejectReason.NOT_FILLED
        message = "nothing was filled and nothing rests"
    return OrderOutcome(
        client_order_id=order.client_order_id,
        kind=kind,
        venue_order_id=str(result.posted.order_id) if result.HasField("posted") else None,
        reason=reason,
        message=message,
        filled=filled,
    )


def _forgotten(order: NewOrder) -> OrderOutcome:
    return OrderOutcome(
        client_order_id=order.client_order_id,
        kind=OutcomeKind.REJECTED,
        reason=RejectReason.NOT_SENT,
        message="not sent: an earlier part of its batch failed",
    )
