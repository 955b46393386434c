"""Breaks opened, looked at and settled, and the markets that wait for them told.

The one rule: the record first; the gate follows it, and whoever calls next repairs what a crash
left half done.
"""

import json
from typing import Final

from temporalio import activity
from temporalio.service import RPCError, RPCStatusCode

from activities.break_adjustment import CannotSettle, adjustment_of
from activities.break_gate import keep_gate, keep_gates
from activities.breaks_messages import (
    BreakLook,
    BreakSettled,
    LookBreakInput,
    MarketsTold,
    SettleBreakInput,
    TellBreakInput,
    TellMarketsInput,
)
from activities.failures import as_application_errors
from activities.ports import ActivityPorts
from desk.book_ports import Adjustment
from desk.break_rules import rule_for
from desk.breaks import Break, BreakDecision, FoundBreak
from desk.errors import ConfigurationFault, Unavailable
from desk.identity import MarketId
from desk.records import ControlDecision, KillEffect
from desk.units import NS_PER_MS

_OTHER: Final = (
    "break: number {number} is another difference by now, for the record was set back; look at it "
    "and decide again"
)


async def open_break(ports: ActivityPorts, found: FoundBreak) -> Break:
    """Record a break, and close the gate of its market or account; the break on record.

    Ghosts, orphans and missed fills close no gate: whoever finds them cures and settles them.
    Finding it again changes nothing. Its workflow tells a person, once. Raises Unavailable: then
    call it again; what was done already stands.
    """
    opened = await ports.breaks.open(found)
    await keep_gate(ports, opened.found.scope)
    if opened.found == found:
        activity.logger.error("break %d: %s", opened.number, found.text)
    return opened


async def settle_break(
    ports: ActivityPorts,
    known: Break,
    decision: BreakDecision,
    by: str,
    reason: str,
    adjustment: Adjustment | None = None,
) -> bool:
    """Settle a break, and open its gate unless another one is open there; False when it was over.

    Its workflow hears of it by itself and lets the markets go on. Raises Unavailable: then call it
    again, for the gate may still be closed.
    """
    settled = await ports.breaks.settle(known.number, decision, by, reason, adjustment)
    await keep_gate(ports, known.found.scope, by=by, reason=f"break {known.number}: {reason}")
    return settled


class BreakActivities:
    """What the workflows of breaks and markets ask for."""

    def __init__(self, ports: ActivityPorts) -> None:
        self._ports = ports

    @activity.defn
    async def look_at_break(self, request: LookBreakInput) -> BreakLook:
        """The break as the record has it; its gate is closed, or open, by the time this answers."""
        with as_application_errors():
            known = await self._known(request.number)
            try:
                await keep_gate(self._ports, known.found.scope)
            except Unavailable:
                if not known.open:
                    raise  # a market would be told to go on before it may
        return BreakLook(known=known, rule=rule_for(self._ports.break_rules, known.found.kind))

    @activity.defn
    async def tell_break(self, request: TellBreakInput) -> None:
        """Record what happened to a break, with both sides, and tell a person."""
        found = request.known.found
        market = None
        if found.symbol is not None:
            market = MarketId(found.venue, found.account, found.symbol)
        with as_application_errors():
            await self._ports.ledger.record_decision(
                ControlDecision(
                    market=market,
                    epoch=None,
                    kind=request.kind,
                    reason=request.text,
                    by=request.by,
                    evidence=json.dumps({"ours": found.ours, "theirs": found.theirs}),
                    at_ms=self._ports.clock.wall_ns() // NS_PER_MS,
                )
            )
            if request.severity:
                await self._ports.alerts.alert(market, request.severity, request.text)

    @activity.defn
    async def settle_named(self, request: SettleBreakInput) -> BreakSettled:
        """Settle a break as decided, or say why not. What was settled already stays as it was."""
        with as_application_errors():
            known = await self._known(request.number)
            if not known.open:
                # Perhaps by an attempt of this very activity that died: the gate may be closed.
                await keep_gate(self._ports, known.found.scope)
                return BreakSettled()
            if request.found not in {None, known.found}:
                return BreakSettled(refused=_OTHER.format(number=known.number))
            adjustment = None
            try:
                if request.decision is BreakDecision.VENUE:
                    adjustment = await adjustment_of(self._ports, known, request)
            except CannotSettle as why:
                return BreakSettled(refused=str(why))
            ours = await settle_break(
                self._ports, known, request.decision, request.by, request.reason, adjustment
            )
        return BreakSettled(booked=_words(adjustment)) if ours else BreakSettled()

    @activity.defn
    async def tell_markets(self, request: TellMarketsInput) -> MarketsTold:
        """Let the markets that waited for a break go on, save those that another one holds."""
        told, known = 0, request.known
        with as_application_errors():
            markets = await self._markets(known)
            kills = await self._ports.ledger.active_kills()
            holds = [kill for kill in kills if kill.effect is KillEffect.HOLD]
            free = [one for one in markets if not any(hold.covers(one) for hold in holds)]
        said = {
            "reason": f"break {known.number} was settled by {known.settled_by}: {known.reason}",
            "by": known.settled_by or "flotilla",
        }
        for market in free:
            handle = activity.client().get_workflow_handle(f"{request.beginning}{market.path}")
            try:
                await handle.signal("break_settled", said)
            except RPCError as trouble:
                if trouble.status is not RPCStatusCode.NOT_FOUND:
                    raise
            else:
                told += 1
        return MarketsTold(told=told, still_held=len(markets) - len(free))

    @activity.defn
    async def break_holding(self, market: MarketId) -> str:
        """What holds a market whose books disagreed, in a sentence; empty when it may go on."""
        with as_application_errors():
            held = await keep_gates(self._ports, market)
        return held[0].reason if held else ""

    async def _known(self, number: int) -> Break:
        known = await self._ports.breaks.get(number)
        if known is None:
            raise ConfigurationFault(
                f"break: there is no break {number}; 'flotilla breaks list' shows those there are"
            )
        return known

    async def _markets(self, known: Break) -> tuple[MarketId, ...]:
        found = known.found
        if found.symbol is not None:
            return (MarketId(found.venue, found.account, found.symbol),)
        return tuple(await self._ports.answers.markets(f"account:{found.venue}/{found.account}"))


def _words(adjustment: Adjustment | None) -> str:
    if adjustment is None:
        return "nothing was booked"
    if adjustment.symbol is None:
        return f"{adjustment.amount:+} was booked to the account"
    return f"{adjustment.quantity:+} {adjustment.symbol} was booked at {adjustment.price}"
