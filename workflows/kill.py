"""One kill, kept until every market in its scope has answered with evidence, or it was lifted.

The one rule: nobody is waited for by anybody else: the board, the record and each market are told
and asked on their own, and those who have not answered are asked again, and alarmed, for ever.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.kill import KillActivities
from activities.kill_messages import (
    AlarmInput,
    AnswerInput,
    CollectInput,
    ScopeInput,
    ScopeReport,
)
from desk.identity import MarketId
from workflows import names, policies
from workflows.kill_messages import KillStatus, StartKill
from workflows.kill_page import alarm_text, kill_page
from workflows.kill_record import KillRecord

_TELLING_S: Final = 2
_TELL_AGAIN_S: Final = 3
_FIRST_WAIT_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 15
_ALARM_PATIENCE: Final = timedelta(seconds=20)


@workflow.defn(name=names.KILL_WORKFLOW)
class KillWorkflow:
    """Tells, asks, asks again; completes when all have answered. The kill itself stays in force."""

    @workflow.init
    def __init__(self, start: StartKill) -> None:
        self._start = start
        self._kill = start.kill
        self._record = KillRecord(start)

    @workflow.run
    async def run(self, start: StartKill) -> KillStatus:  # noqa: ARG002 - taken in __init__
        """Round after round until everybody has answered; continues as new between rounds."""
        workflow.upsert_search_attributes([names.FLEET_ID.value_set(self._start.fleet)])
        self._show("telling everybody")
        telling = [asyncio.create_task(self._tell_board()), asyncio.create_task(self._write())]
        await workflow.wait(telling, timeout=_TELLING_S)
        while True:
            await self._round()
            if self._record.complete or self._record.nobody or self._record.over:
                break
            await self._alarm_if_due()
            await workflow.sleep(min(_LONGEST_PAUSE_S, 1 << min(self._record.rounds, 10)))
            if workflow.info().is_continue_as_new_suggested():
                carried = self._record.carried()
                workflow.continue_as_new(self._start.model_copy(update={"carried": carried}))
        for task in telling:
            task.cancel()
        await self._end()
        return self._record.status()

    # --- telling ---------------------------------------------------------------------------

    async def _tell_board(self) -> None:
        """Again and again until the record has it: from there an emptied board is filled."""
        while not (self._record.on_board and self._record.recorded):
            await workflow.execute_activity_method(
                KillActivities.tell_board,
                self._kill,
                start_to_close_timeout=policies.READ_TIMEOUT,
                retry_policy=policies.IDEMPOTENT_WRITE,
                summary="put it on the kill board",
            )
            self._record.on_board = True
            with suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: self._record.recorded, timeout=timedelta(seconds=_TELL_AGAIN_S)
                )

    async def _write(self) -> None:
        if not self._record.recorded:
            await workflow.execute_activity_method(
                KillActivities.record_kill,
                self._kill,
                start_to_close_timeout=policies.READ_TIMEOUT,
                retry_policy=policies.IDEMPOTENT_WRITE,
                summary="write it into the durable record",
            )
            self._record.recorded = True

    # --- asking ----------------------------------------------------------------------------

    async def _round(self) -> None:
        """Look who has to answer, read who has, and bring the others further, all at once."""
        scope = await self._scope()
        self._record.asked(scope.markets)
        await self._collect()
        if not self._record.over:
            await asyncio.gather(*(self._ask(market) for market in self._record.pending()))
        self._record.ended_round(scope.unread)
        self._show(self._record.news())

    async def _scope(self) -> ScopeReport:
        return await workflow.execute_activity_method(
            KillActivities.markets_in_scope,
            ScopeInput(
                kill=self._kill,
                fleet=self._start.fleet,
                market_workflow=names.MARKET_WORKFLOW,
                fleet_attribute=names.FLEET_ID.name,
            ),
            start_to_close_timeout=policies.READ_TIMEOUT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary="which markets have to answer",
        )

    async def _collect(self) -> None:
        collected = await workflow.execute_activity_method(
            KillActivities.collect_answers,
            CollectInput(
                kill=self._kill,
                markets=self._record.markets(),
                wait_s=_FIRST_WAIT_S if self._record.rounds == 0 else 0.0,
            ),
            start_to_close_timeout=policies.READ_TIMEOUT,
            heartbeat_timeout=policies.WRITE_HEARTBEAT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary="read what was answered",
        )
        for one in collected.answers:
            self._record.heard(one)
        self._record.over = collected.over
        self._show(self._record.news())

    async def _ask(self, market: MarketId) -> None:
        answer = await workflow.execute_activity_method(
            KillActivities.answer_kill,
            AnswerInput(
                kill=self._kill,
                market=market,
                known=self._record.stages(market),
                tries=self._record.rounds,
                keyless=self._record.keyless(market),
                workflow_id=names.market_workflow_id(market),
                flatten_id=names.flatten_workflow_id(market),
                fleet=self._start.fleet,
                flatten_workflow=names.FLATTEN_WORKFLOW,
                flatten_queue=names.CONTROL_QUEUE,
                state_attribute=names.MARKET_STATE.name,
            ),
            start_to_close_timeout=policies.WRITE_TIMEOUT,
            heartbeat_timeout=policies.WRITE_HEARTBEAT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary=f"{market.path}: gate, cancels, lists",
        )
        self._record.took(answer)

    # --- saying ----------------------------------------------------------------------------

    async def _alarm_if_due(self) -> None:
        after_s = int(workflow.now().timestamp() - self._kill.at_ms / 1_000)
        if self._record.alarm_due(after_s):
            await self._alarm("critical", alarm_text(self._kill, self._record.status(), after_s))

    async def _end(self) -> None:
        self._show(self._record.news())
        severity = "critical" if self._record.nobody else "warning"
        await self._alarm(severity, f"kill of {self._kill.scope}: {self._record.news()}")

    async def _alarm(self, severity: str, text: str) -> None:
        """Tell a person. Every try is logged; a record that is away does not hold up the kill."""
        with suppress(ActivityError):
            await workflow.execute_activity_method(
                KillActivities.alarm_kill,
                AlarmInput(kill=self._kill, severity=severity, text=text),
                start_to_close_timeout=policies.READ_TIMEOUT,
                schedule_to_close_timeout=_ALARM_PATIENCE,
                retry_policy=policies.IDEMPOTENT_WRITE,
                summary="tell a person",
            )

    def _show(self, news: str) -> None:
        self._record.said = news
        workflow.set_current_details(kill_page(self._record.status()))

    @workflow.query(description="Who has answered, with times and evidence; who has not, and why.")
    def status(self) -> KillStatus:
        """How far this kill is."""
        return self._record.status()
