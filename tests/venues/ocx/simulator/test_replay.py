"""A recording comes out of the wire as it was recorded, on its own grid."""

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from desk.errors import ConfigurationFault
from venues.ocx.simulator.counterflow import replayed_market
from venues.ocx.simulator.server import serve
from venues.ocx.simulator.settings import SimulatorSettings

parquet = pytest.importorskip("pyarrow.parquet")


def recording(path: Path) -> Path:
    """Two levels a side and one change a second later."""
    rows = [
        ("snapshot", "bid", "100.5", "2.25", 0),
        ("snapshot", "bid", "100", "1.5", 0),
        ("snapshot", "ask", "101", "3", 0),
        ("delta", "bid", "100.5", "0.75", 3_600),
    ]
    table = [_row(number, row) for number, row in enumerate(rows)]
    pyarrow = pytest.importorskip("pyarrow")
    parquet.write_table(pyarrow.Table.from_pylist(table), path)
    return path


def _row(number: int, what: tuple[str, str, str, str, int]) -> dict[str, Any]:
    kind, side, price, size, at_s = what
    return {
        "ts_ns": 1_000_000_000 * (1 + at_s),
        "exch_ts_ns": 0,
        "msg": 1 if kind == "snapshot" else number,
        "instrument": "test:A",
        "kind": kind,
        "side": side,
        "price": price,
        "size": size,
        "seq_first": number,
        "seq_last": number,
        "seq_prev": number,
        "stale": False,
    }


async def test_the_first_market_replays_the_recording(tmp_path: Path) -> None:
    path = recording(tmp_path / "tape.parquet")
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(
            serve(SimulatorSettings(), 0, random=Random(1), replay=path, on_ready=ready.set_result)
        )
        async with httpx.AsyncClient(base_url=await ready) as http:
            book = (await http.get("/perps/orderbook/BTC-PERP")).json()
            market = (await http.get("/perps/markets")).json()[0]
        task.cancel()
    assert book["bids"] == [["100.5", "2.25"], ["100.0", "1.50"]]
    assert book["asks"] == [["101.0", "3.00"]]
    assert (market["tickSize"], market["stepSize"]) == ("0.5", "0.75")


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.parquet"
    path.write_bytes(b"nothing")
    with pytest.raises(ConfigurationFault, match=r"none\.parquet"):
        replayed_market("BTC-PERP", path)
