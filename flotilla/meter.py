"""Counts what sessions do, under the names of the telemetry catalogue."""

from desk.identity import MarketId
from desk.orders import BatchOutcome, OutcomeKind
from infra.telemetry import catalogue
from infra.telemetry.setup import Telemetry

_BY_KIND = {
    OutcomeKind.ACCEPTED: catalogue.ORDERS_ACCEPTED,
    OutcomeKind.REJECTED: catalogue.ORDERS_REJECTED,
    OutcomeKind.UNRESOLVED: catalogue.ORDERS_UNRESOLVED,
}


class MarketMeter:
    """`quoting.dispatch.SessionMeter` for one market."""

    def __init__(self, telemetry: Telemetry, market: MarketId) -> None:
        self._market = {"market": market.path}
        self._tick_to_wire = telemetry.recorder(catalogue.TICK_TO_WIRE)
        self._venue_answer = telemetry.recorder(catalogue.VENUE_ANSWER)
        self._sent = telemetry.recorder(catalogue.ORDERS_SENT)
        self._denied = telemetry.recorder(catalogue.ORDERS_DENIED)
        self._fills = telemetry.recorder(catalogue.FILLS)
        self._by_kind = {kind: telemetry.recorder(metric) for kind, metric in _BY_KIND.items()}

    def tick_to_wire(self, nanoseconds: int) -> None:
        """From a book update read to order bytes handed to the socket."""
        self._tick_to_wire(nanoseconds / 1e6, self._market)

    def answered(self, outcome: BatchOutcome) -> None:
        """One batch was answered."""
        self._sent(len(outcome.orders), self._market)
        if outcome.answered_ns is not None:
            self._venue_answer((outcome.answered_ns - outcome.sent_ns) / 1e6, self._market)
        for order in outcome.orders:
            if order.kind in self._by_kind:
                self._by_kind[order.kind](1, self._market)

    def denied(self, reason: str) -> None:
        """Our gate refused a batch."""
        self._denied(1, {**self._market, "reason": reason})

    def filled(self) -> None:
        """One fill was heard."""
        self._fills(1, self._market)
