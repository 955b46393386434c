"""Which error the engine gives for which fault, in one table (zo.md sections 7 and 11.4).

Most of the mapping is inferred from the names; a setting may replace any number.
"""

from collections.abc import Mapping

from desk.orders import RejectReason
from venues.simulation.faults import FaultKind
from venues.zo.schema.nord_pb2 import Error
from venues.zo.simulator.settings import Revision

REASONS: dict[RejectReason, str] = {
    RejectReason.POST_ONLY: "POST_ONLY_MUST_NOT_FILL_ANY_OPPOSITE_ORDERS",
    RejectReason.MARGIN: "RISK_OMF_LESS_THAN_OR_EQUAL_IMF",
    RejectReason.DUPLICATE: "REPEATED_ORDER_ID",
    RejectReason.UNKNOWN_MARKET: "MARKET_NOT_FOUND",
    RejectReason.UNKNOWN_ORDER: "ORDER_NOT_FOUND",
    RejectReason.HALTED: "MARKET_FROZEN",
    RejectReason.PRICE_BAND: "ORDER_EXECUTION_LIMIT_PRICE",
    RejectReason.REDUCE_ONLY: "POSITION_NOT_FOUND",
    RejectReason.NOT_FILLED: "IMMEDIATE_ORDER_GOT_NO_FILLS",
    RejectReason.INVALID: "INVALID",
}

INJECTED: dict[FaultKind, str] = {
    FaultKind.SESSION_EXPIRED: "SESSION_NOT_FOUND",
    FaultKind.KEY_REVOKED: "SESSION_NOT_FOUND",
    FaultKind.MARGIN_REJECT: "RISK_OMF_LESS_THAN_OR_EQUAL_IMF",
    FaultKind.POST_ONLY_REJECT: "POST_ONLY_MUST_NOT_FILL_ANY_OPPOSITE_ORDERS",
    FaultKind.DUPLICATE_ID: "REPEATED_ORDER_ID",
}

_OLD: dict[str, int] = {
    "DECODE_FAILURE": 2,
    "ATOMICS": 256,
    "ATOMICS_TRADES_CANNOT_FOLLOW_PLACES": 256,
    "ATOMICS_CANCELS_CANNOT_FOLLOW_TRADES_PLACES": 257,
}

REASON_OF_CODE: dict[str, RejectReason] = {
    name: reason for reason, name in REASONS.items() if reason is not RejectReason.INVALID
}


class Refusal(Exception):
    """An action the engine does not execute; `name` is the error's, `number` when it has none."""

    def __init__(self, name: str, detail: str = "", *, number: int | None = None) -> None:
        super().__init__(f"{name}: {detail}" if detail else name)
        self.name = name
        self.detail = detail
        self.number = number

    @property
    def reason(self) -> RejectReason:
        """The nearest reason in the words of all venues."""
        return REASON_OF_CODE.get(self.name, RejectReason.OTHER)


def number_of(refusal: Refusal, revision: Revision, replaced: Mapping[str, int]) -> int:
    """The number on the wire."""
    if refusal.number is not None:
        return refusal.number
    if refusal.name in replaced:
        return replaced[refusal.name]
    if revision is Revision.R2025_12 and refusal.name in _OLD:
        return _OLD[refusal.name]
    return int(Error.Value(refusal.name))
