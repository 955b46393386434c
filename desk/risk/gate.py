"""The one place that approves: quotes and exits pass the same gates, each batch as a whole."""

from desk.orders import Batch
from desk.risk.approval import SEAL, Approved
from desk.risk.context import GateContext, GateLimits
from desk.risk.gates import GATES
from desk.risk.reasons import DenialReason, Denied

__all__ = ["DenialReason", "Denied", "GateContext", "GateLimits", "review"]


def review(batch: Batch, context: GateContext) -> Approved[Batch] | Denied:
    """Ask every gate in order; the first no counts for the whole batch.

    A batch that only cancels meets no gate but the market check: removing risk needs no permission.
    """
    for gate in GATES:
        denied = gate(batch, context)
        if denied is not None:
            return denied
    return Approved(batch, seal=SEAL)
