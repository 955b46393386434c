"""X10's path in one process, as in life: book message read to signed order bytes with the socket.

Ten markets at the simulator, real sessions over loopback. Signing is inline or in threads; each
order is a call of its own, so the first and the last of a batch are told apart.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import msgspec
import uvloop

import venues.x10
from benchmarks.cores import keep_to, split
from benchmarks.fleet import PARAMETERS, Observed, Stretch, quote
from benchmarks.results import Table, microseconds
from benchmarks.x10_venue import X10Plan, adapter, serving_x10
from desk.identity import OrderIdentity
from venues._transport.http import Headers, HttpPool, HttpResponse

_MARKETS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class X10Manner:
    """Levels a side, and how they are signed; `lanes` is orders in flight and connections.

    `apart`: the simulator has a core of its own, which signing in threads then cannot use.
    """

    levels: int = 1
    threads: int = 0
    lanes: int = 4
    apart: bool = True


class _Named(msgspec.Struct):
    id: str = ""


class StampedPool(HttpPool):
    """The product's pool, which also notes when each order's bytes were with its socket."""

    written_ns: ClassVar[dict[str, int]] = {}

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Headers = b"",
        body: bytes = b"",
        timeout_s: float | None = None,
        not_after_ns: int | None = None,
    ) -> Awaitable[HttpResponse]:
        """As the product's; the moment of writing comes with the answer."""
        answer = super().request(
            method,
            path,
            headers=headers,
            body=body,
            timeout_s=timeout_s,
            not_after_ns=not_after_ns,
        )
        if path == "/user/order" and isinstance(answer, asyncio.Future):
            answer.add_done_callback(partial(self._note, body))
        return answer

    @classmethod
    def _note(cls, body: bytes, answer: "asyncio.Future[HttpResponse]") -> None:
        if not answer.cancelled() and answer.exception() is None:
            name = msgspec.json.decode(body, type=_Named).id
            cls.written_ns[name] = answer.result().sent_ns

    @classmethod
    def install(cls) -> None:
        """Let every adapter built from now on send through this pool."""
        venues.x10.HttpPool = cls  # type: ignore[attr-defined]


def run(*, manner: X10Manner, seconds: float) -> Table:
    """Measure one configuration in this process."""
    StampedPool.install()
    plan = X10Plan(markets=_MARKETS)
    if manner.apart:
        ours, theirs = split()
        keep_to(ours)
        plan = replace(plan, cores=tuple(theirs))
    parameters = replace(PARAMETERS, levels=manner.levels)
    stretch = Stretch(seconds=seconds, warm_up_s=3.0, parameters=parameters, freeze_gc=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        observed = runner.run(_quote(plan, stretch, manner))
    first, last = _batches(observed)
    how = f"signed in {manner.threads} threads" if manner.threads else "signed inline"
    where = "" if manner.apart else ", the simulator on any core"
    return Table(
        name=f"x10_path: {2 * manner.levels} orders a batch, {manner.lanes} lanes, {how}{where}",
        rows=(
            microseconds("received_ns → first order's bytes sent", first),
            microseconds("received_ns → last order's bytes sent", last),
            microseconds("received_ns → the session goes on", observed.turns.sent.from_event),
            microseconds("first bytes sent → all answers read", observed.turns.answers),
            microseconds("garbage collections", observed.turns.pauses),
        ),
        notes=_notes(observed, first),
    )


async def _quote(plan: X10Plan, stretch: Stretch, manner: X10Manner) -> Observed:
    async with serving_x10(plan) as where:
        connect = partial(adapter, where, threads=manner.threads, lanes=manner.lanes)
        return await quote(connect, stretch)


def _batches(observed: Observed) -> tuple[list[int], list[int]]:
    """Nanoseconds from the update to the first and to the last order of each batch it led to."""
    took: dict[tuple[str, int], list[int]] = {}
    for name, received_ns in observed.turns.causes.items():
        identity, written_ns = OrderIdentity.decode(name), StampedPool.written_ns.get(name)
        if identity is not None and written_ns is not None:
            took.setdefault((identity.tag, identity.cycle), []).append(written_ns - received_ns)
    return [min(each) for each in took.values()], [max(each) for each in took.values()]


def _notes(observed: Observed, first: list[int]) -> tuple[str, ...]:
    turns, whole = observed.turns, observed.seconds
    orders = sum(name in StampedPool.written_ns for name in turns.causes)
    rates = f"{len(turns.levels) / whole:.0f} updates, {len(first) / whole:.0f} batches"
    busy = f"{observed.cpu_s / whole:.0%} of a core"
    return (
        f"a second: {rates}, {orders / whole:.0f} orders; {busy}; {turns.refused} denied",
        "target: p50 0.5, p99 1.2 ms",
    )
