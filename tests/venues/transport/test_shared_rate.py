"""Processes that share a budget stay inside it together; no cancel waits for our services."""

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.errors import Unavailable
from desk.rate_ports import RateLaw
from desk.units import NS_PER_S
from tests.support.rate_model import HandClock, ModelShares
from venues._transport.rate_limit import RateBudget, RateNews, RequestKind
from venues._transport.shared_rate import SharedRate

ORDER, CANCEL = RequestKind.ORDER, RequestKind.CANCEL
LAW = RateLaw(capacity=20, reserved=4, window_s=60.0)


def rate(shares: ModelShares, clock: HandClock, law: RateLaw = LAW) -> SharedRate:
    return SharedRate(
        shares=shares,
        key="ocx/main",
        law=law,
        local=RateBudget(
            clock=clock,
            capacity=law.capacity,
            reserved=law.reserved,
            window_s=law.window_s,
        ),
        clock=clock,
    )


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def shares(clock: HandClock) -> ModelShares:
    return ModelShares(clock)


async def taken(one: SharedRate, kind: RequestKind, tries: int) -> int:
    """How many of so many tries went out, each with a refill before it."""
    went = 0
    for _ in range(tries):
        await one.refill()
        went += one.take(kind) == 0.0
    return went


async def test_orders_need_a_token_from_the_shared_bucket(
    shares: ModelShares, clock: HandClock
) -> None:
    one = rate(shares, clock)
    assert one.take(ORDER) > 0
    await one.refill()
    assert one.take(ORDER) == 0.0


async def test_taking_asks_nobody(shares: ModelShares, clock: HandClock) -> None:
    one = rate(shares, clock)
    await one.refill()
    before = shares.calls
    for _ in range(50):
        one.take(ORDER)
        one.take(CANCEL)
    assert shares.calls == before


async def test_the_reserve_is_there_for_cancels_under_pressure(
    shares: ModelShares, clock: HandClock
) -> None:
    greedy, careful = rate(shares, clock), rate(shares, clock)
    await careful.refill()
    orders = await taken(greedy, ORDER, 100) + await taken(careful, ORDER, 100)
    assert orders <= LAW.capacity - LAW.reserved
    assert await taken(careful, CANCEL, 100) >= LAW.reserved - 1
    assert await taken(greedy, CANCEL, 100) + orders <= LAW.capacity


async def test_a_spent_budget_says_when_to_come_again(
    shares: ModelShares, clock: HandClock
) -> None:
    one = rate(shares, clock)
    assert await taken(one, ORDER, 100) == LAW.capacity - LAW.reserved - 1, "one cancel is held"
    wait_s = one.take(ORDER)
    assert 0.05 <= wait_s <= 3.0
    clock.forward(LAW.window_s + 3.0)
    assert await taken(one, ORDER, 3) > 0


async def test_without_the_service_cancels_go_and_orders_wait(
    shares: ModelShares, clock: HandClock
) -> None:
    one = rate(shares, clock)
    await one.refill()
    shares.away = "before"
    clock.forward(3.0)
    with pytest.raises(Unavailable):
        await one.refill()
    assert one.take(ORDER) == 1.0
    assert [one.take(CANCEL) for _ in range(LAW.capacity)] == [0.0] * LAW.capacity
    assert one.take(CANCEL) > 0, "the process's own budget still holds"
    with pytest.raises(Unavailable):
        await one.refill()
    shares.away = None
    await one.refill()
    other = rate(shares, clock)
    assert await taken(other, CANCEL, 5) == 0, "what went out meanwhile was counted"


async def test_a_cancel_before_the_first_answer_goes(shares: ModelShares, clock: HandClock) -> None:
    one = rate(shares, clock)
    assert one.take(CANCEL) == 0.0
    await one.refill()
    other = rate(shares, clock)
    assert await taken(other, ORDER, 100) <= LAW.capacity - LAW.reserved - 1


async def test_tokens_in_stock_outlast_a_short_absence_and_not_a_long_one(
    shares: ModelShares, clock: HandClock
) -> None:
    one = rate(shares, clock, RateLaw(capacity=900, reserved=100, window_s=60.0))
    await one.refill()
    shares.away = "before"
    with pytest.raises(Unavailable):
        await one.refill()
    assert one.take(ORDER) == 0.0
    clock.forward(3.0)
    assert one.take(ORDER) == 1.0


async def test_a_token_used_late_still_counts_for_a_whole_window(
    shares: ModelShares, clock: HandClock
) -> None:
    law = RateLaw(capacity=20, reserved=0, window_s=60.0)
    early, late = rate(shares, clock, law), rate(shares, clock, law)
    await early.refill()
    clock.forward(2.9)
    assert early.take(ORDER) == 0.0
    clock.forward(59.0)
    assert 1 + await taken(late, ORDER, 50) + await taken(late, CANCEL, 50) <= law.capacity


async def test_an_idle_process_holds_no_order_tokens(shares: ModelShares, clock: HandClock) -> None:
    idle, busy = rate(shares, clock), rate(shares, clock)
    await idle.refill()
    clock.forward(LAW.window_s + 1.0)
    for _ in range(3):
        await idle.refill()
    assert idle.take(ORDER) > 0
    assert await taken(busy, ORDER, 100) == LAW.capacity - LAW.reserved - 2, "each holds a cancel"


async def test_unused_tokens_come_back_soon(shares: ModelShares, clock: HandClock) -> None:
    """A process that keeps a stock for an hour has not used the budget up."""
    keeper, busy = rate(shares, clock), rate(shares, clock)
    for _ in range(3_600):
        await keeper.refill()
        clock.forward(1.0)
    assert await taken(busy, ORDER, 100) >= LAW.capacity - LAW.reserved - 3


@pytest.mark.parametrize(
    ("news", "pause_s"),
    [
        (RateNews(retry_after_s=30.0, too_many=True), 30.0),
        (RateNews(retry_after_s=5.0), 5.0),
        (RateNews(too_many=True), 1.0),
        (RateNews(retry_after_s=1e9), 600.0),
    ],
)
async def test_a_429_pauses_orders_of_every_process_and_no_cancel(
    shares: ModelShares, clock: HandClock, news: RateNews, pause_s: float
) -> None:
    told, other = rate(shares, clock), rate(shares, clock)
    await told.refill()
    await other.refill()
    told.heard(news)
    assert told.take(ORDER) == pause_s
    await told.refill()
    await other.refill()
    assert other.take(ORDER) == pause_s
    assert (told.take(CANCEL), other.take(CANCEL)) == (0.0, 0.0)
    clock.forward(pause_s)
    await other.refill()
    other.take(ORDER)
    await other.refill()
    assert other.take(ORDER) == 0.0


async def test_a_pause_is_told_as_soon_as_the_service_is_back(
    shares: ModelShares, clock: HandClock
) -> None:
    told, other = rate(shares, clock), rate(shares, clock)
    shares.away = "before"
    told.heard(RateNews(retry_after_s=30.0, too_many=True))
    with pytest.raises(Unavailable):
        await told.refill()
    clock.forward(10)
    shares.away = None
    await told.refill()
    await other.refill()
    assert other.take(ORDER) == 20.0


async def test_the_venue_can_lower_what_is_left(shares: ModelShares, clock: HandClock) -> None:
    one = rate(shares, clock)
    one.heard(RateNews(remaining=5, reset_s=20.0))
    assert await taken(one, ORDER, 3) == 1
    assert one.take(ORDER) == 20.0


async def test_a_bucket_that_forgot_is_told_by_everybody_what_was_used(
    shares: ModelShares, clock: HandClock
) -> None:
    law = RateLaw(capacity=900, reserved=100, window_s=60.0)
    several = [rate(shares, clock, law) for _ in range(3)]
    used = 0
    for one in several:
        used += await taken(one, ORDER, 250)
        clock.forward(3.0)
        await one.refill()
    assert used == 750
    shares.forget()
    for _ in range(5):
        for one in several:
            await one.refill()
        used += sum([await taken(one, ORDER, 400) for one in several])
        assert several[0].take(CANCEL) == 0.0
        clock.forward(1.0)
    assert 750 <= used <= law.capacity - law.reserved
    clock.forward(2 * law.window_s)
    assert await taken(several[0], ORDER, 100) > 90


async def test_who_was_silent_when_the_bucket_forgot_has_half_presumed(
    shares: ModelShares, clock: HandClock
) -> None:
    """A process that died together with Redis can tell nobody what it used."""
    dead, other = rate(shares, clock), rate(shares, clock)
    used = await taken(dead, ORDER, 8)
    assert used == (LAW.capacity - LAW.reserved) // 2
    shares.forget()
    await other.refill()
    clock.forward(3.5)
    used += await taken(other, ORDER, 100)
    assert used <= LAW.capacity - LAW.reserved
    assert used > 8, "the other half may go"


async def test_what_is_held_when_the_bucket_forgets_counts(
    shares: ModelShares, clock: HandClock
) -> None:
    law = RateLaw(capacity=20, reserved=0, window_s=60.0)
    holder, other = rate(shares, clock, law), rate(shares, clock, law)
    await taken(holder, ORDER, 19)
    shares.forget()
    await holder.refill()
    await other.refill()
    late = int(holder.take(ORDER) == 0.0)
    clock.forward(3.5)
    assert 19 + late + await taken(other, ORDER, 30) <= law.capacity


async def test_a_cancel_sent_in_any_case_is_counted(shares: ModelShares, clock: HandClock) -> None:
    one, other = rate(shares, clock), rate(shares, clock)
    await one.refill()
    for _ in range(8):
        one.overdraw()
    await one.refill()
    assert await taken(other, ORDER, 100) <= LAW.capacity - LAW.reserved - 8


_STEPS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(["order", "order", "cancel", "refill", "before", "after", "429", "forget"]),
        st.floats(0, 3),
        st.integers(1, 6),
    ),
    max_size=150,
)


@given(steps=_STEPS, capacity=st.integers(2, 30), late_ns=st.integers(0, NS_PER_S), data=st.data())
def test_together_they_never_exceed_the_bucket_in_any_window(
    steps: list[tuple[int, str, float, int]], capacity: int, late_ns: int, data: st.DataObject
) -> None:
    reserved = data.draw(st.integers(0, capacity - 1))
    law = RateLaw(capacity=capacity, reserved=reserved, window_s=10.0)
    clock = HandClock()
    shares = ModelShares(clock)
    shares.drawn_after_ns = late_ns
    processes = [rate(shares, clock, law) for _ in range(2)]
    sent: list[tuple[int, RequestKind]] = []
    forgot_ns = -NS_PER_S * 3_600

    def go(process: SharedRate, kind: RequestKind) -> None:
        if process.take(kind) == 0.0:
            sent.append((clock.now_ns, kind))
            window = [one for at, one in sent if at > clock.now_ns - 10 * NS_PER_S]
            assert window.count(ORDER) <= capacity - reserved
            # A bucket that forgot gives cancels before it heard of all.
            assert len(window) <= capacity or clock.now_ns - forgot_ns < 20 * NS_PER_S

    async def forget() -> None:
        """Everybody alive is heard of within the time a token lives."""
        nonlocal forgot_ns
        shares.forget()
        shares.away = None
        for process in processes:
            await process.refill()
        forgot_ns = clock.now_ns

    async def play() -> None:
        for number, what, pause_s, times in steps:
            process = processes[number]
            clock.forward(pause_s)
            if what == "429":
                process.heard(RateNews(retry_after_s=pause_s, too_many=True))
                continue
            if what == "forget":
                await forget()
                continue
            shares.away = what if what in {"before", "after"} else None
            with contextlib.suppress(Unavailable):
                await process.refill()
                for _ in range(times):
                    # Nobody answers: cancels go uncounted then, which is another promise.
                    go(process, CANCEL if what == "cancel" else ORDER)
            for _ in range(times):
                go(process, ORDER)

    asyncio.run(play())
