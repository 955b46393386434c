"""Counts what sessions do, under the names of the telemetry catalogue."""

from desk.identity import MarketId
from desk.orders import BatchOutcome, OutcomeKind
from infra.telemetry.setup import Meters


class MarketMeter:
    """`quoting.dispatch.SessionMeter` for one market."""

    def __init__(self, meters: Meters, market: MarketId) -> None:
        self._meters = meters
        self._market = {"market": market.path}

    def tick_to_wire(self, nanoseconds: int) -> None:
        """From a book update read to order bytes handed to the socket."""
        self._meters.tick_to_wire.record(nanoseconds / 1e6, self._market)

    def answered(self, outcome: BatchOutcome) -> None:
        """One batch was answered."""
        self._meters.orders_sent.add(len(outcome.orders), self._market)
        for order in outcome.orders:
            if order.kind is OutcomeKind.REJECTED:
                reason = order.reason.value if order.reason else "other"
                self._meters.orders_rejected.add(1, {**self._market, "reason": reason})
            elif order.kind is OutcomeKind.UNRESOLVED:
                self._meters.orders_unresolved.add(1, self._market)

    def denied(self, reason: str) -> None:
        """Our gate refused a batch."""
        self._meters.orders_denied.add(1, {**self._market, "reason": reason})

    def filled(self) -> None:
        """One fill was heard."""
        self._meters.fills.add(1, self._market)
