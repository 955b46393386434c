"""Keeps a workflow's word as a control decision, and tells a person where that is asked for."""

from activities.flatten_messages import FlattenWord
from activities.messages import DecisionInput
from activities.ports import ActivityPorts
from desk.records import ControlDecision
from desk.units import NS_PER_MS


async def keep_decision(
    ports: ActivityPorts, said: DecisionInput | FlattenWord, severity: str
) -> None:
    """Record what was decided; then alert with this severity, unless it is empty."""
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
    if severity:
        await ports.alerts.alert(said.market, severity, f"{said.kind}: {said.reason}")
