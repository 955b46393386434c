"""A break waits for days, reminds, and ends by a readable decision, a rule or the record."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from desk.break_rules import BreakRule, read_break_rules
from desk.breaks import BreakDecision
from tests.workflows.conftest import skip_until_so, worker
from tests.workflows.scripted_break import Books
from workflows import names
from workflows.breaks import BreakWorkflow
from workflows.breaks_messages import BreakStatus, SettleBreak, StartBreak

Handle = WorkflowHandle[BreakWorkflow, BreakStatus]

DECISION = SettleBreak(decision="venue", by="ana", reason="the venue is right")
HOUR_S = 3_600


async def books_now(server: WorkflowEnvironment, rule: BreakRule | None = None) -> Books:
    now = await server.get_current_time()
    return Books.at(int(now.timestamp() * 1_000), rule=rule)


@asynccontextmanager
async def opened(server: WorkflowEnvironment, books: Books) -> AsyncIterator[Handle]:
    activities = books.activities()
    async with worker(server.client, names.CONTROL_QUEUE, [BreakWorkflow], activities):
        yield await server.client.start_workflow(
            BreakWorkflow.run,
            StartBreak(number=7),
            id=names.break_workflow_id("main", 7),
            task_queue=names.CONTROL_QUEUE,
        )


async def until_told(server: WorkflowEnvironment, books: Books, times: int) -> None:
    await skip_until_so(server, lambda: len(books.told) >= times, 60)


async def test_a_named_decision_settles_it_and_markets_go_on(server: WorkflowEnvironment) -> None:
    books = await books_now(server)
    async with opened(server, books) as handle:
        await until_told(server, books, 1)
        await handle.signal(BreakWorkflow.settle, DECISION)
        status = await handle.result()
    assert (status.open, status.settled_by, status.decision) == (False, "ana", "venue")
    assert [word.kind for word in books.told] == ["break opened", "break settled: venue"]
    assert books.told[0].severity == "critical"
    assert "docs/runbooks/break.md" in books.told[0].text
    (told,) = books.markets
    assert told.beginning == "market/"
    assert told.known.settled_by == "ana"


@pytest.mark.parametrize(
    "said",
    [
        [],
        [None],
        ["settle it"],
        [{"decision": "venue"}],
        [{"decision": "venue", "by": "ana"}],
        [{"decision": "venue", "by": "", "reason": "x"}],
        [{"decision": "venue", "by": "rule one", "reason": "x"}],
        [{"decision": "rule", "by": "ana", "reason": "x"}],
        [{"decision": "venue", "by": "ana", "reason": " "}],
        [{"decision": "venue", "by": "ana", "reason": "x", "price": 1.5}],
        [{"decision": "venue", "by": "ana", "reason": "x", "price": "-1"}],
        [{"decision": "venue", "by": "ana", "reason": "x", "more": 1}],
        [{"decision": "venue", "by": "ana", "reason": "x"}, {"decision": "recheck"}],
    ],
)
async def test_what_cannot_be_read_settles_nothing(
    server: WorkflowEnvironment, said: list[object]
) -> None:
    books = await books_now(server)
    async with opened(server, books) as handle:
        await handle.signal("settle", args=said)
        status = await handle.query(BreakWorkflow.status)
        assert status.open
        assert status.refused == 1
        assert "not settled" in status.history[-1].text
        assert books.asked == []
        await handle.signal(BreakWorkflow.settle, DECISION)
        assert (await handle.result()).settled_by == "ana"


async def test_a_refused_decision_is_told_and_the_break_waits_on(
    server: WorkflowEnvironment,
) -> None:
    books = await books_now(server)
    books.refusals = deque(
        [
            "price: nobody knows a price; give one with the decision",
            ApplicationError("an accident", type="ConfigurationFault", non_retryable=True),
        ]
    )
    async with opened(server, books) as handle:
        for count, words in ((1, "give one with the decision"), (2, "ask again: ")):
            await handle.signal(BreakWorkflow.settle, DECISION)
            while (status := await handle.query(BreakWorkflow.status)).refused < count:
                pass
            assert words in status.history[-1].text
            assert status.open
        priced = DECISION.model_copy(update={"price": Decimal("60000.5")})
        await handle.signal(BreakWorkflow.settle, priced)
        await handle.result()
    assert books.asked[-1].price == Decimal("60000.5")


async def test_a_person_is_reminded_ever_more_seldom_for_days(server: WorkflowEnvironment) -> None:
    books = await books_now(server)
    began = books.known.found.found_at_ms
    reminded = []
    async with opened(server, books) as handle:
        await until_told(server, books, 1)
        while len(books.told) < 7:
            before = len(books.told)
            await server.sleep(300)
            if len(books.told) > before:
                now_ms = (await server.get_current_time()).timestamp() * 1_000
                reminded.append(round((now_ms - began) / 1_000 / HOUR_S))
        await handle.signal(BreakWorkflow.settle, DECISION)
        await handle.result()
    assert reminded == [1, 2, 4, 8, 16, 40]
    assert "open for 40 h" in books.told[6].text


async def test_a_written_rule_settles_it_once_its_time_has_come(
    server: WorkflowEnvironment,
) -> None:
    (rule,) = read_break_rules("position<=0.01:venue@15m")
    books = await books_now(server, rule)
    async with opened(server, books) as handle:
        await until_told(server, books, 1)
        await server.sleep(600)
        assert books.asked == []
        await server.sleep(360)
        status = await handle.result()
    (asked,) = books.asked
    assert asked.by == status.settled_by == "rule position up to 0.01: venue after 900 s"
    assert (asked.decision, asked.largest) == (BreakDecision.VENUE, Decimal("0.01"))


async def test_what_a_rule_cannot_settle_waits_for_a_person(server: WorkflowEnvironment) -> None:
    (rule,) = read_break_rules("position<=0.01:venue@15m")
    books = await books_now(server, rule)
    books.refusals = deque(["rule: BTC-PERP differs by 3, more than 0.01; a person decides"])
    async with opened(server, books) as handle:
        for _ in range(40):
            await server.sleep(60)
        assert len(books.asked) == 1, "it is tried once"
        assert (await handle.query(BreakWorkflow.status)).open
        await handle.signal(BreakWorkflow.settle, DECISION)
        assert (await handle.result()).settled_by == "ana"


async def test_a_rule_that_nobody_could_answer_is_tried_again(server: WorkflowEnvironment) -> None:
    (rule,) = read_break_rules("position<=0.01:venue@15m")
    books = await books_now(server, rule)
    books.refusals = deque([ApplicationError("postgres: away", non_retryable=True)] * 3)
    async with opened(server, books) as handle:
        async with asyncio.timeout(60):
            await skip_until_so(server, lambda: len(books.asked) >= 4, 600)
        status = await handle.result()
    assert status.settled_by == "rule position up to 0.01: venue after 900 s"
    assert (status.refused, len(books.asked)) == (3, 4)


async def test_what_somebody_else_settled_in_the_record_ends_it(
    server: WorkflowEnvironment,
) -> None:
    books = await books_now(server)
    async with opened(server, books) as handle:
        await until_told(server, books, 1)
        books.settled("rule sources", "they agree again", BreakDecision.RULE)
        await handle.signal(BreakWorkflow.look)
        status = await handle.result()
    assert status.settled_by == "rule sources"
    assert books.asked == []
    assert len(books.markets) == 1


async def test_a_decision_on_a_break_that_is_over_changes_nothing(
    server: WorkflowEnvironment,
) -> None:
    books = await books_now(server)
    books.settled("bo", "seen", BreakDecision.RECHECK)
    async with opened(server, books) as handle:
        await handle.signal(BreakWorkflow.settle, DECISION)
        assert (await handle.result()).settled_by == "bo"
    assert books.asked == []


async def test_a_number_that_a_restored_record_gives_again_is_told_anew(
    server: WorkflowEnvironment,
) -> None:
    (rule,) = read_break_rules("position<=0.01:venue@15m")
    books = await books_now(server, rule)
    books.refusals = deque(["rule: BTC-PERP differs by 3, more than 0.01; a person decides"])
    async with opened(server, books) as handle:
        await until_told(server, books, 2)
        assert len(books.asked) == 1
        again = await books_now(server, rule)
        found = replace(again.known.found, symbol="ETH-PERP", text="ledger has 1 lots, the venue 2")
        books.known = replace(again.known, found=found)
        await handle.signal(BreakWorkflow.look)
        async with asyncio.timeout(60):
            await until_told(server, books, 3)
        status = await handle.query(BreakWorkflow.status)
        assert (status.scope, status.alarms) == ("break:market:ocx/main/ETH-PERP", 0)
        assert any("this number is another difference" in one.text for one in status.history)
        seen = (await handle.describe()).typed_search_attributes
        assert seen[names.MARKET] == "ETH-PERP"
        assert (await handle.result()).settled_by.startswith("rule "), "it has its own time"
    assert [one.kind for one in books.told[:3]] == ["break opened", "break open", "break opened"]
    assert books.told[2].severity == "critical"
    assert "ledger has 1 lots, the venue 2" in books.told[2].text


async def test_a_decision_on_what_the_number_stood_for_settles_nothing_else(
    server: WorkflowEnvironment,
) -> None:
    books = await books_now(server)
    async with opened(server, books) as handle:
        await until_told(server, books, 1)
        old = books.known.found
        books.known = replace(books.known, found=replace(old, symbol="ETH-PERP"))
        await handle.signal(BreakWorkflow.settle, DECISION)
        await until_told(server, books, 2)
        await handle.signal(BreakWorkflow.settle, DECISION)
        await handle.result()
    assert [asked.found for asked in books.asked] == [old, books.known.found]


@pytest.mark.parametrize("set_back", [False, True])
async def test_a_run_that_was_continued_tells_again_only_what_is_another_break(
    server: WorkflowEnvironment, *, set_back: bool
) -> None:
    books = await books_now(server)
    if set_back:
        books.continued = replace(books.known.found, symbol="ETH-PERP")
    async with opened(server, books) as handle, asyncio.timeout(60):
        latest = server.client.get_workflow_handle_for(BreakWorkflow.run, handle.id)
        grown = False
        while not grown:  # its history grows until it is long enough, and a look longer
            grown, looks = len(books.runs) > 1, books.looks
            await latest.signal(BreakWorkflow.look)
            while books.looks == looks:
                await asyncio.sleep(0.005)
        # By now it knows which break it is about; a decision on the one before would be refused.
        await latest.signal(BreakWorkflow.settle, DECISION)
        await latest.result()
    told = [one.known.found.symbol for one in books.told if one.kind == "break opened"]
    assert told == ["BTC-PERP", "ETH-PERP"][: 1 + set_back]


async def test_an_unknown_number_fails_with_its_sentence(server: WorkflowEnvironment) -> None:
    books = await books_now(server)
    async with worker(server.client, names.CONTROL_QUEUE, [BreakWorkflow], books.activities()):
        handle = await server.client.start_workflow(
            names.BREAK_WORKFLOW,
            {"number": 0},
            id=names.break_workflow_id("main", 0),
            task_queue=names.CONTROL_QUEUE,
        )
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
    assert "greater than or equal to 1" in str(failure.value.cause)
