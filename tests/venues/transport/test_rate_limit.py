import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.units import NS_PER_S
from venues._transport.rate_limit import RateBudget, RateNews, RequestKind, read_rate_headers

ORDER, CANCEL = RequestKind.ORDER, RequestKind.CANCEL
WALL_NS = 1_700_000_000 * NS_PER_S


class HandClock:
    def __init__(self) -> None:
        self.now_ns = 0

    def monotonic_ns(self) -> int:
        return self.now_ns

    def wall_ns(self) -> int:
        return WALL_NS + self.now_ns

    def forward(self, seconds: float) -> None:
        self.now_ns += int(seconds * NS_PER_S)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def budget(clock: HandClock) -> RateBudget:
    return RateBudget(clock=clock, capacity=10, reserved=3)


def test_orders_leave_the_reserve_to_cancels(budget: RateBudget) -> None:
    assert [budget.take(ORDER) for _ in range(7)] == [0.0] * 7
    assert budget.take(ORDER) == 60.0
    assert [budget.take(CANCEL) for _ in range(3)] == [0.0] * 3
    assert budget.take(CANCEL) == 60.0
    assert (budget.left(ORDER), budget.left(CANCEL)) == (0, 0)


def test_a_token_returns_one_window_after_it_was_taken(
    budget: RateBudget, clock: HandClock
) -> None:
    for _ in range(7):
        assert budget.take(ORDER) == 0.0
        clock.forward(2)
    assert budget.take(ORDER) == 46.0
    clock.forward(46)
    assert budget.take(ORDER) == 0.0
    assert budget.take(ORDER) == 2.0


def test_the_venue_can_lower_what_is_left(budget: RateBudget, clock: HandClock) -> None:
    budget.heard(RateNews(remaining=4, reset_s=20.0))
    assert budget.take(ORDER) == 0.0
    assert budget.take(ORDER) == 20.0
    assert budget.left(CANCEL) == 3
    clock.forward(20)
    assert budget.take(ORDER) == 0.0


def test_the_venue_cannot_raise_it_over_our_own(budget: RateBudget) -> None:
    for _ in range(7):
        budget.take(ORDER)
    budget.heard(RateNews(remaining=1_000, reset_s=20.0))
    assert budget.take(ORDER) > 0


def test_answers_out_of_order_never_give_tokens_back(budget: RateBudget) -> None:
    budget.heard(RateNews(remaining=4, reset_s=20.0))
    budget.heard(RateNews(remaining=9, reset_s=20.0))
    assert budget.left(CANCEL) == 4


def test_retry_after_stops_everything_until_then(budget: RateBudget, clock: HandClock) -> None:
    budget.heard(RateNews(retry_after_s=1.5))
    assert (budget.take(ORDER), budget.take(CANCEL)) == (1.5, 1.5)
    budget.heard(RateNews(retry_after_s=0.1))
    assert budget.take(CANCEL) == 1.5
    clock.forward(1.5)
    assert budget.take(CANCEL) == 0.0


@pytest.mark.parametrize(
    ("reset", "delay"),
    [
        ("30", 30.0),
        ("1700000030", 30.0),
        ("1700000030000", 30.0),
        ("0.5", 0.5),
        ("1600000000", 0.0),
    ],
)
def test_the_unit_of_the_reset_is_told_by_its_size(reset: str, delay: float) -> None:
    news = read_rate_headers({"x-ratelimit-reset": reset}, wall_ns=WALL_NS)
    assert news.reset_s == pytest.approx(delay)


@pytest.mark.parametrize(
    ("headers", "news"),
    [
        ({}, RateNews()),
        ({"x-ratelimit-remaining": "17"}, RateNews(remaining=17)),
        ({"x-ratelimit-remaining": "-1"}, RateNews(remaining=0)),
        ({"x-ratelimit-remaining": "many", "x-ratelimit-reset": "?"}, RateNews()),
        ({"x-ratelimit-remaining": "nan", "retry-after": "inf"}, RateNews()),
        ({"retry-after": "2"}, RateNews(retry_after_s=2.0)),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:25 GMT"}, RateNews(retry_after_s=5.0)),
        ({"retry-after": "later"}, RateNews()),
    ],
)
def test_headers_are_read_and_nonsense_ignored(headers: dict[str, str], news: RateNews) -> None:
    assert read_rate_headers(headers, wall_ns=WALL_NS) == news


@given(
    steps=st.lists(st.tuples(st.floats(0, 30), st.sampled_from(RequestKind)), max_size=200),
    capacity=st.integers(1, 8),
    data=st.data(),
)
def test_no_window_ever_sees_more_than_the_capacity(
    steps: list[tuple[float, RequestKind]], capacity: int, data: st.DataObject
) -> None:
    reserved = data.draw(st.integers(0, capacity))
    clock = HandClock()
    budget = RateBudget(clock=clock, capacity=capacity, reserved=reserved)
    taken: list[int] = []
    for pause, kind in steps:
        clock.forward(pause)
        free = budget.left(kind)
        wait_s = budget.take(kind)
        assert (wait_s == 0.0) == (free > 0)
        if wait_s == 0.0:
            taken.append(clock.now_ns)
        window = [at for at in taken if at > clock.now_ns - 60 * NS_PER_S]
        assert len(window) <= capacity


@given(kinds=st.lists(st.sampled_from(RequestKind), min_size=1, max_size=60))
def test_waiting_as_long_as_told_is_enough(kinds: list[RequestKind]) -> None:
    clock = HandClock()
    budget = RateBudget(clock=clock, capacity=5, reserved=2)
    for kind in kinds:
        clock.now_ns += round(budget.take(kind) * NS_PER_S)
        budget.take(kind)
