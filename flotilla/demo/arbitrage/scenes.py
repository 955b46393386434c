"""The three scenes: pull a lever, and wait until the record or the run shows what was promised.

The rule: a scene only ever moves the venue. What our side does about it, it finds out by itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from desk.arbitrage_records import ArbitrageTrade
from flotilla.demo.arbitrage.board import Board, SetEnded, SetNow
from flotilla.demo.arbitrage.judging import (
    Refusals,
    hedged,
    over,
    pays,
    refused_as_stale,
    taken,
)
from flotilla.demo.arbitrage.levers import Levers, edge, silence, vanishing
from flotilla.demo.arbitrage.sets import Scene, ShownSet

_READY_S: Final = 60.0
_SCENE_S: Final = 90.0
_SAID_S: Final = 5.0
_REFUSALS: Final = 8
# Until the adapter gives a silent stream up and asks for a new book, which would be no stale one.
_STALE_EDGE_S: Final = 25.0


class NotShown(Exception):
    """What was promised did not happen: one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What became of a scene, in a sentence, and how many seconds it took."""

    happened: bool
    what: str
    took_s: float = 0.0


NOT_PLAYED: Final = Shown(happened=False, what="not shown: the demo ended before")


class Play:
    """Plays all scenes, one after another; `shown` fills up meanwhile.

    `began` is when every set was first seen to watch, by the event loop's clock.
    """

    def __init__(
        self,
        sets: tuple[ShownSet, ...],
        board: Board,
        levers: Levers,
        tell: Callable[[str], object],
    ) -> None:
        self._sets = sets
        self._board = board
        self._levers = levers
        self._tell = tell
        self.playing: Scene | None = None
        self.began: float | None = None
        self.shown: dict[Scene, Shown] = {}

    async def run(self) -> None:
        """Play to the end; raises httpx.HTTPError when the venue does not obey."""
        try:
            async with asyncio.timeout(_READY_S):
                for one in self._sets:
                    await self._board.until(one.scene, lambda now: now.ready)
        except TimeoutError:
            self._tell(f"not every set watched after {_READY_S:.0f} s")
        except SetEnded:
            pass  # its own scene says so
        self.began = asyncio.get_running_loop().time()
        for one in self._sets:
            self.playing = one.scene
            self._tell(f"{one.scene.value}: {one.scene.promise} …")
            self.shown[one.scene] = shown = await self._play(one)
            self._tell(f"{one.scene.value}: {shown.what}")
        self.playing = None

    async def _play(self, one: ShownSet) -> Shown:
        clock = asyncio.get_running_loop().time
        began, happened = clock(), False
        try:
            async with asyncio.timeout(_SCENE_S):
                what = await _SCENES[one.scene](one, self._board, self._levers)
                happened = True
        except TimeoutError:
            what = f"did not happen within {_SCENE_S:.0f} s"
        except (NotShown, SetEnded) as error:
            what = str(error)
        return Shown(happened=happened, what=what, took_s=round(clock() - began, 1))


async def _whole(one: ShownSet, board: Board, levers: Levers) -> str:
    while True:
        now = await _provoked(one, board, levers)
        if trade := taken(now.trades):
            return f"taken: {_came_to(now, trade)}"


async def _missed(one: ShownSet, board: Board, levers: Levers) -> str:
    while True:
        async with levers.held(vanishing(one.troubled)) as number:
            now = await _provoked(one, board, levers)
            gone = await levers.struck(number)
        trade = hedged(now.trades)
        if gone and trade is not None:
            how = "it was bought after all" if trade.locked else "the others were traded back"
            return f"{one.troubled.symbol} vanished and {how}: {_came_to(now, trade)}"


async def _stale(one: ShownSet, board: Board, levers: Levers) -> str:
    scene, min_edge = one.scene, one.start().min_edge
    refusals = Refusals(min_edge=min_edge)
    async with levers.held(silence(one.troubled)):
        frozen = await board.until(
            scene,
            lambda now: refused_as_stale(now.look) > 0 and one.troubled.path in now.look.gate,
        )
        async with levers.held(edge(one.cheap, for_s=_STALE_EDGE_S)):
            now = await board.until(scene, lambda now: refusals.take(now.look) >= _REFUSALS)
            asked = await levers.asked(one.legs)
        # The feed may come back only when there is nothing to take any more.
        await board.until(scene, lambda now: not pays(now.look, min_edge))
    for trade in board.now(scene).trades:
        same = trade.fired.key.epoch == frozen.look.epoch
        why = "although a leg was stale" if same else "by a new run, which read the book afresh"
        raise NotShown(f"{trade.fired.key.text} was fired {why}")
    if asked is None or asked >= 1:
        raise NotShown(f"the venue's own asks add up to {asked}: there was nothing to refuse")
    unit = _money(now.look.best_edge)
    return (
        f"refused {refusals.count} times at an edge of {unit} a unit ({now.look.gate}); "
        f"the venue itself asked {_money(asked)} for what pays 1"
    )


_SCENES: Final[Mapping[Scene, Callable[[ShownSet, Board, Levers], Awaitable[str]]]] = {
    Scene.WHOLE: _whole,
    Scene.MISSED: _missed,
    Scene.STALE: _stale,
}


async def _provoked(one: ShownSet, board: Board, levers: Levers) -> SetNow:
    """Give an edge away until a trade is on record, then wait until it is over and told of."""
    before = len(board.now(one.scene).trades)
    async with levers.held(edge(one.cheap)):
        await board.until(one.scene, lambda now: len(now.trades) > before)
    await board.until(one.scene, lambda now: over(now.trades))
    with suppress(TimeoutError):  # a run that died says nothing more
        async with asyncio.timeout(_SAID_S):
            await board.until(one.scene, _said_all)
    return board.now(one.scene)


def _said_all(now: SetNow) -> bool:
    told = {trade.key for trade in now.status.trades} if now.status else set()
    return all(trade.fired.key in told for trade in now.trades)


def _came_to(now: SetNow, trade: ArbitrageTrade) -> str:
    """Size and edges, and what the run said of its orders where it has done so already."""
    fired = trade.fired
    told = now.status.trades if now.status else ()
    said = [f"; {one.outcome}" for one in told if one.key == fired.key]
    return (
        f"{_money(fired.units)} units, edge {_money(trade.edge)} {fired.quote} of "
        f"{_money(fired.edge_expected)} expected{''.join(said)}"
    )


def _money(amount: Decimal | None) -> str:
    return "-" if amount is None else f"{round(amount, 4).normalize():f}"
