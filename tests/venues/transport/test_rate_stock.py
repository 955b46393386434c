from hypothesis import given
from hypothesis import strategies as st

from desk.units import NS_PER_S
from venues._transport.rate_stock import Pace, RateStock

LIFE_NS = 100


def held(stock: RateStock, now_ns: int) -> int:
    return stock.held if stock.ready(now_ns) else 0


def test_the_oldest_token_goes_first_and_none_outlives_its_life() -> None:
    stock = RateStock(life_ns=LIFE_NS)
    stock.add(2, stamp=1, asked_ns=0)
    stock.add(1, stamp=2, asked_ns=60)
    assert stock.use(99)
    assert stock.young(99) == 1
    assert (held(stock, 100), held(stock, 159)) == (1, 1)
    assert not stock.use(160)
    assert stock.leaving(160) == [(1, 1), (2, 1)]
    assert stock.leaving(160) == []


def test_what_is_set_aside_is_the_oldest_and_cannot_be_used() -> None:
    stock = RateStock(life_ns=LIFE_NS)
    stock.add(2, stamp=1, asked_ns=0)
    stock.add(3, stamp=2, asked_ns=10)
    stock.trim(2)
    assert stock.held == 2
    assert stock.leaving(20) == [(1, 2), (2, 1)]
    assert [stock.use(20) for _ in range(3)] == [True, True, False]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 60), st.sampled_from(["add", "use", "trim", "leave"]), st.integers(0, 5)
        ),
        max_size=60,
    )
)
def test_every_token_is_used_or_given_back_once_and_used_only_alive(
    steps: list[tuple[int, str, int]],
) -> None:
    stock, now_ns = RateStock(life_ns=LIFE_NS), 0
    added: dict[int, int] = {}
    used, gone = 0, 0
    for stamp, (pause_ns, what, number) in enumerate(steps):
        now_ns += pause_ns
        if what == "add":
            stock.add(number, stamp=stamp, asked_ns=now_ns)
            added[now_ns] = added.get(now_ns, 0) + number
        elif what == "use":
            alive = sum(n for asked, n in added.items() if now_ns - asked < LIFE_NS)
            worked = stock.use(now_ns)
            assert alive or not worked
            used += worked
        elif what == "trim":
            stock.trim(number)
            assert stock.held <= number
        else:
            gone += sum(tokens for _, tokens in stock.leaving(now_ns))
        assert stock.young(now_ns) <= stock.held
    gone += sum(tokens for _, tokens in stock.leaving(now_ns + LIFE_NS))
    assert used + gone == sum(added.values())
    assert stock.held == 0


def test_the_pace_counts_the_last_second() -> None:
    pace = Pace()
    for at_ns in (0, 1, NS_PER_S - 1, NS_PER_S):
        pace.note(at_ns)
    assert pace.recent(NS_PER_S) == 3
    assert pace.recent(2 * NS_PER_S) == 0
