"""Breaks as a person sees them: listed, shown with both sides, and settled by name alone."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from temporalio.client import Client

from activities.breaks import BreakActivities, open_break, settle_break
from activities.ports import ActivityPorts
from desk.breaks import Break, BreakDecision, BreakKind, FoundBreak
from desk.identity import MarketId
from flotilla.break_keeper import BreakKeeper
from flotilla.wiring import open_ports
from infra.settings import load_settings
from infra.telemetry.setup import Telemetry
from infra.temporal.search_attributes import SEARCH_ATTRIBUTES, ensure_search_attributes
from tests.flotilla.test_cli import FAILED, REFUSED, USAGE, complaint
from tests.flotilla.test_kill_commands import Person, person
from tests.support.services import Services
from tests.workflows.conftest import worker
from workflows import names
from workflows.breaks import BreakWorkflow

__all__ = ["person"]

MARKET = MarketId("ocx", "main", "BTC-PERP")


@asynccontextmanager
async def record(person: Person, fleet: str = "main") -> AsyncIterator[ActivityPorts]:
    """The ports of a worker beside the person."""
    settings = load_settings(
        database_url=person.environment["FLOTILLA_DATABASE_URL"],
        redis_url=person.environment["FLOTILLA_REDIS_URL"],
        data_dir=person.folder / "data",
        state_dir=person.folder / "state",
        fleet=fleet,
    )
    async with open_ports(settings, Telemetry()) as ports:
        yield ports


def found(kind: BreakKind, symbol: str | None, at_ms: int = 1_700_000_000_000) -> FoundBreak:
    return FoundBreak(
        venue=MARKET.venue,
        account=MARKET.account,
        symbol=symbol,
        kind=kind,
        text="ledger has 0 lots, the venue 5",
        ours='{"position": "0"}',
        theirs="not readable",
        found_by="a test",
        found_at_ms=at_ms,
    )


async def given_break(person: Person, kind: BreakKind = BreakKind.POSITION) -> Break:
    async with record(person) as ports:
        symbol = MARKET.symbol if kind is BreakKind.POSITION else None
        return await open_break(ports, found(kind, symbol))


async def ask(person: Person, *arguments: str) -> tuple[int, str, str]:
    done = await asyncio.to_thread(person.run, *arguments)
    return done.returncode, done.stdout, complaint(done) if done.stderr.strip() else ""


async def test_open_breaks_are_listed_and_shown_with_both_sides(person: Person) -> None:
    code, out, _ = await ask(person, "breaks", "list", "--json")
    assert (code, json.loads(out)) == (0, [])
    known = await given_break(person)
    _, out, _ = await ask(person, "breaks", "list", "--json")
    (row,) = json.loads(out)
    assert (row["number"], row["open"], row["kind"]) == (known.number, True, "position")
    assert (row["ours"], row["theirs"]) == ({"position": "0"}, "not readable")
    code, out, hint = await ask(person, "breaks", "show", str(known.number))
    assert code == 0
    assert "2023-11-14 22:13:20 UTC by a test" in out
    assert f"flotilla breaks settle {known.number} --take" in hint
    async with record(person) as ports:
        await settle_break(ports, known, BreakDecision.RECHECK, "ana", "looked")
    _, out, _ = await ask(person, "breaks", "list", "--json")
    assert json.loads(out) == []
    _, out, _ = await ask(person, "breaks", "list", "--all", "--json")
    assert json.loads(out)[0]["settled_by"] == "ana"


async def test_a_hold_is_told_as_such_and_is_no_persons_to_lift(person: Person) -> None:
    await given_break(person)
    scope = "break:market:ocx/main/BTC-PERP"
    _, out, _ = await ask(person, "kills")
    assert "hold: books" in out
    code, _, said = await ask(
        person, "unkill", "--scope", scope, "--reason", "over", "--by", "ana", "--early"
    )
    assert code == REFUSED
    assert "settle it with 'flotilla breaks settle'" in said
    code, _, said = await ask(person, "kill", "--scope", scope, "--reason", "x", "--by", "ana")
    assert code == USAGE
    _, out, _ = await ask(person, "kills", "--json")
    assert [one["effect"] for one in json.loads(out)] == ["hold"], "it still stands"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("999", "--take", "venue", "--reason", "x"), USAGE, "there is no break 999"),
        (("1", "--take", "all", "--reason", "x"), USAGE, "--take"),
        (("1", "--take", "venue", "--reason", " "), USAGE, "reason: it is empty"),
        (("1", "--take", "venue", "--reason", "x", "--price", "0"), USAGE, "not above zero"),
        (("1", "--take", "venue", "--reason", "x"), FAILED, "Temporal"),
    ],
)
async def test_what_cannot_be_asked_is_one_sentence(
    person: Person, arguments: tuple[str, ...], code: int, words: str
) -> None:
    await given_break(person)
    got, _, said = await ask(person, "breaks", "settle", *arguments, "--by", "ana")
    assert got == code
    assert words in said


async def test_a_decision_begins_the_workflow_that_nobody_had_begun(
    person: Person, services: Services, temporal_client: Client
) -> None:
    fleet = f"t{uuid4().hex[:8]}"
    person.environment["TEMPORAL_ADDRESS"] = services.temporal_address
    person.environment["FLOTILLA_FLEET"] = fleet
    known = await given_break(person, BreakKind.BALANCE)
    number = str(known.number)
    settle = ("breaks", "settle", number, "--by", "ana", "--reason", "looked", "--wait")
    await ensure_search_attributes(temporal_client, SEARCH_ATTRIBUTES)
    async with record(person, fleet) as ports:
        breaks = BreakActivities(ports)
        activities = [
            breaks.look_at_break,
            breaks.tell_break,
            breaks.settle_named,
            breaks.tell_markets,
        ]
        async with worker(temporal_client, names.CONTROL_QUEUE, [BreakWorkflow], activities):
            code, _, said = await ask(person, *settle, "--take", "venue")
            assert code == REFUSED
            assert "settle it with 'recheck'" in said
            code, out, said = await ask(person, *settle, "--take", "recheck", "--json")
            assert code == 0, said
            assert json.loads(out)["settled_by"] == "ana"
            handle = temporal_client.get_workflow_handle_for(
                BreakWorkflow.run, names.break_workflow_id(fleet, known.number)
            )
            assert (await handle.result()).settled_by == "ana"
        code, _, said = await ask(person, *settle, "--take", "recheck")
        assert code == REFUSED
        assert f"break {number} was settled by ana" in said
        assert await ports.ledger.active_kills() == ()


async def test_any_worker_repairs_gates_and_begins_workflows(
    person: Person, temporal_client: Client
) -> None:
    fleet = f"t{uuid4().hex[:8]}"
    async with record(person, fleet) as ports:
        keeper = BreakKeeper(temporal_client, ports, fleet)
        known = await ports.breaks.open(found(BreakKind.POSITION, MARKET.symbol))
        assert await ports.ledger.active_kills() == ()
        await keeper.look()
        (hold,) = await ports.ledger.active_kills()
        assert hold.scope == known.found.scope
        workflow_id = names.break_workflow_id(fleet, known.number)
        described = await temporal_client.get_workflow_handle(workflow_id).describe()
        await ports.breaks.settle(known.number, BreakDecision.RULE, "rule x", "they agree")
        await keeper.look()
        assert await ports.ledger.active_kills() == ()
        history = await temporal_client.get_workflow_handle(workflow_id).fetch_history()
        signals = [
            event.workflow_execution_signaled_event_attributes.signal_name
            for event in history.events
            if event.HasField("workflow_execution_signaled_event_attributes")
        ]
        assert signals == ["look"], described
        await temporal_client.get_workflow_handle(workflow_id).terminate("the test is over")
