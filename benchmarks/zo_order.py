"""One atomic of four at 01.xyz: from the decision to signed bytes with the socket.

Two cancels and two orders, or four orders; everything on the way is the product's own code.
"""

import asyncio
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

import uvloop

from benchmarks.cores import keep_to, split
from benchmarks.fleet import LIMITS, PARAMETERS
from benchmarks.micro import median_row
from benchmarks.results import Table
from benchmarks.zo_venue import ZoPlan, held, serving_zo, unlimited
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.orders import Batch, BatchOutcome, OutcomeKind
from desk.planning import PlanRules, plan
from desk.quoting.decide import QuoteModel
from desk.quoting.view import View
from desk.risk.approval import Approved
from desk.risk.gate import GateContext, GateLimits, review
from desk.working import WorkingOrder, WorkingState
from infra.clock import SystemClock
from venues.zo import ZoVenue

_RUNS = 5
_BLOCK = 100
_PACE_S = 0.005
_WARM_UP = 200
_MID = 30_000


def run(*, quick: bool) -> Table:
    """Microseconds to bytes written: median over runs of each run's figures."""
    return uvloop.run(_all(300 if quick else 2_000))


@dataclass(frozen=True, slots=True)
class _Took:
    """Nanoseconds to the bytes with the socket: from before the decision, and from the send."""

    decided: int
    sent: int


_SPANS: dict[str, Callable[[_Took], int]] = {
    "decide, plan, gate, send": lambda took: took.decided,
    "send alone": lambda took: took.sent,
}


class _Quoter:
    """Shows `levels` a side on a market of its own; the mid moves with every turn.

    `clears`: what rests is cancelled after every turn, so that each only places.
    """

    def __init__(
        self, venue: ZoVenue, instrument: Instrument, *, levels: int, clears: bool
    ) -> None:
        self._venue = venue
        self._instrument = instrument
        self._orders = 2 * levels
        self._clears = clears
        self._tag = MarketId("zo", "main", instrument.symbol).tag
        self._model = QuoteModel.prepare(replace(PARAMETERS, levels=levels), instrument)
        self._limits = GateLimits.of(instrument, LIMITS)
        self._rules = PlanRules(
            symbol=instrument.symbol,
            tolerance_bps=Decimal("0.5"),
            debounce_ns=0,
            atomic_ladder=venue.capabilities.atomic_ladder,
            replaces_orders=venue.capabilities.replaces_orders,
            max_batch_orders=venue.capabilities.max_batch_orders,
        )
        self._working: tuple[WorkingOrder, ...] = ()
        self._cycle = 0

    async def turn(self) -> _Took:
        """Decide on a moved mid and send what follows."""
        self._cycle += 1
        mid = _MID + 8 * (self._cycle % 5)
        begun_ns = time.monotonic_ns()
        batch = self._planned(mid)
        approved = self._approved(batch, mid)
        called_ns = time.monotonic_ns()
        answer = self._venue.execution.send(approved, self._instrument)
        returned_ns = time.monotonic_ns()
        outcome = await answer
        written_ns = self._written_ns()
        assert written_ns <= returned_ns, "the atomic left later than its call"
        self._working = _resting(batch, outcome)
        if self._clears:
            await self._clear(mid)
        return _Took(written_ns - begun_ns, written_ns - called_ns)

    def _planned(self, mid: int) -> Batch:
        view = View(best_bid=mid - 1, best_ask=mid + 1, mid_x2=2 * mid, inventory=0, sigma_bps=None)
        planned = plan(
            self._model.target(view).levels,
            self._working,
            rules=self._rules,
            identity=(self._tag, 1, self._cycle),
            now_ns=1,
            last_sent_ns=None,
        )
        batch = planned.batch
        assert batch is not None
        assert len(batch.orders) == self._orders, batch
        assert len(batch.cancels) == len(self._working), batch
        return batch

    def _approved(self, batch: Batch, mid: int) -> Approved[Batch]:
        context = GateContext(
            limits=self._limits,
            mid_x2=2 * mid,
            book_age_ns=0,
            account_age_ns=0,
            position=0,
            working=self._working,
            orders_last_minute=0,
        )
        verdict = review(batch, context)
        assert isinstance(verdict, Approved), verdict
        return verdict

    def _written_ns(self) -> int:
        """When `transport.write` of the last atomic returned; its outcome does not say it."""
        answer = self._venue.execution._in_flight[self._instrument.symbol]  # noqa: SLF001
        return answer.result().sent_ns

    async def _clear(self, mid: int) -> None:
        gone = tuple(one.order.client_order_id for one in self._working)
        batch = Batch(
            batch_id=f"c{self._cycle}", symbol=self._instrument.symbol, orders=(), cancels=gone
        )
        outcome = await self._venue.execution.send(self._approved(batch, mid), self._instrument)
        assert outcome.old_gone, outcome
        self._working = ()


def _resting(batch: Batch, outcome: BatchOutcome) -> tuple[WorkingOrder, ...]:
    assert all(one.kind is OutcomeKind.ACCEPTED for one in outcome.orders), outcome
    return tuple(
        WorkingOrder(order=one, state=WorkingState.RESTING, remaining=one.lots)
        for one in batch.orders
    )


async def _all(count: int) -> Table:
    ours, theirs = split()
    keep_to(ours)
    async with (
        serving_zo(ZoPlan(markets=2, cores=tuple(theirs))) as where,
        held(unlimited(where), SystemClock()) as venue,
    ):
        listed = {one.symbol: one for one in await venue.instruments()}
        quoters = {
            "2 cancels + 2 orders": _Quoter(venue, listed["BENCH0USD"], levels=1, clears=False),
            "4 orders": _Quoter(venue, listed["BENCH1USD"], levels=2, clears=True),
        }
        for quoter in quoters.values():
            # The first turn of the one finds nothing to cancel, so the warm-up takes it.
            await _block(quoter, _WARM_UP, 0.0)
        # As a worker does once it has started.
        gc.collect()
        gc.freeze()
        rows = []
        for mode, pace_s in (("back to back", 0.0), ("paced 5 ms", _PACE_S)):
            runs = [await _one_run(quoters, count, pace_s) for _ in range(_RUNS)]
            for name in quoters:
                for span, of in _SPANS.items():
                    took = [[of(turn) for turn in one[name]] for one in runs]
                    rows.append(median_row(f"{name}, {mode}: {span}", took))
    return Table(
        name="zo_order: one atomic of four, decision to signed bytes with the socket",
        rows=tuple(rows),
        notes=(
            "from before the ladder is decided, or from the call of execution.send, to right",
            "after transport.write; engine ids, client ids, protobuf and Ed25519 included",
            "target: p50 250 us",
        ),
    )


async def _one_run(
    quoters: dict[str, _Quoter], count: int, pace_s: float
) -> dict[str, list[_Took]]:
    took: dict[str, list[_Took]] = {name: [] for name in quoters}
    for _ in range(0, count, _BLOCK):
        # In turn, so that whatever else the machine does strikes both alike.
        for name, quoter in quoters.items():
            took[name] += await _block(quoter, _BLOCK, pace_s)
    return took


async def _block(quoter: _Quoter, count: int, pace_s: float) -> list[_Took]:
    took = []
    for _ in range(count):
        if pace_s:
            await asyncio.sleep(pace_s)
        took.append(await quoter.turn())
    return took
