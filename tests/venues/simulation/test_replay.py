from decimal import Decimal
from pathlib import Path

import pytest

from desk.errors import ConfigurationFault
from tests.venues.simulation.exchange import BUY, SELL, SYMBOL, Exchange, exchange
from venues.simulation.recording import instrument_of
from venues.simulation.replay import ReplayFlow

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

SECOND = 1_000_000_000
#       seconds, message, kind, side, price, size, stale
TAPE = [
    (0.0, 1, "delta", "bid", "99.0", "9", True),
    (0.5, 2, "snapshot", "bid", "99.9", "0.005", False),
    (0.5, 2, "snapshot", "bid", "99.8", "0.010", False),
    (0.5, 2, "snapshot", "ask", "100.1", "0.005", False),
    (0.5, 2, "snapshot", "ask", "100.2", "0.010", False),
    (1.0, 3, "bbo", "bid", "99.9", "0.005", False),
    (1.5, 4, "trade", "buy", "100.1", "0.006", False),
    (2.5, 5, "delta", "ask", "100.1", "0", False),
    (2.5, 5, "delta", "ask", "100.2", "0.004", False),
    (3.5, 6, "delta", "bid", "100.1", "0.003", False),
    (4.5, 7, "trade", "sell", "99.9", "0.001", False),
]


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    path = tmp_path / "tape.parquet"
    seconds, message, kind, side, price, size, stale = zip(*TAPE, strict=True)
    columns = {
        "ts_ns": [int(each * SECOND) for each in seconds],
        "msg": message,
        "instrument": ["venue:X"] * len(TAPE),
        "kind": kind,
        "side": side,
        "price": price,
        "size": size,
        "stale": stale,
    }
    parquet.write_table(pa.table({key: list(value) for key, value in columns.items()}), path)
    return path


def staged(tape: Path) -> tuple[Exchange, ReplayFlow]:
    x = exchange(index_price=None)
    flow = ReplayFlow(x.engine, SYMBOL, tape)
    flow.step(x.clock())
    return x, flow


def later(x: Exchange, flow: ReplayFlow, seconds: float) -> None:
    x.clock.pass_s(seconds)
    flow.step(x.clock())


def test_the_recorded_book_is_shown_as_time_passes(tape: Path) -> None:
    x, flow = staged(tape)
    assert x.engine.book(SYMBOL) == ([(999, 5), (998, 10)], [(1001, 5), (1002, 10)])
    assert x.engine.index(SYMBOL) == 100
    later(x, flow, 2.0)
    assert x.engine.book(SYMBOL) == ([(999, 5), (998, 10)], [(1002, 4)])
    later(x, flow, 1.0)
    assert x.engine.book(SYMBOL)[0] == [(1001, 3), (999, 5), (998, 10)]


def test_we_queue_behind_the_crowd_and_get_what_it_does_not_take(tape: Path) -> None:
    x, flow = staged(tape)
    x.order("ann", SELL, 1001, 7)
    later(x, flow, 1.0)
    assert x.engine.position("ann", SYMBOL).lots == -1


def test_a_better_price_of_ours_trades_first(tape: Path) -> None:
    x, flow = staged(tape)
    x.order("ann", SELL, 1000, 7)
    later(x, flow, 1.0)
    assert x.engine.position("ann", SYMBOL).lots == -6


def test_a_recorded_level_across_our_order_executes_against_it(tape: Path) -> None:
    x, flow = staged(tape)
    later(x, flow, 2.0)
    x.order("ann", SELL, 1001, 2)
    later(x, flow, 1.0)
    assert x.engine.position("ann", SYMBOL).lots == -2
    assert x.engine.book(SYMBOL)[0][0] == (1001, 1)


def test_the_recording_starts_over_when_it_ends(tape: Path) -> None:
    x, flow = staged(tape)
    later(x, flow, 10.0)
    later(x, flow, 0.1)
    assert x.engine.book(SYMBOL) == ([(999, 5), (998, 10)], [(1001, 5), (1002, 10)])
    later(x, flow, 2.0)
    assert x.engine.book(SYMBOL)[1] == [(1002, 4)]


@pytest.mark.parametrize("direction", [1, -1])
def test_a_shock_shifts_the_recording_over_our_stale_orders(tape: Path, direction: int) -> None:
    x, flow = staged(tape)
    x.order("ann", SELL if direction > 0 else BUY, 1000, 2)
    flow.shock(100, direction, 2)
    for _ in range(10):
        later(x, flow, 0.1)
    assert x.engine.index(SYMBOL) == 100 + direction
    assert x.engine.position("ann", SYMBOL).lots == -2 * direction


def test_the_book_catches_up_after_a_halt(tape: Path) -> None:
    x, flow = staged(tape)
    x.engine.halt(SYMBOL, halted=True)
    later(x, flow, 2.0)
    assert x.engine.book(SYMBOL)[1] == [(1001, 5), (1002, 10)]
    x.engine.halt(SYMBOL, halted=False)
    later(x, flow, 1.0)
    assert x.engine.book(SYMBOL) == ([(1001, 3), (999, 5), (998, 10)], [(1002, 4)])


def test_the_instrument_is_read_from_the_recording(tape: Path) -> None:
    found = instrument_of(tape, "sim", "X")
    assert (found.tick_size, found.lot_size) == (Decimal("0.1"), Decimal("0.001"))
    assert (found.venue, found.symbol) == ("sim", "X")


def test_what_cannot_be_replayed_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationFault, match="cannot be read"):
        instrument_of(tmp_path / "absent.parquet", "sim", "X")
    bars = tmp_path / "bars.parquet"
    parquet.write_table(pa.table({"open": [1.0]}), bars)
    with pytest.raises(ConfigurationFault, match="not a book recording"):
        instrument_of(bars, "sim", "X")
