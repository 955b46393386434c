"""What a session leaves behind for the next one, on the machine it ran on, and how it is kept.

The rule: it witnesses, it never rules. Postgres and the venue say what is so; what is saved shows
when one of them forgot, and that a session ended without leaving.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

import msgspec

from desk.identity import MarketId
from desk.ports import Clock
from desk.state_ports import SavedFiles
from desk.units import NS_PER_MS, Lots
from quoting.file_thread import FileThread
from quoting.loop import MarketLoop
from quoting.progress import SessionProgress
from quoting.setup import LoopSetup

FORMAT: Final = 1
SAVE_S: Final = 5.0
_CLOSE_S: Final = 2.0
_FRESH_MS: Final = 900_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedState:
    """One moment of a market's session. Money in quote currency, times in unix milliseconds.

    `cash` is what fills paid, fees and funding included. `last_trade` is the newest fill heard and
    `last_trade_ms` when it was made, None before the first. `orders` rested then. `left`: the
    session ended in good order, with nothing resting. `compared`: its trace was replayed since.
    """

    format: int = FORMAT
    market: MarketId
    life_epoch: int
    epoch: int
    run_id: str
    at_ms: int
    position: Lots
    cash: Decimal
    peak: Decimal | None
    last_trade: str | None
    last_trade_ms: int | None
    sigma_bps: Decimal | None
    usual_latency_ms: Decimal | None
    orders: tuple[str, ...] = ()
    left: bool = False
    compared: bool = False

    def peak_in(self, life_epoch: int) -> Decimal | None:
        """The highest PnL that it knew of this life of the market, None when it was another."""
        return self.peak if self.life_epoch == life_epoch else None

    def sigma_at(self, now_ms: int) -> Decimal | None:
        """Its estimate of volatility while that is not too old to begin with."""
        return self.sigma_bps if 0 <= now_ms - self.at_ms <= _FRESH_MS else None

    def why_not_of(self, market: MarketId) -> str:
        """Why it cannot be what was saved of this market; empty when it can.

        A time to come is no reason: the clock it was saved by ran ahead, and nothing goes by it.
        """
        return "" if self.market == market else f"it is a state of {self.market.path}"


class StateUnreadable(Exception):
    """A saved state that says nothing, in one sentence."""


class StateOfOtherVersion(Exception):
    """A saved state in a format of another version of this program, in one sentence."""


@dataclass(frozen=True, slots=True)
class _Envelope:
    format: int


def write_state(state: SavedState) -> bytes:
    """As it is kept."""
    return msgspec.json.encode(state)


def read_state(content: bytes) -> SavedState:
    """Read it back. StateOfOtherVersion, or StateUnreadable for what no version wrote."""
    try:
        known = msgspec.json.decode(content, type=_Envelope).format
        if known != FORMAT:
            raise StateOfOtherVersion(
                f"the saved state has format {known} and is not readable by this version, whose "
                f"format is {FORMAT}"
            )
        return msgspec.json.decode(content, type=SavedState)
    except msgspec.MsgspecError as error:
        raise StateUnreadable(f"the saved state cannot be understood: {error}") from None


def later_peak(known: Decimal | None, saved: Decimal | None) -> Decimal | None:
    """The higher of two peaks; a peak only grows, so forgetting one would loosen a limit."""
    if known is None or saved is None:
        return known if saved is None else saved
    return max(known, saved)


class StateKeeper:
    """Saves one session's state every few seconds, in `thread`; quoting never waits for the disk.

    What cannot be saved is told once in a while by `tell`: the file then stays older.
    """

    def __init__(
        self,
        *,
        files: SavedFiles,
        thread: FileThread,
        setup: LoopSetup,
        clock: Clock,
        life_epoch: int,
        run_id: str,
        tell: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._files = files
        self._thread = thread
        self._setup = setup
        self._clock = clock
        self._life_epoch = life_epoch
        self._run_id = run_id
        self._tell = tell
        self._said = ""

    async def run(self, loop: MarketLoop, progress: Callable[[], SessionProgress]) -> None:
        """Save until cancelled."""
        while True:
            await self._save(self._state(loop, progress()))
            await asyncio.sleep(SAVE_S)

    async def close(self, loop: MarketLoop, progress: SessionProgress, *, left: bool) -> None:
        """Save a last time, when `run` is over. Never raises for what a disk does.

        After two seconds it is given up: a session ends also while a disk hangs.
        """
        state = replace(self._state(loop, progress), left=left)
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._save(state)
        except TimeoutError:
            self._trouble(state, f"the disk did not answer within {_CLOSE_S:.0f} s")

    async def _save(self, state: SavedState) -> None:
        try:
            # The thread keeps the order: no older state comes after this one.
            await self._thread.run(
                self._files.save, state.market, write_state(state), state.at_ms, state.epoch
            )
        except OSError as error:
            self._trouble(state, str(error))
        else:
            self._said = ""

    def _trouble(self, state: SavedState, why: str) -> None:
        said = f"{state.market.path}: its state could not be saved: {why}"
        if said != self._said:
            self._said = said
            self._tell(said)

    def _state(self, loop: MarketLoop, progress: SessionProgress) -> SavedState:
        setup, standing = self._setup, loop.standing
        trade, trade_ms = standing.newest_trade or (None, setup.facts.last_trade_ms)
        return SavedState(
            market=setup.market,
            life_epoch=self._life_epoch,
            epoch=setup.epoch,
            run_id=self._run_id,
            at_ms=self._clock.wall_ns() // NS_PER_MS,
            position=standing.folded,
            cash=standing.cash,
            peak=standing.peak,
            last_trade=trade,
            last_trade_ms=trade_ms,
            sigma_bps=progress.sigma_bps,
            usual_latency_ms=progress.usual_round_trip_ms,
            orders=tuple(one.order.client_order_id for one in loop.orders.open),
        )
