"""A break closes its gate durably whatever dies in between, and a named decision opens it."""

import asyncio
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.breaks import BreakActivities, open_break, settle_break
from activities.breaks_messages import (
    LookBreakInput,
    MarketsTold,
    SettleBreakInput,
    TellBreakInput,
    TellMarketsInput,
)
from activities.market import MarketActivities
from activities.ports import ActivityPorts
from desk.break_rules import read_break_rules
from desk.breaks import Break, BreakDecision, BreakKind
from desk.errors import Unavailable
from desk.lifecycle import SessionReason
from desk.records import KillEffect
from tests.activities.break_desk import another_process, copies, dying_at, found, interrupted_at
from tests.activities.conftest import MARKET, Desk, OpenDesk
from tests.activities.test_guardian import running
from tests.activities.test_market_activities import PREFLIGHT, quote, resting_ids, rows
from venues.simulation.hand import CROWD

VENUE, RECHECK = BreakDecision.VENUE, BreakDecision.RECHECK


async def settle(desk: Desk, known: Break, decision: BreakDecision, **changes: Any) -> Any:
    request = SettleBreakInput(number=known.number, decision=decision, by="ana", reason="looked")
    work = BreakActivities(desk.ports).settle_named
    return await desk.run(work, replace(request, **changes))


def alter_position(desk: Desk, lots: int) -> None:
    """Behind everybody's back."""
    desk.venue.engine.tampering.set_position("main", MARKET.symbol, lots, against=CROWD)


async def test_a_break_closes_its_gate_everywhere(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        known = await open_break(desk.ports, found(desk.ports))
        seen = await copies(desk.ports)
        assert seen.closed
        (hold,) = seen.record
        assert hold.effect is KillEffect.HOLD
        assert hold.scope == "break:market:ocx/main/BTC-PERP"
        assert hold.reason == f"break {known.number}: ledger has 0 lots, the venue 5"
        assert desk.ports.gates.told() == (hold,), "and in this process at once"


async def test_finding_it_again_is_the_same_break_and_the_same_hold(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        first = await open_break(desk.ports, found(desk.ports))
        before = await copies(desk.ports)
        again = await open_break(another_process(desk.ports), found(desk.ports))
        assert again.number == first.number
        assert await copies(desk.ports) == before


STEPS = [
    ("breaks", "open", True),
    ("ledger", "set_kill", False),
    ("ledger", "set_kill", True),
    ("board", "named", False),
    ("board", "set", False),
    ("board", "set", True),
]


@pytest.mark.parametrize(("port", "step", "after"), STEPS)
async def test_whoever_calls_next_repairs_what_died_half_way(
    open_desk: OpenDesk, port: str, step: str, *, after: bool
) -> None:
    async with open_desk() as desk:
        broken = dying_at(another_process(desk.ports), port, step, after=after)
        difference = found(desk.ports)
        with pytest.raises(Unavailable, match="died at"):
            await open_break(broken, difference)
        assert len(await desk.ports.breaks.standing()) == 1, "the record came first"
        await open_break(another_process(desk.ports), replace(difference, found_by="the next"))
        assert (await copies(desk.ports)).closed
        assert len(await desk.ports.breaks.recent(9)) == 1


async def test_a_board_that_is_away_does_not_keep_the_hold_from_the_record(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        ports = dying_at(desk.ports, "board", "named", after=False)
        with pytest.raises(Unavailable):
            await open_break(ports, found(desk.ports))
        (hold,) = await desk.ports.ledger.active_kills()
        assert hold.effect is KillEffect.HOLD
        assert ports.gates.told() == (hold,)


@pytest.mark.parametrize(
    ("port", "step", "after"),
    [
        ("breaks", "settle", True),
        ("ledger", "lift_kill", False),
        ("ledger", "lift_kill", True),
        ("board", "lift", False),
        ("board", "lift", True),
    ],
)
async def test_a_settlement_that_died_half_way_is_finished_by_the_next(
    open_desk: OpenDesk, port: str, step: str, *, after: bool
) -> None:
    async with open_desk() as desk:
        known = await open_break(desk.ports, found(desk.ports))
        broken = dying_at(desk.ports, port, step, after=after)
        with pytest.raises(Unavailable, match="died at"):
            await settle_break(broken, known, RECHECK, "ana", "looked")
        await settle(desk, known, RECHECK, by="the activity's next attempt")
        assert (await copies(desk.ports)).opened
        assert desk.ports.gates.told() == ()
        (settled,) = await desk.ports.breaks.recent(9)
        assert settled.settled_by == "ana", "the first word stands"


async def test_a_gate_opens_only_when_its_last_break_is_settled(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        first = await open_break(desk.ports, found(desk.ports))
        second = await open_break(desk.ports, found(desk.ports, BreakKind.SAVED_STATE))
        account = await open_break(desk.ports, found(desk.ports, BreakKind.SOURCES, None))
        holding = BreakActivities(desk.ports).break_holding
        for known, closed in ((first, True), (account, True), (second, False)):
            assert await settle_break(desk.ports, known, RECHECK, "ana", "looked")
            assert bool(await desk.run(holding, MARKET)) is closed
        assert (await copies(desk.ports)).opened


@pytest.mark.parametrize("kind", [BreakKind.GHOST, BreakKind.ORPHAN, BreakKind.MISSED_FILL])
async def test_what_is_cured_as_it_is_found_closes_no_gate(
    open_desk: OpenDesk, kind: BreakKind
) -> None:
    async with open_desk() as desk:
        known = await open_break(desk.ports, found(desk.ports, kind))
        seen = await copies(desk.ports)
        assert (seen.open, seen.record, seen.board) == (1, (), ())
        assert await settle_break(desk.ports, known, BreakDecision.RULE, "rule cure", "booked")


async def test_opening_and_settling_at_once_never_leaves_gate_and_breaks_apart(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        kinds = (BreakKind.POSITION, BreakKind.SAVED_STATE, BreakKind.TRACE)

        async def life(kind: BreakKind, ports: ActivityPorts) -> None:
            known = await open_break(ports, found(ports, kind))
            await settle_break(ports, known, RECHECK, "ana", "looked")

        for _ in range(4):
            await asyncio.gather(*(life(kind, another_process(desk.ports)) for kind in kinds))
            assert (await copies(desk.ports)).opened
        await asyncio.gather(
            *(life(kind, another_process(desk.ports)) for kind in kinds[1:]),
            open_break(desk.ports, found(desk.ports)),
        )
        assert (await copies(desk.ports)).closed


SETTLING = [
    ("breaks", "settle"),
    ("board", "named"),
    ("breaks", "standing"),
    ("ledger", "active_kills"),
    ("ledger", "lift_kill"),
    ("board", "lift"),
]
OPENING = [
    ("breaks", "open"),
    ("board", "named"),
    ("breaks", "standing"),
    ("ledger", "active_kills"),
    ("ledger", "set_kill"),
    ("board", "set"),
]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("port", "step"), SETTLING)
async def test_a_break_found_while_another_is_settled_stays_closed(
    open_desk: OpenDesk, port: str, step: str, *, after: bool
) -> None:
    async with open_desk() as desk:
        known = await open_break(another_process(desk.ports), found(desk.ports))

        async def another() -> None:
            elsewhere = another_process(desk.ports)
            await open_break(elsewhere, found(desk.ports, BreakKind.TRACE))

        ports, step_taken = interrupted_at(desk.ports, port, step, another, after=after)
        await settle_break(ports, known, RECHECK, "ana", "looked")
        assert step_taken.happened
        assert (await copies(desk.ports)).closed


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("port", "step"), OPENING)
async def test_a_break_settled_while_its_gate_is_being_closed_leaves_it_open(
    open_desk: OpenDesk, port: str, step: str, *, after: bool
) -> None:
    async with open_desk() as desk:
        difference = found(desk.ports)

        async def settled() -> None:
            for one in await desk.ports.breaks.standing():
                await settle_break(another_process(desk.ports), one, RECHECK, "ana", "looked")

        ports, step_taken = interrupted_at(desk.ports, port, step, settled, after=after)
        await open_break(ports, difference)
        assert step_taken.happened
        seen = await copies(desk.ports)
        # Before it is on record there is nothing to settle yet.
        assert seen.closed if (step, after) == ("open", False) else seen.opened


# --- sessions and starts ---------------------------------------------------------------------


async def test_a_session_leaves_at_a_break_with_nothing_resting(open_desk: OpenDesk) -> None:
    async with open_desk() as desk, asyncio.TaskGroup() as tasks, asyncio.timeout(60):
        session = tasks.create_task(quote(desk, 50))
        while not resting_ids(desk):
            await asyncio.sleep(0.02)
        known = await open_break(another_process(desk.ports), found(desk.ports))
        result = await session
        assert resting_ids(desk) == set()
        assert result.reason is SessionReason.BREAK
        assert result.message == (
            "books disagree, held at scope break:market:ocx/main/BTC-PERP: "
            f"break {known.number}: ledger has 0 lots, the venue 5"
        )
        assert result.cleared
        again = await quote(desk, 5)
        assert again.reason is SessionReason.BREAK, "it does not even begin"


async def test_an_opening_that_finds_other_books_makes_a_durable_break(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        alter_position(desk, 5)
        result = await quote(desk, 2)
        assert result.reason is SessionReason.BREAK
        assert (await copies(desk.ports)).closed
        (known,) = await desk.ports.breaks.standing()
        assert known.found.kind is BreakKind.POSITION
        assert '"position": "0.0005"' in known.found.theirs
        with pytest.raises(ApplicationError, match="flotilla breaks settle") as refusal:
            await desk.run(MarketActivities(desk.ports).preflight, PREFLIGHT)
        assert refusal.value.non_retryable


async def test_taking_the_venues_word_books_an_adjustment_and_quoting_goes_on(
    open_desk: OpenDesk, database_url: str
) -> None:
    async with open_desk() as desk:
        alter_position(desk, 5)
        await quote(desk, 2)
        (known,) = await desk.ports.breaks.standing()
        settled = await settle(desk, known, VENUE)
        assert "+0.0005 BTC-PERP was booked at" in settled.booked
        facts = await desk.ports.ledger.facts(MARKET, 0)
        assert (facts.position, facts.fills) == (5, 0), "adjusted, and no fill was invented"
        price = await rows(database_url, "SELECT price, quantity, decided_by FROM adjustments")
        assert price[0][1:] == (Decimal("0.0005"), "ana")
        assert facts.cash == -Decimal(str(price[0][0])) * Decimal("0.0005")
        assert (await copies(desk.ports)).opened
        result = await quote(desk, 4)
        assert result.reason is SessionReason.WINDOW
        assert result.progress.requotes > 0


async def test_a_recheck_books_nothing_and_the_next_opening_finds_it_again(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        alter_position(desk, 5)
        await quote(desk, 2)
        (known,) = await desk.ports.breaks.standing()
        await settle(desk, known, RECHECK)
        assert (await desk.ports.ledger.facts(MARKET, 0)).position == 0
        assert (await quote(desk, 2)).reason is SessionReason.BREAK
        (again,) = await desk.ports.breaks.standing()
        assert again.number > known.number


async def test_the_venue_agrees_by_now_so_nothing_is_booked(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        alter_position(desk, 5)
        await quote(desk, 2)
        alter_position(desk, 0)
        (known,) = await desk.ports.breaks.standing()
        settled = await settle(desk, known, VENUE)
        assert settled.booked == "nothing was booked"
        assert (await desk.ports.ledger.facts(MARKET, 0)).position == 0


async def test_a_rule_does_not_take_more_than_it_says(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        alter_position(desk, 5)
        await quote(desk, 2)
        (known,) = await desk.ports.breaks.standing()
        refused = await settle(desk, known, VENUE, by="rule r", largest=Decimal("0.0004"))
        assert "differs by 0.0005, more than 0.0004" in refused.refused
        assert (await copies(desk.ports)).closed
        taken = await settle(desk, known, VENUE, by="rule r", largest=Decimal("0.0005"))
        assert not taken.refused
        assert (await copies(desk.ports)).opened


async def test_an_accounts_money_is_booked_by_name(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        anchor = {"equity": "100007.5", "pnl": "0", "transfers": "0", "adjusted": "0"}
        ours = {"equity": "100007.5", "anchor": anchor | {"untold": "0", "at_ms": 1, "seen_ms": 1}}
        difference = found(desk.ports, BreakKind.BALANCE, None, ours=json.dumps(ours))
        known = await open_break(desk.ports, difference)
        settled = await settle(desk, known, VENUE)
        assert settled.booked == "-7.5 was booked to the account"
        books = await desk.ports.reconciliations.books(MARKET.venue, MARKET.account)
        assert books.adjusted == Decimal("-7.5")
        unread = await open_break(desk.ports, found(desk.ports, BreakKind.BALANCE, None, ours="?"))
        assert "settle it with 'recheck'" in (await settle(desk, unread, VENUE)).refused


# --- looking and telling ---------------------------------------------------------------------


async def test_a_look_closes_a_gate_that_somebody_left_open_and_tells_the_rule(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        ports = replace(desk.ports, break_rules=read_break_rules("position<=1:venue@5m"))
        known = await desk.ports.breaks.open(found(desk.ports))
        assert not (await copies(desk.ports)).closed
        look = await desk.run(
            BreakActivities(ports).look_at_break, LookBreakInput(number=known.number)
        )
        assert look.known == known
        assert look.rule == ports.break_rules[0]
        assert (await copies(desk.ports)).closed
        with pytest.raises(ApplicationError, match="there is no break 999") as fault:
            await desk.run(BreakActivities(ports).look_at_break, LookBreakInput(number=999))
        assert fault.value.non_retryable


async def test_a_break_is_over_only_when_its_gate_is_open(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        known = await open_break(desk.ports, found(desk.ports))
        look = LookBreakInput(number=known.number)
        away = BreakActivities(dying_at(desk.ports, "board", "named", after=False))
        assert (await desk.run(away.look_at_break, look)).known.open, "told though Redis is away"
        assert await desk.ports.breaks.settle(known.number, RECHECK, "ana", "looked")
        away = BreakActivities(dying_at(desk.ports, "board", "named", after=False))
        with pytest.raises(ApplicationError, match="died at named"):
            await desk.run(away.look_at_break, look)
        assert not (await desk.run(away.look_at_break, look)).known.open
        assert (await copies(desk.ports)).opened


async def test_a_market_that_another_break_holds_is_not_told_to_go_on(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        first = await open_break(desk.ports, found(desk.ports))
        second = await open_break(desk.ports, found(desk.ports, BreakKind.TRACE))
        telling = TellMarketsInput(known=replace(first, settled_by="ana"), beginning="market/")
        tell = BreakActivities(desk.ports).tell_markets
        async with running(desk.client, f"market/{MARKET.path}"):
            await settle_break(desk.ports, first, RECHECK, "ana", "looked")
            assert await desk.run(tell, telling) == MarketsTold(told=0, still_held=1)
            await settle_break(desk.ports, second, RECHECK, "ana", "looked")
            assert await desk.run(tell, telling) == MarketsTold(told=1, still_held=0)


async def test_what_is_told_is_on_record_with_both_sides(
    open_desk: OpenDesk, database_url: str
) -> None:
    async with open_desk() as desk:
        known = await open_break(desk.ports, found(desk.ports))
        told = TellBreakInput(
            known=known, kind="break opened", text="look", by="x", severity="critical"
        )
        await desk.run(BreakActivities(desk.ports).tell_break, told)
    (decision,) = await rows(
        database_url, "SELECT symbol, kind, reason, evidence FROM control_decisions"
    )
    assert decision[:3] == ("BTC-PERP", "break opened", "look")
    assert "0.005" in str(decision[3])
    assert await rows(database_url, "SELECT severity, text FROM alerts") == [("critical", "look")]
