"""One set of legs whose prices are tied: watched, taken when it pays, and never left half done.

What is owed is a fold of booked fills. Every run discharges it before it watches, so a run that
fails, dies or is cut short is answered by the next one; only fills or a named decision end a debt.
"""

from datetime import timedelta

import pydantic
from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.arbitrage_messages import RunSetResult
from quoting.arbitrage.report import DischargePhase, RunEnd, RunLook
from workflows import names, policies
from workflows.arbitrage_asks import ArbitrageAsks
from workflows.arbitrage_messages import (
    ArbitrageState,
    ArbitrageStatus,
    DecideArbitrage,
    StartArbitrage,
)
from workflows.arbitrage_page import arbitrage_page, run_sentence
from workflows.arbitrage_record import ArbitrageRecord
from workflows.messages import Request
from workflows.said import read_form, read_order

_LONG_HISTORY = 400
_ALERT_GROWTH = 4
_RUNBOOK = "see docs/runbooks/arbitrage.md"
_LOOK = pydantic.TypeAdapter(tuple[RunLook])
_USUAL = frozenset({RunEnd.WINDOW, RunEnd.BALANCED})


@workflow.defn(name=names.ARBITRAGE_WORKFLOW)
class ArbitrageWorkflow:
    """Owns one set, and with it each of its legs' markets, from start to stop or settlement."""

    @workflow.init
    def __init__(self, start: StartArbitrage) -> None:
        self._start = start
        self._record = ArbitrageRecord(start)
        self._asks = ArbitrageAsks(start, self._record)
        self._release: DecideArbitrage | None = None
        self._retry: DecideArbitrage | None = None
        self._wake = False

    @workflow.run
    async def run(self, start: StartArbitrage) -> ArbitrageStatus:
        """Watch and trade until stopped or settled; continue as new as the history grows."""
        if start.carried is None:
            self._asks.check_id()
            await self._open()
        while not self._over():
            if self._release is not None:
                await self._let_go(self._release)
            elif self._retry is not None:
                await self._try_again(self._retry)
            elif self._record.paused is not None and self._record.clear:
                await self._pause(self._record.paused)
            else:
                await self._run_once()
            await self._tell_overdue()
            if self._long():
                await self._continue()
        return await self._leave()

    # --- what it does ----------------------------------------------------------------------

    def _over(self) -> bool:
        """Whether it is left: stopped or settled, and known to owe nothing."""
        record = self._record
        return record.clear and (record.settled or record.stopping is not None)

    async def _open(self) -> None:
        self._note(ArbitrageState.STARTING, "start requested")
        opened = await self._asks.open()
        self._record.waived = opened.waived
        also = f"; held already: {opened.standing}" if opened.standing else ""
        self._note(ArbitrageState.WATCHING, f"the legs are a set, and nobody's{also}")

    async def _run_once(self) -> None:
        """One run. It discharges first; whether it watches after that depends on what is known."""
        record, phase, watch = self._record, self._record.phase, self._may_watch()
        self._wake = False
        self._say_what_runs(watch=watch)
        handle = self._asks.run(watch=watch)
        await workflow.wait_condition(lambda: handle.done() or (watch and not self._may_watch()))
        asked = not handle.done()
        if asked:
            handle.cancel()
        try:
            await self._after_run(await handle, phase)
        except ActivityError as error:
            if asked:
                record.cut_short()
                return
            record.failed(workflow.now())
            self._happened(f"the run ended without a report: {error.cause or error}")
            await self._woken_within(record.rest_s)

    def _may_watch(self) -> bool:
        record = self._record
        return record.stopping is None and record.paused is None and not record.owes

    async def _after_run(self, result: RunSetResult, phase: DischargePhase) -> None:
        record, report, owed = self._record, result.report, self._record.owes
        record.took(result, phase, workflow.now())
        if owed or report.trade is not None or report.end not in _USUAL:
            self._happened(run_sentence(report))
        if record.owes and record.tried_out and not record.handed_over:
            await self._hand_over()
        if record.owes or record.failures:
            await self._woken_within(record.rest_s)

    async def _hand_over(self) -> None:
        """All that may be tried by itself was tried: a person has it now."""
        record = self._record
        record.handed_over = True
        text = (
            f"{record.owed_sentence}; {record.hedges} runs to hedge and {record.reduces} to reduce "
            f"did not end it ({record.reason}); {_RUNBOOK}"
        )
        self._note(ArbitrageState.HANDED_OVER, text)
        await self._asks.tell("arbitrage handed over", text, by="flotilla", severity="critical")

    async def _pause(self, request: Request) -> None:
        """Paused, and known to owe nothing; looked at now and then, for a payout may come."""
        self._note(ArbitrageState.PAUSED, f"paused by {request.by}: {request.reason}")
        await self._woken_within(policies.PAUSED_LOOK_S)
        if self._record.paused is not None:
            self._record.cut_short()  # a look is due, or was asked for

    async def _let_go(self, release: DecideArbitrage) -> None:
        self._release, record = None, self._record
        if not record.owes:
            self._happened(f"{release.by} released, but nothing is owed")
            return
        owed = record.owed_sentence
        await self._asks.release(release)
        record.release()
        text = f"released by {release.by}: {release.reason} ({owed})"
        self._note(ArbitrageState.DISCHARGING, text)

    async def _try_again(self, retry: DecideArbitrage) -> None:
        self._retry, record = None, self._record
        if not record.owes:
            self._happened(f"{retry.by} asked to try again, but nothing is owed")
            return
        text = f"{retry.reason} ({record.owed_sentence})"
        await self._asks.tell("arbitrage tried again", text, by=retry.by)
        record.try_again()
        self._note(ArbitrageState.DISCHARGING, f"tried again by {retry.by}: {text}")

    async def _leave(self) -> ArbitrageStatus:
        record = self._record
        request = record.stopping or Request(by="flotilla", reason=record.reason)
        text = f"stopped by {request.by}: {request.reason}"
        if record.settled:
            text = record.reason
        if held := record.held_sentence:
            text += f"; {held}"
        await self._asks.leave(text, request.by)
        self._note(ArbitrageState.SETTLED if record.settled else ArbitrageState.STOPPED, text)
        return record.status()

    # --- telling ---------------------------------------------------------------------------

    async def _tell_overdue(self) -> None:
        record = self._record
        since_ms = record.overdue_since_ms
        if since_ms is None:
            record.alerts = 0
            return
        waited_s = workflow.now().timestamp() - since_ms / 1_000
        if waited_s < self._start.overdue_s * _ALERT_GROWTH**record.alerts:
            return
        record.alerts += 1
        what = record.owed_sentence if record.owes else "no run tells how it stands"
        text = f"{what} for {waited_s:.0f} s: {record.reason}; {_RUNBOOK}"
        await self._asks.tell("arbitrage overdue", text, by="flotilla", severity="warning")

    def _say_what_runs(self, *, watch: bool) -> None:
        record = self._record
        if record.handed_over:
            return
        if record.owes:
            self._note(ArbitrageState.DISCHARGING, record.owed_sentence)
        elif watch:
            self._note(ArbitrageState.WATCHING, record.reason)
        elif record.state is not ArbitrageState.PAUSED:
            self._note(ArbitrageState.DISCHARGING, "looking whether anything is owed")

    def _note(self, state: ArbitrageState, text: str) -> None:
        if self._record.note(state, text, workflow.now()):
            self._asks.mark()
        self._show()

    def _happened(self, text: str) -> None:
        """Something that is no change of state; it is the reason now."""
        self._record.reason = text
        self._record.add(text, workflow.now())
        self._show()

    def _show(self) -> None:
        workflow.set_current_details(arbitrage_page(self._record.status()))

    async def _woken_within(self, seconds: int) -> None:
        """Wait so long, unless somebody says something."""
        try:
            await workflow.wait_condition(lambda: self._wake, timeout=timedelta(seconds=seconds))
        except TimeoutError:
            return
        self._wake = False

    def _long(self) -> bool:
        info = workflow.info()
        return (
            info.is_continue_as_new_suggested()
            or info.get_current_history_length() >= _LONG_HISTORY
        )

    async def _continue(self) -> None:
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._release is None and self._retry is None and not self._over():
            carried = self._record.carried()
            workflow.continue_as_new(self._start.model_copy(update={"carried": carried}))

    # --- what people say -------------------------------------------------------------------

    @workflow.signal(description="Stop watching; what is owed is worked off first. {}")
    def stop(self, *said: object) -> None:
        """Stop this set; complete sets stay held."""
        self._record.stopping, _ = read_order(Request, said)
        self._wake = True

    @workflow.signal(description="Fire nothing until resumed; what is owed is worked off. {}")
    def pause(self, *said: object) -> None:
        """Pause."""
        self._record.paused, _ = read_order(Request, said)
        self._wake = True

    @workflow.signal(description='Watch again after a pause. {} or {"by": "ana"}')
    def resume(self, *said: object) -> None:
        """Resume; what cannot be read resumes nothing."""
        request, misread = read_form(Request, said)
        if request is None:
            self._happened(f"not resumed: {misread}")
        elif self._record.paused is not None:
            self._record.paused, self._wake = None, True
            self._happened(f"resumed by {request.by}: {request.reason}")

    @workflow.signal(description='Nothing is owed any more: {"by": "ana", "reason": "..."}')
    def release(self, *said: object) -> None:
        """Discharge what is owed by a named decision; what cannot be read discharges nothing."""
        request, misread = read_form(DecideArbitrage, said)
        if request is None or not self._record.owes:
            # Said before there is a debt, it must not end a later one.
            self._happened(f"not released: {misread or 'nothing is owed'}")
            return
        self._release, self._wake = request, True

    @workflow.signal(description='Work on what is owed again: {"by": "ana", "reason": "..."}')
    def retry(self, *said: object) -> None:
        """Hedge, then reduce, from the beginning, after it was handed over."""
        request, misread = read_form(DecideArbitrage, said)
        if request is None or not self._record.owes:
            self._happened(f"not tried again: {misread or 'nothing is owed'}")
            return
        self._retry, self._wake = request, True

    @workflow.signal(description="Look now instead of resting. {}")
    def check(self, *said: object) -> None:
        """Look now."""
        del said
        self._wake = True

    @workflow.signal(description="Sent by the running run; not for people.")
    def report(self, *said: object) -> None:
        """Keep the run's latest picture for the page and the status query."""
        try:
            (self._record.look,) = _LOOK.validate_python(said)
        except pydantic.ValidationError:  # no run said this
            return
        self._show()

    @workflow.query(description="Legs, what is owed, trades, locked capital and history.")
    def status(self) -> ArbitrageStatus:
        """What this set is doing."""
        return self._record.status()
