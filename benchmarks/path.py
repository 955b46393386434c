"""The target: book frame's bytes read to order bytes with the socket, in one process, as in life.

Ten OCX markets, twenty updates a second each, real sessions over loopback; only sends that a book
update led to in its own turn are counted, the others waited by design (debounce, open answer).
"""

import asyncio
import cProfile
import pstats
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

import uvloop

from benchmarks.cores import keep_to, split
from benchmarks.exchange import ExchangePlan, serving
from benchmarks.fleet import PARAMETERS, Observed, Stretch, adapter, quote
from benchmarks.results import Row, Table, microseconds, percentile

TARGET_P50_MS, TARGET_P99_MS = 0.25, 0.6
_STAGES = {
    "read": "  bytes read → frame found (received_ns)",
    "parse": "  → desk event in the inbox",
    "wait": "  → the market's turn begins",
    "decide": "  → decided, encoded, with the socket",
}
_PROFILED = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """One configuration. `fast` is uvloop, else asyncio's own loop; `apart`: on cores of its own.

    `freeze` takes what was made at the start out of the garbage collector's sight.
    """

    fast: bool = True
    together: bool = False
    apart: bool = True
    freeze: bool = False
    replay: str | None = None


def run(*, manner: Manner, seconds: float) -> Table:
    """Measure one configuration in this process."""
    plan = ExchangePlan(markets=10, together=manner.together, replay=manner.replay)
    # A recorded price moves less than ours do; there, any new price is sent.
    tolerance = Decimal(0) if manner.replay else PARAMETERS.requote_tolerance_bps
    parameters = replace(PARAMETERS, requote_tolerance_bps=tolerance)
    stretch = Stretch(seconds=seconds, freeze_gc=manner.freeze, parameters=parameters)
    observed = on_loop(plan, stretch, fast=manner.fast, apart=manner.apart)
    said = [
        "uvloop" if manner.fast else "asyncio loop",
        "updates all at once" if manner.together else "updates spread evenly",
        "recorded" if manner.replay else "synthetic",
    ]
    said += ["the exchange on any core"] if not manner.apart else []
    said += ["gc.freeze after start"] if manner.freeze else []
    name = f"path: {', '.join(said)}"
    sent, turns = observed.turns.sent, observed.turns
    rows = [microseconds("bytes read → order bytes sent", sent.from_bytes)]
    rows += [microseconds(label, getattr(sent, stage)) for stage, label in _STAGES.items()]
    rows.append(microseconds("received_ns → order bytes sent", sent.from_event))
    rows.append(microseconds("order bytes sent → answer read", turns.answers))
    rows.append(microseconds("garbage collections", turns.pauses))
    return Table(name=name, rows=tuple(rows), notes=_notes(observed, rows[0]))


def on_loop(plan: ExchangePlan, stretch: Stretch, *, fast: bool, apart: bool = True) -> Observed:
    """Quote a stretch on uvloop or on asyncio's own loop."""
    if apart:
        ours, theirs = split()
        keep_to(ours)
        plan = replace(plan, cores=tuple(theirs))
    factory = uvloop.new_event_loop if fast else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(_quote(plan, stretch))


def profile(*, seconds: float) -> Table:
    """The same under cProfile (which doubles the times): where the path's time goes."""
    profiler = cProfile.Profile()
    stretch = Stretch(seconds=seconds, profiler=profiler)
    observed = on_loop(ExchangePlan(markets=10), stretch, fast=True)
    rows = []
    stats = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    updates = max(1, len(observed.turns.levels))
    costly = sorted(stats.items(), key=lambda item: -item[1][2])[:_PROFILED]
    for (file, line, function), (_, calls, own_s, whole_s, _) in costly:
        place = f"{'/'.join(file.split('/')[-3:])}:{line} {function}"
        rows.append(
            Row(
                what=place[-70:],
                figures={
                    "own us/update": own_s / updates * 1e6,
                    "all us/update": whole_s / updates * 1e6,
                    "calls/update": calls / updates,
                },
            )
        )
    return Table(name="path under cProfile, uvloop", rows=tuple(rows))


async def _quote(plan: ExchangePlan, stretch: Stretch) -> Observed:
    async with serving(plan) as base_url:
        return await quote(partial(adapter, base_url), stretch)


def _notes(observed: Observed, first: Row) -> tuple[str, ...]:
    turns, sends = observed.turns, len(observed.turns.sent.from_bytes)
    total = sends + len(turns.later)
    cpu_us = observed.cpu_s / max(1, len(turns.levels)) * 1e6
    p50_ms, p99_ms = (first.figures.get(key, 0) / 1_000 for key in ("p50 us", "p99 us"))
    levels = sorted(turns.levels)
    busy = observed.cpu_s / observed.seconds
    sent = f"{total:,} sends, {sends:,} of them in the turn of the update; {turns.refused} denied"
    return (
        f"{len(turns.levels):,} updates in {observed.seconds:.0f} s, {sent}",
        f"changed levels an update: median {percentile(levels, 50)}, p99 {percentile(levels, 99)}",
        f"CPU {cpu_us:.0f} us an update in all, {busy:.0%} of a core; everything the process did",
        f"target: p50 {TARGET_P50_MS}, p99 {TARGET_P99_MS} ms; here {p50_ms:.2f} and {p99_ms:.2f}",
    )
