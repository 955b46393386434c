"""A saved state is read back exactly, keeps a peak, and the last one says how the session left."""

import asyncio
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.identity import MarketId
from desk.risk.limits import RiskLimits
from desk.state_ports import KeptCopy
from desk.units import Side
from quoting.file_thread import FileThread
from quoting.progress import LatencySamples
from quoting.saved_state import (
    SavedState,
    StateKeeper,
    StateOfOtherVersion,
    StateUnreadable,
    later_peak,
    read_state,
    write_state,
)
from quoting.setup import LoopSetup
from tests.quoting.builders import (
    CAPABILITIES,
    EMPTY,
    INSTRUMENT,
    MARKET,
    PARAMETERS,
    fill,
    make_loop,
    quoting_loop,
)
from tests.quoting.test_session_lease import FastClock

money = st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=9)
texts = st.text(max_size=20)
states = st.builds(
    SavedState,
    format=st.just(1),
    market=st.builds(MarketId, texts, texts, texts),
    life_epoch=st.integers(0, 2**40),
    epoch=st.integers(0, 2**40),
    run_id=texts,
    at_ms=st.integers(0, 2**50),
    position=st.integers(-(2**60), 2**60),
    cash=st.decimals(allow_nan=False, allow_infinity=False, places=12),
    peak=money,
    last_trade=st.none() | texts,
    last_trade_ms=st.none() | st.integers(0, 2**50),
    sigma_bps=money,
    usual_latency_ms=money,
    orders=st.lists(texts, max_size=4).map(tuple),
    left=st.booleans(),
    compared=st.booleans(),
)
SETUP = LoopSetup(
    market=MARKET,
    instrument=INSTRUMENT,
    epoch=1,
    parameters=PARAMETERS,
    limits=RiskLimits(),
    capabilities=CAPABILITIES,
    facts=EMPTY,
    known_since_ms=0,
    known=frozenset(),
)


@given(states)
def test_a_state_is_read_back_exactly(state: SavedState) -> None:
    assert read_state(write_state(state)) == state


@given(st.binary(max_size=60) | st.just(b'{"format": 1}'))
def test_what_is_no_state_is_told_in_a_sentence(content: bytes) -> None:
    with pytest.raises(StateUnreadable, match="the saved state cannot be understood"):
        read_state(content)


@given(states)
def test_a_format_of_a_later_version_is_refused(state: SavedState) -> None:
    later = write_state(replace(state, format=2))
    with pytest.raises(StateOfOtherVersion, match="format 2 and is not readable by this version"):
        read_state(later)
    with pytest.raises(StateOfOtherVersion, match="format 2"):
        read_state(later.replace(b'"cash":', b'"money":'))


@given(money, money)
def test_of_two_peaks_none_is_forgotten(known: Decimal | None, saved: Decimal | None) -> None:
    kept = later_peak(known, saved)
    assert all(kept is not None and kept >= one for one in (known, saved) if one is not None)
    assert kept in (known, saved)


@given(states, st.integers(0, 2**40))
def test_a_peak_counts_in_its_own_life_only(state: SavedState, life_epoch: int) -> None:
    expected = state.peak if state.life_epoch == life_epoch else None
    assert state.peak_in(life_epoch) == expected


@given(states, st.integers(-2_000_000, 2_000_000))
def test_a_volatility_that_is_old_is_no_beginning(state: SavedState, age_ms: int) -> None:
    fresh = 0 <= age_ms <= 900_000
    assert state.sigma_at(state.at_ms + age_ms) == (state.sigma_bps if fresh else None)


@given(states, texts)
def test_a_state_counts_for_its_own_market(state: SavedState, other: str) -> None:
    assert state.why_not_of(state.market) == ""
    another = replace(state.market, symbol=state.market.symbol + other + "!")
    assert state.market.path in state.why_not_of(another)


@dataclass
class SlowDisk:
    """Takes the first state it is given when it is let, and all others at once."""

    kept: list[SavedState] = field(default_factory=list)
    free: threading.Event = field(default_factory=threading.Event)
    full: bool = False
    asked: int = 0

    def save(self, market: MarketId, content: bytes, now_ms: int, epoch: int) -> None:
        self.asked += 1
        if self.asked == 1:
            self.free.wait(20)
        if self.full:
            raise OSError(28, "No space left on device")
        state = read_state(content)
        assert (state.market, state.at_ms, state.epoch) == (market, now_ms, epoch)
        self.kept.append(state)

    def load(self, market: MarketId) -> Sequence[KeptCopy]:
        raise AssertionError("a session only saves")

    def set_aside(self, market: MarketId, names: Collection[str], now_ms: int) -> None:
        raise AssertionError("a session only saves")


def keeper(disk: SlowDisk, said: list[str]) -> StateKeeper:
    return StateKeeper(
        files=disk,
        thread=FileThread("test"),
        setup=SETUP,
        clock=FastClock(),
        life_epoch=1,
        run_id="run",
        tell=said.append,
    )


async def test_the_last_state_is_the_one_that_stays_however_slow_the_disk() -> None:
    disk, said = SlowDisk(), list[str]()
    one, (loop, batch) = keeper(disk, said), quoting_loop()
    running = asyncio.create_task(one.run(loop, lambda: loop.progress(LatencySamples())))
    async with asyncio.timeout(20):
        while not disk.asked:
            await asyncio.sleep(0.01)
    running.cancel()
    closing = asyncio.create_task(one.close(loop, loop.progress(LatencySamples()), left=True))
    await asyncio.sleep(0.05)
    assert not closing.done(), "it waits for the state that is being saved"
    disk.free.set()
    await closing
    first, last = disk.kept
    assert (first.left, last.left) == (False, True)
    assert first.orders == tuple(order.client_order_id for order in batch.orders)
    assert said == []


async def test_a_state_says_what_the_session_holds() -> None:
    disk = SlowDisk()
    disk.free.set()
    loop = make_loop()
    loop.standing.hear(replace(fill("t1", Side.SELL, 600_000, 7), traded_at_ms=1_234))
    loop.standing.equity(1_200_000)
    await keeper(disk, []).close(loop, loop.progress(LatencySamples()), left=False)
    (state,) = disk.kept
    assert (state.market, state.epoch, state.run_id, state.left) == (MARKET, 1, "run", False)
    assert (state.position, state.last_trade, state.last_trade_ms) == (-7, "t1", 1_234)
    assert state.cash == INSTRUMENT.notional(600_000, 7)
    assert state.peak == 0


async def test_a_disk_that_takes_nothing_is_told_once_and_stops_nobody() -> None:
    disk, said = SlowDisk(full=True), list[str]()
    disk.free.set()
    loop = make_loop()
    one = keeper(disk, said)
    for _ in range(3):
        await one.close(loop, loop.progress(LatencySamples()), left=True)
    assert len(said) == 1
    assert "No space left on device" in said[0]
