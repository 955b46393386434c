"""Keeps a workflow's word as a control decision, and tells a person where that is asked for.

The rule: neither waits for the other, so that with PostgreSQL away a person hears of it all the
same. What failed is raised, and the caller repeats both: told twice is better than never.
"""

from activities.flatten_messages import FlattenWord
from activities.messages import DecisionInput
from activities.ports import ActivityPorts
from desk.records import ControlDecision
from desk.units import NS_PER_MS


async def keep_decision(
    ports: ActivityPorts, said: DecisionInput | FlattenWord, severity: str
) -> None:
    """Alert with this severity, unless it is empty; record what was decided, whatever came of it.

    Raises Unavailable.
    """
    try:
        if severity:
            await ports.alerts.alert(said.market, severity, f"{said.kind}: {said.reason}")
    finally:
        await ports.ledger.record_decision(
            ControlDecision(
                market=said.market,
                epoch=said.epoch,
                kind=said.kind,
                reason=said.reason,
                by=said.by,
                evidence=said.evidence,
                at_ms=ports.clock.wall_ns() // NS_PER_MS,
            )
        )
