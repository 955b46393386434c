"""One order of a flatten, and all of them: towards zero, never past it, each id taken once."""

import asyncio
from collections import deque
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.errors import NotSent, VenueError
from desk.flattening import FlattenPhase, FlattenProgress, Regime, next_move
from desk.orders import OutcomeKind, TimeInForce
from desk.records import FillSeen, OrderAnswered, OrderEnded, OrderSent
from desk.risk.limits import RiskLimits
from desk.units import Side
from quoting.exit import ExitStep, FlattenSliceReport, exit_slice
from tests.quoting.builders import INSTRUMENT, MARKET
from tests.quoting.exit_venue import Died, ExitVenue, Fate, RealClock
from tests.support.alone import OwnLedger
from workflows.flatten_messages import CarriedFlatten, StartFlatten
from workflows.flatten_record import FlattenRecord

STEP = ExitStep(
    market=MARKET,
    epoch=3,
    step=7,
    phase=FlattenPhase.TAKER,
    position=100,
    lots=20,
    slippage_bps=Decimal(100),
    fast_slippage_bps=Decimal(200),
    limits=RiskLimits(),
)
_MOVES = 60

fates = st.sampled_from(list(Fate))
reading = st.sampled_from(
    [Fate.WELL, Fate.WELL, Fate.LOST_BEFORE, Fate.LOST_AFTER, Fate.REFUSED, Fate.DIED_BEFORE]
)


async def leave(
    venue: ExitVenue, start: StartFlatten, deadline: int, begun: FlattenProgress | None = None
) -> FlattenRecord:
    """As the workflow does it, with as many workers as die; `deadline` counts moves."""
    record = FlattenRecord(start, "run", 0)
    record.put(epoch=1, takes=1, progress=begun or FlattenProgress(remaining=venue.lots))
    for move_number in range(_MOVES):
        progress = record.state.progress
        assert progress is not None
        if not progress.remaining:
            break
        move = next_move(start.plan, progress, deadline - move_number)
        step = record.step(1, progress, move)
        for attempt in range(_MOVES):
            again = replace(step, repeated=step.repeated or attempt > 0)
            try:
                report = await exit_slice(again, INSTRUMENT, venue.port, OwnLedger(), RealClock())
            except (VenueError, Died):
                continue
            break
        record.took(progress, move, report, move_number)
        # The state survives what Temporal does to it between any two moves.
        carried = CarriedFlatten.model_validate_json(record.state.model_dump_json())
        record = FlattenRecord(start.model_copy(update={"carried": carried}), "other", 0)
    return record


def towards_zero(positions: list[int]) -> bool:
    return all(
        abs(after) < abs(before) and before * after >= 0 for before, after in pairwise(positions)
    )


@given(
    lots=st.integers(-500, 500).filter(bool),
    schedule=st.lists(fates, max_size=12),
    reads=st.lists(reading, max_size=12),
    slices=st.integers(1, 6),
    maker_s=st.sampled_from([0, 2]),
    deadline=st.integers(0, 20),
    refuses=st.booleans(),
    closes=st.booleans(),
    meets=st.booleans(),
)
def test_whatever_goes_wrong_a_flatten_ends_at_zero_and_never_past_it(
    lots: int,
    schedule: list[Fate],
    reads: list[Fate],
    slices: int,
    maker_s: int,
    deadline: int,
    refuses: bool,
    closes: bool,
    meets: bool,
) -> None:
    venue = ExitVenue(lots, deque(schedule), deque(reads), rests_meet=meets)
    venue.capabilities = replace(
        venue.capabilities, ids_refused_for_good=refuses, closes_positions=closes
    )
    start = StartFlatten(venue="ocx", symbol="BTC-PERP", slices=slices, maker_s=maker_s)
    record = asyncio.run(leave(venue, start, deadline))
    assert venue.lots == 0
    assert record.remaining == 0
    assert towards_zero(venue.positions)
    assert len(set(venue.taken)) == len(venue.taken)
    assert venue.resting == {}


async def sliced(venue: ExitVenue, **changes: object) -> tuple[FlattenSliceReport, OwnLedger]:
    ledger, step = OwnLedger(), replace(STEP, **changes)  # type: ignore[arg-type]
    return await exit_slice(step, INSTRUMENT, venue.port, ledger, RealClock()), ledger


async def test_a_slice_is_reduce_only_within_its_budget_and_recorded() -> None:
    venue = ExitVenue(100)
    report, ledger = await sliced(venue)
    (order,) = venue.sent
    assert (order.side, order.lots, order.reduce_only) == (Side.SELL, 20, True)
    assert order.time_in_force is TimeInForce.IOC
    assert order.client_order_id.endswith("-3-7-xs0")
    assert order.price == 593_999, "the best bid less 1 %, rounded down"
    assert (report.position_before, report.position_after, report.spent) == (100, 80, True)
    assert [type(one) for one in ledger.records] == [OrderSent, OrderAnswered, OrderEnded, FillSeen]
    (heard,) = (one for one in ledger.records if isinstance(one, FillSeen))
    assert heard.mid == report.mid
    meaning = INSTRUMENT.tick_size, INSTRUMENT.lot_size, INSTRUMENT.multiplier
    assert (heard.tick_size, heard.lot_size, heard.multiplier) == meaning
    assert report.traded == INSTRUMENT.notional(600_000, 20)
    assert report.cost == INSTRUMENT.notional(600_000 - order.price, 20)


async def test_the_position_just_read_counts_and_not_the_one_it_was_weighed_at() -> None:
    venue = ExitVenue(-5)
    report, _ = await sliced(venue, position=100, lots=20)
    (order,) = venue.sent
    assert (order.side, order.lots) == (Side.BUY, 5)
    assert report.position_after == 0


async def test_a_flat_account_is_sent_nothing() -> None:
    venue = ExitVenue(0)
    report, _ = await sliced(venue)
    assert venue.sent == []
    assert (report.position_after, report.outcome) == (0, "flat")


@pytest.mark.parametrize(
    ("changes", "price", "regime"),
    [
        ({"phase": FlattenPhase.RUSH}, 587_999, Regime.CALM),
        ({"phase": FlattenPhase.CLOSE}, 570_000, Regime.CALM),
        ({"last_mid": Decimal(59_000), "last_mid_ms": 10**15}, 587_999, Regime.FAST),
        ({"slippage_bps": Decimal(900), "fast_slippage_bps": Decimal(900)}, 570_000, Regime.CALM),
    ],
)
async def test_the_price_is_as_far_as_phase_regime_and_collar_allow(
    changes: dict[str, object], price: int, regime: Regime
) -> None:
    venue = ExitVenue(100)
    report, _ = await sliced(venue, **changes)
    assert venue.sent[0].price == price
    assert report.regime is regime


async def test_a_wide_spread_is_a_fast_market() -> None:
    report, _ = await sliced(ExitVenue(100, spread=4_000))
    assert report.regime is Regime.FAST
    assert report.slippage_bps == 200


@pytest.mark.parametrize(
    ("limits", "lots"),
    [
        (RiskLimits(max_order_notional=Decimal(600)), 10),
        (RiskLimits(max_order_quantity=Decimal("0.007")), 7),
        (RiskLimits(max_order_notional=Decimal(1)), 1),
    ],
)
async def test_a_slice_above_the_caps_is_cut_and_not_denied(limits: RiskLimits, lots: int) -> None:
    venue = ExitVenue(100)
    report, _ = await sliced(venue, limits=limits)
    assert venue.sent[0].lots == lots
    assert report.position_after == 100 - lots


async def test_a_maker_rests_at_our_touch_and_is_gone_afterwards() -> None:
    venue = ExitVenue(100, rests_meet=True)
    report, _ = await sliced(venue, phase=FlattenPhase.MAKER, wait_s=30)
    (order,) = venue.sent
    assert (order.time_in_force, order.post_only, order.reduce_only) == (
        TimeInForce.GTC,
        True,
        True,
    )
    assert order.price == 600_001
    assert report.position_after == 90
    assert venue.cancels == 1
    assert venue.resting == {}


async def test_a_maker_that_is_told_to_go_takes_its_order_along() -> None:
    venue = ExitVenue(100)
    lost = False

    async def hold() -> None:
        if lost:
            raise NotSent("the lease is somebody else's")

    async def find(instrument: object, client_order_id: str) -> object:
        nonlocal lost
        lost = True
        return venue.resting[client_order_id]

    venue.find = find  # type: ignore[method-assign,assignment]
    step = replace(STEP, phase=FlattenPhase.MAKER, wait_s=30)
    with pytest.raises(NotSent, match="somebody else"):
        await exit_slice(step, INSTRUMENT, venue.port, OwnLedger(), RealClock(), hold)
    assert len(venue.sent) == 1
    assert venue.resting == {}


async def test_a_market_that_is_not_ours_is_sent_nothing() -> None:
    async def hold() -> None:
        raise NotSent("the lease is somebody else's")

    venue = ExitVenue(100)
    with pytest.raises(NotSent):
        await exit_slice(STEP, INSTRUMENT, venue.port, OwnLedger(), RealClock(), hold)
    assert venue.sent == []


async def test_an_order_without_an_answer_is_sent_again_under_the_same_id() -> None:
    venue = ExitVenue(100, deque([Fate.LOST_BEFORE]))
    report, _ = await sliced(venue)
    assert not report.spent
    again, _ = await sliced(venue, repeated=True)
    assert [order.client_order_id for order in venue.sent] == [venue.sent[0].client_order_id] * 2
    assert again.position_after == 80


async def test_where_ids_are_taken_twice_no_step_is_sent_twice() -> None:
    venue = ExitVenue(100, deque([Fate.LOST_BEFORE]))
    venue.capabilities = replace(venue.capabilities, ids_refused_for_good=False)
    report, _ = await sliced(venue)
    assert report.spent, "the next order has another id"
    again, _ = await sliced(venue, repeated=True)
    assert (again.sent_lots, again.spent) == (0, True)
    assert len(venue.sent) == 1


async def test_a_repeated_step_that_has_traded_is_only_told() -> None:
    venue = ExitVenue(100, deque([Fate.DIED_AFTER]))
    with pytest.raises(Died):
        await sliced(venue)
    report, _ = await sliced(venue, repeated=True)
    assert len(venue.sent) == 1
    assert (report.position_before, report.position_after, report.spent) == (100, 80, True)


async def test_the_venues_close_is_asked_where_it_has_one() -> None:
    for closes in (True, False):
        venue = ExitVenue(100)
        venue.capabilities = replace(venue.capabilities, closes_positions=closes)
        await sliced(venue, phase=FlattenPhase.CLOSE, lots=100, by_venue=True)
        assert (len(venue.closed), len(venue.sent)) == (int(closes), int(not closes))
        assert venue.lots == 100 - min(100, 87), "the cap on one order holds for a close as well"


class SleepyClock(RealClock):
    """A process that was stopped for a while between any two looks at the clock."""

    def __init__(self, asleep_s: int) -> None:
        self._asleep_ns, self._looks = asleep_s * 10**9, 0

    def monotonic_ns(self) -> int:
        self._looks += 1
        return super().monotonic_ns() + self._looks * self._asleep_ns


async def test_a_process_that_slept_since_it_looked_sends_nothing() -> None:
    venue = ExitVenue(100)
    with pytest.raises(NotSent, match="too old"):
        await exit_slice(STEP, INSTRUMENT, venue.port, OwnLedger(), SleepyClock(4))
    assert venue.sent == []


async def test_a_refused_maker_says_whether_to_try_another() -> None:
    venue = ExitVenue(100, deque([Fate.REFUSED]))
    report, _ = await sliced(venue, phase=FlattenPhase.MAKER, wait_s=1)
    assert report.outcome == f"{OutcomeKind.REJECTED.value} (insufficient_margin)"
    assert not report.maker_refused
