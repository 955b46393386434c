"""Bytes in and bytes out of the OCX adapter, each by itself.

In: one book frame as the socket gives it, to the desk event. Out: an approved batch to the request.
"""

import asyncio
import random
from functools import partial
from time import perf_counter_ns

import uvloop

from benchmarks.cores import keep_to, split
from benchmarks.exchange import ExchangePlan, serving
from benchmarks.fleet import LIMITS, adapter
from benchmarks.ladders import FrameWriter, SyntheticLadder, instrument
from benchmarks.micro import median_row
from benchmarks.results import Row, Table, timed
from desk.identity import OrderIdentity, Slot
from desk.market import BookDelta, BookSnapshot, FeedEvent
from desk.orders import Batch, NewOrder
from desk.ports import Venue
from desk.risk.approval import Approved
from desk.risk.gate import GateContext, GateLimits, review
from desk.units import Side
from infra.clock import SystemClock
from venues._transport.backoff import Backoff
from venues._transport.message import encode_headers, encode_request
from venues._transport.sse import _EventReader
from venues._transport.sse_parser import SseParser
from venues.ocx.config import OcxConfig
from venues.ocx.feed import _BookStream
from venues.ocx.grid import Grid
from venues.ocx.instruments import Catalog
from venues.ocx.ladder import LadderEncoder
from venues.ocx.signing import Secret

_RUNS = 5
_MARKET = instrument(0)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_PACE_S = 0.005


def run(*, quick: bool) -> Table:
    """Microseconds a frame and a batch: median over runs of each run's figures."""
    return uvloop.run(_all(300 if quick else 2_000))


async def _all(count: int) -> Table:
    rows = []
    for levels, depth in ((34, 100), (200, 100), (611, 1_000)):
        rows.append(
            _row(f"in: frame of {levels} levels to event", partial(_frames, levels, depth, count))
        )
    rows.append(_row("in: snapshot frame, 100 levels a side", partial(_frames, 0, 100, count)))
    rows.append(_row("out: batch of 6 to request bytes", partial(_encode, count)))
    ours, theirs = split()
    keep_to(ours)
    async with serving(ExchangePlan(markets=1, cores=tuple(theirs))) as base_url:
        venue = adapter(base_url, SystemClock())
        await venue.instruments()
        async with asyncio.TaskGroup() as tasks:
            holding = tasks.create_task(venue.run())
            await asyncio.sleep(0.5)
            for what, pace_s in (("back to back", 0.0), ("paced 5 ms", _PACE_S)):
                runs = [await _sends(venue, count // 2, pace_s) for _ in range(_RUNS)]
                rows.append(median_row(f"out: batch of 6 to the socket, {what}", runs))
            holding.cancel()
        await venue.close()
    return Table(name="wire: venues/ocx", rows=tuple(rows))


def _row(what: str, measure: "partial[list[int]]") -> Row:
    measure()
    return median_row(what, [measure() for _ in range(_RUNS)])


def _frames(levels: int, depth: int, count: int) -> list[int]:
    """From `data_received` to the sink, HTTP chunk and event-stream framing included."""
    ladder = SyntheticLadder(mid=30_000, seed=levels, depth=depth, changes=levels or 2 * depth)
    writer = FrameWriter(_MARKET)
    heard: list[FeedEvent] = []
    reader = _reader(heard)
    reader.data_received(_HEAD)
    reader.data_received(_chunk(writer.frame("snapshot", ladder.snapshot())))
    name, frames = ("update", []) if levels else ("snapshot", [])
    for _ in range(count):
        change = ladder.step() if levels else ladder.snapshot()
        assert change is not None
        frames.append(_chunk(writer.frame(name, change)))
    took = timed(reader.data_received, frames)
    kinds = BookDelta if levels else BookSnapshot
    assert sum(isinstance(event, kinds) for event in heard) >= count
    return took


def _reader(heard: list[FeedEvent]) -> _EventReader:
    config = OcxConfig(base_url="http://127.0.0.1:1", api_key=Secret("k"))
    stream = _BookStream(
        config=config,
        catalog=Catalog(config),
        clock=SystemClock(),
        instrument=_MARKET,
        sink=heard.append,
        backoff=Backoff(uniform=random.Random(0).uniform),
    )
    parser = SseParser(on_event=stream._event, on_comment=stream._comment)  # noqa: SLF001
    return _EventReader(parser=parser, on_open=lambda: None, idle_timeout_s=40.0)


def _chunk(frame: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(frame), frame)


def _approved(number: int) -> Approved[Batch]:
    slots = [Slot(side, level) for side in Side for level in range(3)]
    orders = tuple(
        NewOrder(
            client_order_id=OrderIdentity(tag="bench00", epoch=1, cycle=number, slot=slot).encode(),
            slot=slot,
            side=slot.side,
            price=30_000 - slot.side.sign * (10 + slot.level) + number % 5,
            lots=166,
        )
        for slot in slots
    )
    batch = Batch(batch_id=f"b{number}", symbol=_MARKET.symbol, orders=orders, replace_all=True)
    context = GateContext(
        limits=GateLimits.of(_MARKET, LIMITS),
        mid_x2=60_000,
        book_age_ns=0,
        account_age_ns=0,
        position=0,
        working=(),
        orders_last_minute=0,
    )
    verdict = review(batch, context)
    assert isinstance(verdict, Approved), verdict
    return verdict


def _encode(count: int) -> list[int]:
    encoder = LadderEncoder(levels_key="levels", margin_mode=None)
    prices, sizes = Grid(_MARKET.tick_size), Grid(_MARKET.lot_size)
    headers = encode_headers([("Content-Type", "application/json"), ("x-api-key", "k" * 47)])

    def once(batch: Batch) -> None:
        body = encoder.body(batch, prices, sizes)
        encode_request("POST", "/perps/quotes/bulk", "127.0.0.1:1", headers, body)

    return timed(once, [_approved(number).value for number in range(count)])


async def _sends(venue: Venue, count: int, pace_s: float) -> list[int]:
    """The call of `execution.send` alone: budget, body, request, look at the socket, write."""
    took = []
    for number in range(count):
        approved = _approved(number)
        if pace_s:
            await asyncio.sleep(pace_s)
        begun = perf_counter_ns()
        answer = venue.execution.send(approved, _MARKET)
        took.append(perf_counter_ns() - begun)
        outcome = await answer
        assert not outcome.unresolved, outcome
    return took
