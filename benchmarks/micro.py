"""Pure steps by themselves, warm and back to back: the floor under the path, not the path.

Every call is timed alone; what prepares it is not.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import repeat
from statistics import median
from time import perf_counter_ns

from benchmarks.fleet import EMPTY, LIMITS
from benchmarks.ladders import Change, SyntheticLadder, instrument
from benchmarks.results import Row, Table, microseconds, timed
from desk.book import Book
from desk.identity import MarketId
from desk.market import BookDelta, BookSnapshot
from desk.orders import (
    AccountAlive,
    AccountSnapshot,
    Batch,
    BatchOutcome,
    OrderOutcome,
    OutcomeKind,
    VenuePosition,
)
from desk.permit import Permit
from desk.planning import PlanRules, plan
from desk.ports import Capabilities
from desk.quoting.decide import QuoteModel, QuoteTarget
from desk.quoting.parameters import QuoteParameters
from desk.quoting.view import View
from desk.risk.gate import GateContext, GateLimits, review
from desk.units import NS_PER_MS
from desk.working import WorkingOrder, WorkingState
from quoting.actions import Action, SendBatch
from quoting.inbox import Answered
from quoting.loop import MarketLoop
from quoting.setup import LoopSetup

_MARKET = instrument(0)
_ID = MarketId("ocx", "main", _MARKET.symbol)
_MID = 30_000
_RUNS = 5
_STEP_NS = 250 * NS_PER_MS
CAPABILITIES = Capabilities(
    atomic_ladder=True,
    replaces_orders=False,
    pushes_order_updates=False,
    pushes_trade_ids=False,
    fills_name_orders=False,
    venue_dead_man=False,
    finds_by_client_id=True,
    max_batch_orders=20,
    client_order_id_length=32,
    settling_ms=500,
)
_PARAMETERS = QuoteParameters(debounce_ms=100, spread_bps=Decimal(8))


def run(*, quick: bool) -> Table:
    """Median over runs of each run's median and 99th percentile, microseconds a call."""
    count = 500 if quick else 3_000
    measured: dict[str, Callable[[], list[int]]] = {
        "book: delta of 34 levels": lambda: _deltas(34, 100, count),
        "book: delta of 611 levels (1,000 a side)": lambda: _deltas(611, 1_000, count),
        "book: snapshot of 100 levels a side": lambda: _snapshots(count),
        "decide: 3 levels a side": lambda: _decide(count),
        "plan: 6 orders to move": lambda: _plan(count, moved=8),
        "plan: 6 orders to leave alone": lambda: _plan(count, moved=0),
        "gate: batch of 6 over 6 resting": lambda: _review(count),
        "step: 34-level delta to a batch of 6": lambda: _steps(count, sends=True),
        "step: 34-level delta to nothing": lambda: _steps(count, sends=False),
    }
    rows = []
    for what, measure in measured.items():
        measure()
        rows.append(median_row(what, [measure() for _ in range(_RUNS)]))
    return Table(name="micro: pure steps, warm", rows=tuple(rows))


def median_row(what: str, runs: list[list[int]]) -> Row:
    """One row of several runs: the median of each figure."""
    figures = [microseconds(what, run).figures for run in runs]
    return Row(
        what=what, figures={name: median(each[name] for each in figures) for name in figures[0]}
    )


def _book(change: Change) -> tuple[Book, BookSnapshot]:
    snapshot = BookSnapshot(bids=change[0], asks=change[1], sequence=None, received_ns=0)
    book = Book()
    book.apply(snapshot)
    return book, snapshot


def _delta(change: Change | None, at_ns: int = 0) -> BookDelta:
    assert change is not None
    return BookDelta(
        bids=change[0], asks=change[1], sequence=None, previous=None, received_ns=at_ns
    )


def _deltas(levels: int, depth: int, count: int) -> list[int]:
    ladder = SyntheticLadder(mid=_MID, seed=levels, depth=depth, changes=levels)
    book, _ = _book(ladder.snapshot())
    deltas = [_delta(ladder.step()) for _ in range(count)]
    took = timed(book.apply, deltas)
    assert book.ready
    return took


def _snapshots(count: int) -> list[int]:
    book, snapshot = _book(SyntheticLadder(mid=_MID, seed=1).snapshot())
    return timed(book.apply, repeat(snapshot, count))


def _target(mid: int) -> QuoteTarget:
    return QuoteModel.prepare(_PARAMETERS, _MARKET).target(_view(mid))


def _view(mid: int) -> View:
    return View(best_bid=mid - 1, best_ask=mid + 1, mid_x2=2 * mid, inventory=200, sigma_bps=None)


def _decide(count: int) -> list[int]:
    model = QuoteModel.prepare(_PARAMETERS, _MARKET)
    return timed(model.target, [_view(_MID + i % 50) for i in range(count)])


def _batch(mid: int, working: tuple[WorkingOrder, ...], cycle: int, now_ns: int) -> Batch | None:
    rules = PlanRules(
        symbol=_MARKET.symbol,
        tolerance_bps=_PARAMETERS.requote_tolerance_bps,
        debounce_ns=0,
        atomic_ladder=True,
        replaces_orders=False,
        max_batch_orders=20,
    )
    identity = (_ID.tag, 1, cycle)
    return plan(
        _target(mid).levels,
        working,
        rules=rules,
        identity=identity,
        now_ns=now_ns,
        last_sent_ns=None,
    ).batch


def _resting() -> tuple[WorkingOrder, ...]:
    batch = _batch(_MID, (), 1, 0)
    assert batch is not None
    return tuple(
        WorkingOrder(order=order, state=WorkingState.RESTING, remaining=order.lots)
        for order in batch.orders
    )


def _plan(count: int, *, moved: int) -> list[int]:
    resting = _resting()
    target = _target(_MID + moved).levels
    rules = PlanRules(
        symbol=_MARKET.symbol,
        tolerance_bps=_PARAMETERS.requote_tolerance_bps,
        debounce_ns=0,
        atomic_ladder=True,
        replaces_orders=False,
        max_batch_orders=20,
    )
    tag = _ID.tag

    def once(cycle: int) -> None:
        planned = plan(
            target, resting, rules=rules, identity=(tag, 1, cycle), now_ns=1, last_sent_ns=0
        )
        assert (planned.batch is None) == (not moved)

    return timed(once, range(2, count + 2))


def _review(count: int) -> list[int]:
    resting = _resting()
    batch = _batch(_MID + 8, resting, 2, 1)
    assert batch is not None
    context = GateContext(
        limits=GateLimits.of(_MARKET, LIMITS),
        mid_x2=2 * _MID,
        book_age_ns=0,
        account_age_ns=0,
        position=200,
        working=resting,
        orders_last_minute=60,
    )
    return timed(lambda _: review(batch, context), range(count))


def _steps(count: int, *, sends: bool) -> list[int]:
    """`apply` of the delta and `decide`, as a turn does; answers come in between, untimed."""
    ladder = SyntheticLadder(mid=_MID, seed=7, moves=sends, changes=34)
    loop = _loop(sends=sends)
    change = ladder.snapshot()
    loop.apply(BookSnapshot(bids=change[0], asks=change[1], sequence=None, received_ns=0))
    loop.apply(
        AccountSnapshot(
            position=VenuePosition(symbol=_MARKET.symbol, lots=0), fills=(), received_ns=0
        )
    )
    _answer(loop, loop.decide(1))
    took: list[int] = []
    for at_ns, delta in _in_time(ladder, count):
        loop.apply(AccountAlive(received_ns=at_ns))
        begun = perf_counter_ns()
        loop.apply(delta)
        actions = loop.decide(at_ns)
        spent = perf_counter_ns() - begun
        # A random walk sometimes comes back to where it was; then nothing is to be sent.
        if bool(actions) == sends:
            took.append(spent)
        _answer(loop, actions)
    assert len(took) > count // 2
    return took


def _in_time(ladder: SyntheticLadder, count: int) -> Iterator[tuple[int, BookDelta]]:
    for step in range(1, count + 1):
        at_ns = step * _STEP_NS
        yield at_ns, _delta(ladder.step(), at_ns)


def _answer(loop: MarketLoop, actions: Sequence[Action]) -> None:
    for action in actions:
        assert isinstance(action, SendBatch)
        batch = action.approved.value
        orders = tuple(
            OrderOutcome(client_order_id=order.client_order_id, kind=OutcomeKind.ACCEPTED)
            for order in batch.orders
        )
        outcome = BatchOutcome(batch_id=batch.batch_id, orders=orders, old_gone=True, sent_ns=0)
        loop.apply(Answered(batch=batch, outcome=outcome))


def _loop(*, sends: bool) -> MarketLoop:
    tolerance = _PARAMETERS.requote_tolerance_bps if sends else Decimal(1_000)
    forever = 1 << 62
    return MarketLoop(
        LoopSetup(
            market=_ID,
            instrument=_MARKET,
            epoch=1,
            parameters=replace(_PARAMETERS, requote_tolerance_bps=tolerance),
            limits=LIMITS,
            capabilities=CAPABILITIES,
            facts=EMPTY,
            known_since_ms=0,
            known=frozenset(),
        ),
        Permit(
            max_clock_offset_ms=2_000,
            max_ledger_behind_s=5.0,
            lease_until_ns=forever,
            board_until_ns=forever,
            clock_offset_ms=0,
        ),
    )
