"""What is known of an order does not depend on which of answer, list and stream spoke first."""

from hypothesis import given
from hypothesis import strategies as st

from venues.zo.known_orders import KnownOrders


def test_an_order_is_found_by_both_of_its_ids_until_it_ends() -> None:
    orders = KnownOrders()
    known = orders.posted(7, "a", "BTCUSD", 10, 100)
    assert orders.get(7) is orders.named("BTCUSD", "a") is known
    assert orders.open(101) == [known]
    assert orders.open(100) == []
    orders.ended(7, 4)
    assert (known.open, known.filled) == (False, 6)
    assert orders.open(101) == []


def test_an_end_that_came_before_the_answer_is_not_forgotten() -> None:
    orders = KnownOrders()
    assert orders.ended(7, 0) is None
    known = orders.posted(7, "a", "BTCUSD", 10, 100)
    assert (known.open, known.filled) == (False, 10)


@given(st.permutations(["posted", "ended", "listed"]))
def test_the_order_of_news_does_not_matter(news: list[str]) -> None:
    orders = KnownOrders()
    for one in news:
        if one == "ended":
            orders.ended(7, 3)
        else:
            orders.posted(7, "a", "BTCUSD", 10, 100)
    known = orders.named("BTCUSD", "a")
    assert known is not None
    assert (known.open, known.filled) == (False, 7)


def test_an_end_of_unknown_size_takes_no_fill_away() -> None:
    orders = KnownOrders()
    orders.posted(7, "a", "BTCUSD", 10, 100)
    orders.ended(7, 2)
    orders.ended(7, None)
    known = orders.get(7)
    assert known is not None
    assert known.filled == 8


def test_memory_is_bounded_and_open_orders_stay_in_it() -> None:
    orders = KnownOrders(kept=3)
    orders.posted(1, "stays", "BTCUSD", 10, 100)
    for number in range(2, 20):
        orders.posted(number, f"o{number}", "BTCUSD", 10, 100)
        orders.ended(number, 0)
        orders.ended(1_000 + number, 0)
    assert orders.named("BTCUSD", "stays") is not None
    assert orders.named("BTCUSD", "o2") is None
    assert orders.named("BTCUSD", "o19") is not None


def test_what_took_is_named_only_when_it_is_certain() -> None:
    orders = KnownOrders()
    orders.took(5, ["a"])
    orders.took(6, ["a", "b"])
    assert (orders.taker(5), orders.taker(6), orders.taker(7)) == ("a", None, None)


def test_one_foreign_id_on_two_markets_is_two_orders() -> None:
    orders = KnownOrders(kept=2)
    here = orders.posted(1, "1234", "BTCUSD", 10, 100)
    there = orders.posted(2, "1234", "ETHUSD", 10, 100)
    assert orders.named("BTCUSD", "1234") is here
    assert orders.named("ETHUSD", "1234") is there
    orders.ended(1, 0)
    orders.posted(3, "5678", "ETHUSD", 10, 100)
    assert orders.named("BTCUSD", "1234") is None
    assert orders.named("ETHUSD", "1234") is there
