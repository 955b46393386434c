"""One batch lived through: sets watch, waves of trades and strikes pass, and each set is judged."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Final

import httpx
from temporalio.service import RPCError

from activities.ports import ActivityPorts
from desk.errors import Unavailable
from desk.records import Kill
from desk.units import NS_PER_MS, NS_PER_S
from flotilla.control import lift_kills, open_control
from flotilla.kills import tell_everybody
from tests.chaos.arbitrage_evidence import evidence
from tests.chaos.arbitrage_facts import STATED_S, Told
from tests.chaos.arbitrage_ground import Ground, open_ground
from tests.chaos.arbitrage_plan import Batch, Event, Trade, Trouble, Wave
from tests.chaos.arbitrage_set import LiveSet
from tests.chaos.arbitrage_strikes import manned, strike
from tests.chaos.arbitrage_verdict import breaches
from tests.support.services import Services
from workflows.arbitrage_messages import ArbitrageStatus

_CALM_LOOK_S: Final = 0.4
_CALM_S: Final = STATED_S + 60
"""More than anything may take: what is late is judged by the venue's times, not by this."""
_FIRST_TRADE_S: Final = 6.0
_WATCHES_S: Final = 30.0
_LIFT_TRIES: Final = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One run's end. `longest_s` is how long it was above the cap at most."""

    run: int
    name: str
    what: str
    trades: int
    longest_s: float
    breaches: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Playing:
    """An event, and the sets that watch it."""

    event: Event
    sets: list[LiveSet]
    notes: list[str] = field(default_factory=list)


async def lived(services: Services, folder: Path, batch: Batch) -> list[Judged]:
    """Live through a batch; one verdict for each run."""
    books = [event.books for event in batch.events]
    async with open_ground(services, folder, books, seed=batch.seed) as ground:
        await manned(ground)
        played = [_played(ground, event, batch) for event in batch.events]
        sets = [one for each in played for one in each.sets]
        await asyncio.gather(*(_started(each) for each in played))
        await asyncio.gather(*(one.watching() for one in sets))
        async with open_control(ground.settings) as ports:
            for number, wave in enumerate(batch.waves):
                await _wave(ground, ports, played, number, wave, Random(f"{batch.seed}/{number}"))
            until_ns = time.time_ns()
            await _end(ground, played)
            ends = await asyncio.gather(*(_ended(one) for one in sets))
            said = dict(zip((one.name for one in sets), ends, strict=True))
            return [
                await _judged(ports, each, one, run, until_ns, batch, said[one.name])
                for each in played
                for one, run in zip(each.sets, each.event.runs, strict=True)
            ]


def _played(ground: Ground, event: Event, batch: Batch) -> Playing:
    fleet = ground.settings.fleet
    sets = [
        LiveSet(ground=ground, name=f"{fleet}-{run}", books=event.books, place=place)
        for place, run in enumerate(event.runs)
    ]
    del batch
    return Playing(event=event, sets=sets)


async def _started(each: Playing) -> None:
    for one in each.sets:
        await one.start(max_units=Decimal(each.event.max_units), rounds=each.event.rounds)


# --- a wave ------------------------------------------------------------------------------------


async def _wave(
    ground: Ground,
    ports: ActivityPorts,
    played: Sequence[Playing],
    number: int,
    wave: Wave,
    rng: Random,
) -> None:
    with suppress(AssertionError):  # who does not watch yet trades less, or not at all
        await asyncio.gather(
            *(one.watching(within_s=_WATCHES_S) for each in played for one in each.sets)
        )
    print(f"wave {number}: {wave.strike.value}")  # noqa: T201
    before = {one.name: (await one.log()).last_ns for each in played for one in each.sets}
    striking = asyncio.create_task(_strike(ground, played, before, wave, rng))
    await asyncio.gather(
        *(_trade(ground, ports, each, each.event.trades[number]) for each in played)
    )
    await striking
    await manned(ground)
    await _calm(ground, played, number)
    await ground.disarm()
    for each in played:
        for one in each.sets:
            await _lifted(ports, one)


async def _strike(
    ground: Ground, played: Sequence[Playing], before: dict[str, int], wave: Wave, rng: Random
) -> None:
    """Right after the first order of the wave was taken, or a moment later."""
    with suppress(AssertionError):

        async def traded() -> bool:
            return any(
                [
                    (await one.log()).last_ns > before[one.name]
                    for each in played
                    for one in each.sets
                ]
            )

        await ground.until("the first order is taken", traded, within_s=_FIRST_TRADE_S)
    await asyncio.sleep(wave.after_s)
    await strike(ground, wave.strike, wave.for_s, rng)


async def _trade(ground: Ground, ports: ActivityPorts, each: Playing, trade: Trade) -> None:
    """Arm, show the edge for a while, and take it away again."""
    books = each.event.books
    await ground.quiet(books)
    for trouble in trade.troubles:
        if trouble.faults:
            await ground.arm(*trouble.faults)
        if trouble.refused_s:
            window = (time.time_ns(), time.time_ns() + int(trouble.refused_s * NS_PER_S))
            for one in each.sets:
                one.excused.append(window)
        for keep in trouble.keeps:
            ground.line.keep(keep.symbol, seconds=keep.seconds, lost=keep.lost, skip=keep.skip)
    await asyncio.sleep(trade.after_s)
    closed = {trouble.closed for trouble in trade.troubles}
    shut = [one for one in books.legs if one.symbol in closed]
    await asyncio.gather(*(ground.show(one, one.without_way(on=True)) for one in shut))
    lots = zip(books.legs, trade.lots, strict=True)
    await asyncio.gather(*(ground.show(one, one.worth_taking(some)) for one, some in lots))
    killing = [
        asyncio.create_task(_kill(ground, ports, one, trouble))
        for one in each.sets
        for trouble in trade.troubles
        if trouble.killed_s is not None
    ]
    await asyncio.sleep(trade.open_s)
    await asyncio.gather(*(ground.show(one, one.worth_taking(0)) for one in books.legs))
    await asyncio.gather(*(ground.show(one, one.without_way(on=False)) for one in shut))
    await asyncio.gather(*killing)


async def _kill(ground: Ground, ports: ActivityPorts, one: LiveSet, trouble: Trouble) -> None:
    """Kill one leg's market, which is the whole set's gate, while a trade is under way."""
    last_ns = (await one.log()).last_ns
    with suppress(AssertionError):

        async def traded() -> bool:
            return (await one.log()).last_ns > last_ns

        await ground.until(f"{one.name} fires", traded, within_s=2.0)
    await asyncio.sleep(trouble.killed_s or 0.0)
    kill = Kill(
        scope=f"market:{one.markets[0].path}",
        reason="fault test",
        by="test",
        at_ms=time.time_ns() // NS_PER_MS,
    )
    told = await tell_everybody(ground.settings, kill)
    print(f"{one.name} killed: {told}")  # noqa: T201
    if told.board is None:
        one.kills.append(Told(from_ns=time.time_ns(), until_ns=time.time_ns() + 3_600 * 10**9))


async def _lifted(ports: ActivityPorts, one: LiveSet) -> None:
    if not one.kills:
        return
    scope = f"market:{one.markets[0].path}"
    last = one.kills[-1]
    if last.until_ns > time.time_ns():
        one.kills[-1] = Told(from_ns=last.from_ns, until_ns=time.time_ns())
    for _ in range(_LIFT_TRIES):
        with suppress(Unavailable):  # a server that was killed has just come back
            await lift_kills(ports.board, ports.ledger, scope, by="test", reason="the wave is over")
            return
        await asyncio.sleep(_CALM_LOOK_S)
    raise AssertionError(f"the kill of {scope} could not be lifted")


async def _calm(ground: Ground, played: Sequence[Playing], number: int) -> None:
    """Wait until every set came to rest; who did not is noted, and goes on all the same."""
    began, waiting = time.monotonic(), [(each, one) for each in played for one in each.sets]
    why: dict[str, str] = {}
    while waiting and time.monotonic() - began < _CALM_S:
        await asyncio.sleep(_CALM_LOOK_S)
        still = []
        for each, one in waiting:
            try:
                why[one.name] = await one.unrest()
            except (Unavailable, httpx.HTTPError, RPCError) as error:
                why[one.name] = str(error) or type(error).__name__
            if why[one.name]:
                still.append((each, one))
        waiting = still
    for each, one in waiting:
        each.notes.append(f"{one.name} had not come to rest after wave {number}: {why[one.name]}")
    print(f"wave {number}: at rest after {time.monotonic() - began:.1f} s")  # noqa: T201


# --- the end -----------------------------------------------------------------------------------


async def _end(ground: Ground, played: Sequence[Playing]) -> None:
    for each in played:
        holds = [one for one in each.sets if any(await one.held())]
        if each.event.settles:
            winner = each.event.books.legs[0].market.settlement
            assert winner is not None
            body = {"event": winner.event, "winner": winner.outcome}
            await ground.post("settle", body)
        for one in each.sets:
            # Who holds nothing is paid nothing, and does not end by it.
            if not (each.event.settles and one in holds):
                await one.stop()


async def _ended(one: LiveSet) -> ArbitrageStatus | str:
    try:
        return await one.ended()
    except (AssertionError, RPCError) as error:
        return repr(error)


async def _judged(
    ports: ActivityPorts,
    each: Playing,
    one: LiveSet,
    run: int,
    until_ns: int,
    batch: Batch,
    status: ArbitrageStatus | str,
) -> Judged:
    troubles = [
        " + ".join(trouble.name for trouble in trade.troubles) + f" / {wave.strike.value}"
        for trade, wave in zip(each.event.trades, batch.waves, strict=True)
    ]
    found = [note for note in each.notes if note.startswith(f"{one.name} ")]
    trades, longest_s = 0, 0.0
    try:
        assert not isinstance(status, str), status
        facts = await one.facts(ports, status, until_ns)
        trades, longest_s = len(facts.trades), facts.longest_s
        found += breaches(facts)
        if found or longest_s > STATED_S / 2:
            evidence(one.ground.folder / f"run-{run}.txt", facts, found)
    except (AssertionError, Unavailable, RPCError) as error:
        found.append(f"cannot be judged: {error!r}")
    mine = f"set {one.name} "
    found += [text for text in dict.fromkeys(one.ground.seen.breaches) if text.startswith(mine)]
    return Judged(
        run=run,
        name=one.name,
        what="; ".join(troubles),
        trades=trades,
        longest_s=longest_s,
        breaches=tuple(found),
    )
