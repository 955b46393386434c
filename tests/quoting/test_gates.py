"""A kill told to the process stops its sessions in that moment, and yields to the board later."""

import asyncio
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from desk.identity import MarketId
from desk.permit import Permit, Refusal
from desk.records import Kill, KillEffect, kill_scopes
from quoting.gates import Gates
from quoting.watch import Watch
from tests.quoting.builders import MARKET, permit
from tests.support.alone import OwnBoard

OTHER = MarketId("x10", "main", "BTC-USD")


def kill(scope: str, at_ms: int = 1, effect: KillEffect = KillEffect.STOP) -> Kill:
    return Kill(scope=scope, reason="flood", by="ana", at_ms=at_ms, effect=effect)


def watch(given_permit: Permit, gates: Gates, board: OwnBoard, woken: list[str]) -> Watch:
    return Watch(
        market=MARKET,
        epoch=1,
        owner="me",
        lease_ttl_ms=6_000,
        permit=given_permit,
        ports=SimpleNamespace(
            gates=gates, board=board, clock=SimpleNamespace(monotonic_ns=lambda: 0)
        ),
        may_hold=lambda: True,
        may_renew=lambda: True,
        wake=lambda: woken.append("woken"),
    )


async def test_a_session_hears_a_kill_in_the_moment_it_is_told() -> None:
    gates, given_permit, woken = Gates(), permit(), list[str]()
    hearing = asyncio.create_task(watch(given_permit, gates, OwnBoard(), woken).gates())
    await asyncio.sleep(0)
    assert given_permit.refusal(0) is None
    gates.close(kill("fleet"))
    # No turn of the event loop in between: it is known when `close` returns.
    assert given_permit.refusal(0) is Refusal.KILLED
    assert woken == ["woken"]
    hearing.cancel()


async def test_a_kill_told_before_the_session_began_holds_for_it() -> None:
    gates, given_permit = Gates(), permit()
    gates.close(kill("venue:ocx"))
    hearing = asyncio.create_task(watch(given_permit, gates, OwnBoard(), []).gates())
    await asyncio.sleep(0)
    assert given_permit.refusal(0) is Refusal.KILLED
    hearing.cancel()


async def test_a_kill_on_the_board_wakes_the_session_at_once() -> None:
    board, given_permit, woken = OwnBoard(), permit(), list[str]()
    watching = watch(given_permit, Gates(), board, woken)
    tasks = [asyncio.create_task(job) for job in (watching.board(), watching.board_changes())]
    async with asyncio.timeout(5):
        while not board.sinks:
            await asyncio.sleep(0)
        assert woken == []
        await board.set(kill("fleet"))
        while not woken:
            await asyncio.sleep(0)
    assert given_permit.refusal(0) is Refusal.KILLED
    for task in tasks:
        task.cancel()


async def test_a_kill_that_only_forbids_new_risk_ends_no_session() -> None:
    gates, given_permit = Gates(), permit()
    hearing = asyncio.create_task(watch(given_permit, gates, OwnBoard(), []).gates())
    await asyncio.sleep(0)
    gates.close(kill("fleet", effect=KillEffect.REDUCE))
    assert given_permit.refusal(0) is None
    assert given_permit.reduce_only is not None
    hearing.cancel()


def test_markets_out_of_scope_hear_nothing() -> None:
    gates = Gates()
    gates.close(kill("venue:x10"))
    assert gates.merged(MARKET, ()) == ()
    assert gates.merged(OTHER, ()) == (kill("venue:x10"),)


def test_what_the_board_holds_is_kept_here_too_until_the_record_knows_it() -> None:
    gates, told = Gates(), kill("fleet")
    gates.close(told)
    assert gates.merged(MARKET, (told,)) == (told,)
    assert gates.merged(MARKET, ()) == (told,), "the board may have been emptied"
    gates.forget(told)
    assert gates.merged(MARKET, ()) == ()


def test_an_older_kill_on_the_board_does_not_take_a_newer_ones_place() -> None:
    gates, older, newer = Gates(), kill("fleet", 1), kill("fleet", 2)
    gates.close(newer)
    assert set(gates.merged(MARKET, (older,))) == {older, newer}
    assert gates.told() == (newer,)


def test_a_hearer_that_left_is_not_called() -> None:
    gates, heard = Gates(), list[int]()
    with gates.heard_by(lambda: heard.append(1)):
        gates.close(kill("fleet", 1))
    gates.close(kill("fleet", 2))
    assert heard == [1]


SCOPES = st.sampled_from((*kill_scopes(MARKET), *kill_scopes(OTHER)))
KILLS = st.lists(st.builds(kill, SCOPES, st.integers(0, 5)), max_size=6)


@given(told=KILLS, board=KILLS)
def test_a_market_is_stopped_exactly_by_what_covers_it_widest_first(
    told: list[Kill], board: list[Kill]
) -> None:
    gates = Gates()
    for one in told:
        gates.close(one)
    on_board = tuple(
        {one.scope: one for one in board if one.covers(MARKET)}[scope]
        for scope in kill_scopes(MARKET)
        if scope in {one.scope for one in board}
    )
    merged = gates.merged(MARKET, on_board)
    wanted = {one.scope for one in (*told, *board) if one.covers(MARKET)}
    assert {one.scope for one in merged} == wanted
    order = [kill_scopes(MARKET).index(one.scope) for one in merged]
    assert order == sorted(order)
