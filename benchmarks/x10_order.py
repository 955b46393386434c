"""One X10 replace: approved batch to signed bytes with the socket, beside the official SDK.

All of them replace one resting order at the same simulator, in turn, in the same process and run.
"""

import asyncio
import gc
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any, TypeAlias

import aiohttp
import uvloop
from x10.clients.rest.rest_api_client import RestApiClient
from x10.config import TESTNET_CONFIG
from x10.core.client_config import ClientConfig
from x10.core.stark_account import StarkPerpetualAccount
from x10.models.order import OrderSide
from x10.signing.order_object import create_order_object

from benchmarks.cores import keep_to, split
from benchmarks.fleet import LIMITS
from benchmarks.micro import median_row
from benchmarks.results import Table
from benchmarks.x10_venue import (
    KEY,
    PRIVATE_KEY,
    VAULT,
    Addresses,
    X10Plan,
    adapter,
    serving_x10,
)
from desk.identity import OrderIdentity, Slot
from desk.instrument import Instrument
from desk.orders import Batch, NewOrder, OutcomeKind
from desk.ports import Venue
from desk.risk.approval import Approved
from desk.risk.gate import GateContext, GateLimits, review
from desk.units import Side
from infra.clock import SystemClock
from venues.x10.signing import public_of

_RUNS = 5
_BLOCK = 100
_PACE_S = 0.005
_MID, _LOTS = 30_000, 166
_SLOT = Slot(Side.BUY, 0)
Send: TypeAlias = Callable[[int], Awaitable[int]]
"""Replaces the order sent before by the one of this number; nanoseconds from call to bytes."""


def run(*, quick: bool) -> Table:
    """Microseconds from call to bytes written: median over runs of each run's figures."""
    return uvloop.run(_all(300 if quick else 2_000))


async def _all(count: int) -> Table:
    ours, theirs = split()
    keep_to(ours)
    async with (
        serving_x10(X10Plan(markets=3, cores=tuple(theirs))) as where,
        _ours(where, number=0, threads=0) as inline,
        _ours(where, number=1, threads=2) as threads,
        _theirs(where, number=2) as official,
    ):
        senders = {
            "adapter, signed inline": inline,
            "adapter, signed in 2 threads": threads,
            "official SDK": official,
        }
        for send in senders.values():
            await _block(send, 0, 200, 0.0)
        # As a worker does once it has started.
        gc.collect()
        gc.freeze()
        rows, done = [], 200
        for mode, pace_s in (("back to back", 0.0), ("paced 5 ms", _PACE_S)):
            runs: dict[str, list[list[int]]] = {name: [] for name in senders}
            for _ in range(_RUNS):
                one: dict[str, list[int]] = {name: [] for name in senders}
                for _ in range(0, count, _BLOCK):
                    # In turn, so that whatever else the machine does strikes all alike.
                    for name, send in senders.items():
                        one[name] += await _block(send, done, _BLOCK, pace_s)
                    done += _BLOCK
                for name, took in one.items():
                    runs[name].append(took)
            rows += [median_row(f"{name}, {mode}", each) for name, each in runs.items()]
    return Table(
        name="x10_order: one replace, call to signed bytes with the socket",
        rows=tuple(rows),
        notes=(
            "adapter: execution.send of an approved batch of one, to right after transport.write",
            "SDK: create_order_object and orders.place_order, to right after the body's write",
            "(aiohttp's on_request_chunk_sent); neither decides, plans or asks a gate here",
            "target: p50 0.5, p99 1.2 ms",
        ),
    )


async def _block(send: Send, first: int, count: int, pace_s: float) -> list[int]:
    took = []
    for number in range(first, first + count):
        if pace_s:
            await asyncio.sleep(pace_s)
        took.append(await send(number))
    return took


# --- ours ------------------------------------------------------------------------------------


@asynccontextmanager
async def _ours(where: Addresses, *, number: int, threads: int) -> AsyncIterator[Send]:
    venue = adapter(where, SystemClock(), threads=threads, seed=number)
    listed = {one.symbol: one for one in await venue.instruments()}
    async with asyncio.TaskGroup() as tasks:
        holding = tasks.create_task(venue.run())
        await asyncio.sleep(0.5)
        yield partial(_send, venue, listed[f"BENCH{number}-USD"], f"bench{number:02}")
        holding.cancel()
    await venue.close()


async def _send(venue: Venue, instrument: Instrument, tag: str, number: int) -> int:
    approved = _approved(instrument, tag, number)
    begun_ns = time.monotonic_ns()
    outcome = await venue.execution.send(approved, instrument)
    assert outcome.orders[0].kind is OutcomeKind.ACCEPTED, outcome
    return outcome.sent_ns - begun_ns


def _approved(instrument: Instrument, tag: str, number: int) -> Approved[Batch]:
    order = NewOrder(
        client_order_id=_name(tag, number),
        slot=_SLOT,
        side=Side.BUY,
        price=_MID - 500 + number % 5,
        lots=_LOTS,
        replaces=_name(tag, number - 1) if number else None,
    )
    batch = Batch(batch_id=f"b{number}", symbol=instrument.symbol, orders=(order,))
    context = GateContext(
        limits=GateLimits.of(instrument, LIMITS),
        mid_x2=2 * _MID,
        book_age_ns=0,
        account_age_ns=0,
        position=0,
        working=(),
        orders_last_minute=0,
    )
    verdict = review(batch, context)
    assert isinstance(verdict, Approved), verdict
    return verdict


def _name(tag: str, number: int) -> str:
    return OrderIdentity(tag=tag, epoch=1, cycle=number + 1, slot=_SLOT).encode()


# --- the official SDK ------------------------------------------------------------------------


@asynccontextmanager
async def _theirs(where: Addresses, *, number: int) -> AsyncIterator[Send]:
    account = StarkPerpetualAccount(VAULT, PRIVATE_KEY, hex(public_of(int(PRIVATE_KEY, 16))), KEY)
    config = _config(where)
    written: list[int] = []

    async def on_written(*_: Any) -> None:
        written.append(time.monotonic_ns())

    trace = aiohttp.TraceConfig()
    trace.on_request_chunk_sent.append(on_written)
    async with (
        RestApiClient(config, account) as rest,
        aiohttp.ClientSession(trace_configs=[trace]) as session,
    ):
        # Its own session, made as it makes it, but told to say when it has written.
        rest.orders._BaseModule__session = session  # noqa: SLF001
        listed = (await rest.info.get_markets(market_names=[f"BENCH{number}-USD"])).data
        nonces = random.Random(1)

        async def send(count: int) -> int:
            begun_ns = time.monotonic_ns()
            order = create_order_object(
                account=account,
                market=listed[0],
                amount_of_synthetic=Decimal(_LOTS) / 1_000,
                price=Decimal(_MID - 500 + count % 5) / 10,
                side=OrderSide.BUY,
                starknet_domain=config.signing.starknet_domain,
                post_only=True,
                previous_order_external_id=f"sdk-{count - 1}" if count else None,
                order_external_id=f"sdk-{count}",
                nonce=nonces.randrange(1, 2**31),
                taker_fee=Decimal("0.00025"),
            )
            written.clear()
            await rest.orders.place_order(order)
            return written[-1] - begun_ns

        yield send


def _config(where: Addresses) -> ClientConfig:
    endpoints = replace(
        TESTNET_CONFIG.endpoints,
        api_base_url=where.base_url,
        api_base_order_management_url=where.base_url,
        stream_url=where.stream_url,
    )
    return replace(TESTNET_CONFIG, endpoints=endpoints)
