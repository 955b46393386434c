"""One open break, until a named person or a written rule settles it: minutes, or days.

The one rule: nothing settles it but a decision that can be read, and what was decided stands in
the record before a market goes on. Limits: a few signals, one look every ten minutes.
"""

from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.breaks import BreakActivities
from activities.breaks_messages import (
    BreakLook,
    BreakSettled,
    LookBreakInput,
    SettleBreakInput,
    TellBreakInput,
    TellMarketsInput,
)
from desk.break_rules import BreakRule
from desk.breaks import Break
from desk.identity import MarketId
from workflows import names, policies
from workflows.breaks_messages import (
    BreakEvent,
    BreakStatus,
    CarriedBreak,
    SettleBreak,
    StartBreak,
)
from workflows.breaks_page import alarm_text, break_page
from workflows.said import read_form

_LOOK_S: Final = 600
_HOUR_S: Final = 3_600
_DOUBLED: Final = 4
_DAILY_H: Final = 24
_SETTLE_PATIENCE: Final = timedelta(minutes=3)
_KEPT: Final = 50
_SOME: Final = MarketId("venue", "account", "symbol")


@workflow.defn(name=names.BREAK_WORKFLOW)
class BreakWorkflow:
    """Keeps one break in sight, and the gate behind it closed."""

    @workflow.init
    def __init__(self, start: StartBreak) -> None:
        carried = start.carried or CarriedBreak()
        self._start = start
        self._told, self._alarms = carried.told, carried.alarms
        self._refused, self._rule_tried = carried.refused, carried.rule_tried
        self._history = list(carried.history)
        self._asked: list[SettleBreak] = []
        self._look_now = False
        self._rule_again_s = 0
        self._found = carried.found
        self._known: Break | None = None
        self._rule: BreakRule | None = None

    @workflow.run
    async def run(self, start: StartBreak) -> BreakStatus:  # noqa: ARG002 - taken in __init__
        """Look, tell, wait and settle, until the record says that it is settled."""
        known = await self._look()
        while known.open:
            await self._tell(known)
            await self._rest(known)
            if self._asked:
                await self._settle(known, self._asked.pop(0))
            elif self._rule_due(known) <= 0:
                await self._apply_rule(known)
            known = await self._look()
            if known.open and workflow.info().is_continue_as_new_suggested():
                await self._continue()
        await self._let_go(known)
        return self.status()

    # --- looking and waiting ---------------------------------------------------------------

    async def _look(self) -> Break:
        """What the record says; the gate agrees with it afterwards."""
        self._look_now = False
        look: BreakLook = await workflow.execute_activity_method(
            BreakActivities.look_at_break,
            LookBreakInput(number=self._start.number),
            start_to_close_timeout=policies.READ_TIMEOUT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary=f"is break {self._start.number} open, and its gate closed",
        )
        first, self._known, self._rule = self._known is None, look.known, look.rule
        another = self._found is not None and self._found != look.known.found
        if another:
            self._begin_again()
        self._found = look.known.found
        if first or another or not look.known.open:
            self._mark(look.known)
        self._show()
        return look.known

    def _begin_again(self) -> None:
        """A record that was set back gave this number to another difference: nobody was told."""
        self._told, self._alarms = False, 0
        self._rule_tried, self._rule_again_s = False, 0
        self._note("the record was set back: from here on this number is another difference")
        for asked in self._asked:
            self._refuse(f"{asked.by}: not settled: this number is another difference by now")
        self._asked.clear()

    async def _rest(self, known: Break) -> None:
        """Until somebody says something, or something is due."""
        until_s = min(_LOOK_S, self._alarm_due(known), self._rule_due(known))
        try:
            await workflow.wait_condition(
                lambda: bool(self._asked) or self._look_now,
                timeout=timedelta(seconds=max(1, until_s)),
            )
        except TimeoutError:
            return

    def _age_s(self, known: Break) -> int:
        return int(workflow.now().timestamp()) - known.found.found_at_ms // 1_000

    def _alarm_due(self, known: Break) -> int:
        """Seconds until a person is reminded: after 1, 2, 4, 8 and 16 hours, then each day."""
        hours = 1 << min(self._alarms, _DOUBLED)
        hours += _DAILY_H * max(0, self._alarms - _DOUBLED)
        return hours * _HOUR_S - self._age_s(known)

    def _rule_due(self, known: Break) -> int:
        """Seconds until the written rule applies; beyond any wait where there is none."""
        if self._rule is None or self._rule_tried:
            return _LOOK_S
        now_s = int(workflow.now().timestamp())
        return max(self._rule.after_s - self._age_s(known), self._rule_again_s - now_s)

    # --- settling --------------------------------------------------------------------------

    async def _settle(self, known: Break, asked: SettleBreak) -> None:
        request = SettleBreakInput(
            number=known.number,
            decision=asked.chosen,
            by=asked.by,
            reason=asked.reason,
            found=known.found,
            price=asked.price,
        )
        await self._decide(request)

    async def _apply_rule(self, known: Break) -> None:
        """Until it has an answer; what it cannot settle is a person's."""
        assert self._rule is not None  # noqa: S101 - it is due
        request = SettleBreakInput(
            number=known.number,
            decision=self._rule.decision,
            by=f"rule {self._rule.name}",
            reason=f"open for {self._age_s(known)} s, as the rule says",
            found=known.found,
            largest=self._rule.largest,
        )
        self._rule_tried = await self._decide(request)
        self._rule_again_s = int(workflow.now().timestamp()) + _LOOK_S

    async def _decide(self, request: SettleBreakInput) -> bool:
        """False when nobody could answer."""
        try:
            settled: BreakSettled = await workflow.execute_activity_method(
                BreakActivities.settle_named,
                request,
                start_to_close_timeout=policies.WRITE_TIMEOUT,
                schedule_to_close_timeout=_SETTLE_PATIENCE,
                retry_policy=policies.IDEMPOTENT_WRITE,
                summary=f"{request.decision.value}, by {request.by}",
            )
        except ActivityError as error:
            self._refuse(f"{request.by}: not settled, ask again: {error.cause}")
            return False
        if settled.refused:
            self._refuse(f"{request.by}: not settled: {settled.refused}")
        elif settled.booked:
            self._note(f"settled by {request.by}: {request.reason}; {settled.booked}")
        return True

    async def _let_go(self, known: Break) -> None:
        """Say that it is over, and have the markets that waited for it go on."""
        text = f"break {known.number} settled by {known.settled_by}: {known.reason}"
        decision = known.decision.value if known.decision else "settled"
        await self._say(known, f"break settled: {decision}", text, "info")
        told = await workflow.execute_activity_method(
            BreakActivities.tell_markets,
            TellMarketsInput(known=known, beginning=_beginning()),
            start_to_close_timeout=policies.WRITE_TIMEOUT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary="markets that waited for it go on",
        )
        still = f", {told.still_held} are held by another break" if told.still_held else ""
        self._note(f"{told.told} markets were told{still}")

    # --- telling ---------------------------------------------------------------------------

    async def _tell(self, known: Break) -> None:
        """The first word to a person, and a reminder when one is due."""
        first, due = not self._told, self._alarm_due(known) <= 0
        while self._alarm_due(known) <= 0:
            self._alarms += 1
        if first or due:
            text = alarm_text(self.status(), self._age_s(known) // _HOUR_S)
            await self._say(known, "break opened" if first else "break open", text, "critical")
            self._told = True

    async def _say(self, known: Break, kind: str, text: str, severity: str) -> None:
        await workflow.execute_activity_method(
            BreakActivities.tell_break,
            TellBreakInput(
                known=known,
                kind=kind,
                text=text,
                by=known.settled_by or known.found.found_by,
                severity=severity,
            ),
            start_to_close_timeout=policies.READ_TIMEOUT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary=kind,
        )

    def _refuse(self, text: str) -> None:
        self._refused += 1
        self._note(text)

    def _note(self, text: str) -> None:
        self._history.append(BreakEvent(at=workflow.now().isoformat(), text=text))
        del self._history[:-_KEPT]
        self._show()

    def _mark(self, known: Break) -> None:
        found = known.found
        state = found.kind.value if known.open else "settled"
        workflow.upsert_search_attributes(
            [
                names.VENUE.value_set(found.venue),
                names.MARKET.value_set(found.symbol or found.account),
                names.MARKET_STATE.value_set(f"break_{state}"),
                names.FLEET_ID.value_set(self._start.fleet),
                names.HALTED.value_set(known.open),
            ]
        )

    def _show(self) -> None:
        workflow.set_current_details(break_page(self.status()))

    async def _continue(self) -> None:
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._asked:
            return
        carried = CarriedBreak(
            told=self._told,
            alarms=self._alarms,
            refused=self._refused,
            rule_tried=self._rule_tried,
            found=self._found,
            history=tuple(self._history),
        )
        workflow.continue_as_new(self._start.model_copy(update={"carried": carried}))

    # --- what people say -------------------------------------------------------------------

    @workflow.signal(
        description='Settle it: {"decision": "venue", "by": "you", "reason": "why"}; "venue" books '
        'what our side lacks, "recheck" books nothing.'
    )
    def settle(self, *said: object) -> None:
        """Take a decision; what cannot be read settles nothing."""
        request, misread = read_form(SettleBreak, said)
        if request is None:
            self._refuse(f"not settled: {misread}")
        else:
            self._asked.append(request)

    @workflow.signal(description="Look at the record now. {}")
    def look(self, *said: object) -> None:
        """Look now."""
        del said
        self._look_now = True

    @workflow.query(description="Both sides, since when, and what was decided.")
    def status(self) -> BreakStatus:
        """What this break is about."""
        known = self._known
        if known is None:
            return BreakStatus(
                number=self._start.number,
                open=True,
                refused=self._refused,
                history=tuple(self._history),
            )
        found = known.found
        return BreakStatus(
            number=known.number,
            open=known.open,
            kind=found.kind.value,
            scope=found.scope,
            text=found.text,
            ours=found.ours,
            theirs=found.theirs,
            found_by=found.found_by,
            found_at_ms=found.found_at_ms,
            last_seen_ms=known.last_seen_ms,
            decision=known.decision.value if known.decision else "",
            settled_by=known.settled_by or "",
            reason=known.reason,
            rule="" if self._rule is None else self._rule.name,
            refused=self._refused,
            alarms=self._alarms,
            history=tuple(self._history),
        )


def _beginning() -> str:
    """What comes before a market's path in its workflow's id."""
    return names.market_workflow_id(_SOME).removesuffix(_SOME.path)
