"""The book equals a plain model of it, and shows nothing it cannot vouch for."""

from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.book import Book, BookProblem
from desk.market import BookDelta, BookSnapshot
from desk.units import Level, Side

SNAPSHOT = BookSnapshot(
    bids=((100, 5), (99, 4), (97, 1)),
    asks=((103, 2), (104, 8)),
    sequence=10,
    received_ns=1_000,
)


def delta(
    bids: tuple[Level, ...] = (),
    asks: tuple[Level, ...] = (),
    *,
    sequence: int | None = 11,
    previous: int | None = None,
) -> BookDelta:
    return BookDelta(bids=bids, asks=asks, sequence=sequence, previous=previous, received_ns=2_000)


def book() -> Book:
    fresh = Book()
    assert fresh.apply(SNAPSHOT) is None
    return fresh


@dataclass
class Plain:
    """The book's promises in the most obvious form."""

    depth: int | None
    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)
    sequence: int | None = None
    ready: bool = False

    def apply(self, event: BookSnapshot | BookDelta) -> BookProblem | None:
        if isinstance(event, BookSnapshot):
            self.bids, self.asks, self.ready = {}, {}, True
        elif not self.ready:
            return BookProblem.NO_SNAPSHOT
        elif self.sequence is not None and event.sequence is not None:
            if event.sequence <= self.sequence:
                return None
            follows = event.sequence - 1 if event.previous is None else event.previous
            if follows != self.sequence:
                return self.fail(BookProblem.GAP)
        self.sequence = event.sequence
        for side, levels in ((self.bids, event.bids), (self.asks, event.asks)):
            for price, lots in levels:
                side[price] = lots
        self.bids = dict(self.sorted(self.bids, -1))
        self.asks = dict(self.sorted(self.asks, 1))
        if self.bids and self.asks and max(self.bids) >= min(self.asks):
            return self.fail(BookProblem.CROSSED)
        return None

    def sorted(self, side: dict[int, int], sign: int) -> list[Level]:
        present = [(price, lots) for price, lots in side.items() if lots]
        return sorted(present, key=lambda level: sign * level[0])[: self.depth]

    def fail(self, problem: BookProblem) -> BookProblem:
        self.bids, self.asks, self.ready = {}, {}, False
        return problem


def sides(low: int, high: int) -> st.SearchStrategy[list[Level]]:
    return st.lists(st.tuples(st.integers(low, high), st.integers(0, 9)), max_size=8)


@st.composite
def histories(draw: st.DrawFn) -> list[BookSnapshot | BookDelta]:
    numbered = draw(st.booleans())
    number, events = 100, list[BookSnapshot | BookDelta]()
    for index in range(draw(st.integers(1, 25))):
        last = number
        number += draw(st.sampled_from([1] * 12 + [0, -1, 2]))
        bids, asks = draw(sides(1, 21)), draw(sides(20, 40))
        sequence = number if numbered else None
        if draw(st.integers(0, 7)) == 0 or (index == 0 and draw(st.booleans())):
            events.append(
                BookSnapshot(
                    bids=sorted(dict(bids).items(), reverse=True),
                    asks=sorted(dict(asks).items()),
                    sequence=sequence,
                    received_ns=index,
                )
            )
            continue
        previous = draw(st.sampled_from([None, last])) if numbered else None
        events.append(
            BookDelta(bids=bids, asks=asks, sequence=sequence, previous=previous, received_ns=index)
        )
    return events


@given(histories(), st.none() | st.integers(1, 6))
@settings(deadline=None, max_examples=300)
def test_equals_the_plain_model_after_every_event(
    events: list[BookSnapshot | BookDelta], depth: int | None
) -> None:
    real, plain = Book(depth), Plain(depth)
    for event in events:
        assert real.apply(event) == plain.apply(event)
        assert real.ready == plain.ready
        assert real.levels(Side.BUY) == tuple(plain.bids.items())
        assert real.levels(Side.SELL) == tuple(plain.asks.items())
        assert real.levels(Side.SELL, 2) == tuple(plain.asks.items())[:2]
        assert real.best_bid == max(plain.bids, default=None)
        assert real.best_ask == min(plain.asks, default=None)


def test_mid_is_kept_in_half_ticks() -> None:
    assert book().mid_x2 == 203
    assert book().spread == 3


def test_nothing_is_shown_before_the_first_snapshot() -> None:
    fresh = Book()
    assert fresh.apply(delta(bids=((1, 1),))) is BookProblem.NO_SNAPSHOT
    assert not fresh.ready
    assert (fresh.best_bid, fresh.best_ask, fresh.mid_x2, fresh.spread) == (None,) * 4
    assert fresh.age_ns(5_000) is None


@pytest.mark.parametrize(
    "follower",
    [delta(sequence=11), delta(sequence=50, previous=10), delta(sequence=None, previous=10)],
)
def test_a_delta_that_follows_is_taken(follower: BookDelta) -> None:
    kept = book()
    assert kept.apply(replace(follower, bids=((101, 7),))) is None
    assert kept.best_bid == 101
    assert kept.age_ns(2_500) == 500


@pytest.mark.parametrize(
    "jump",
    [delta(sequence=12), delta(sequence=11, previous=9), delta(sequence=None, previous=9)],
)
def test_a_gap_empties_the_book_until_the_next_snapshot(jump: BookDelta) -> None:
    kept = book()
    assert kept.apply(jump) is BookProblem.GAP
    assert (kept.ready, kept.best_bid, kept.mid_x2) == (False, None, None)
    assert kept.apply(delta(sequence=13)) is BookProblem.NO_SNAPSHOT
    assert kept.apply(replace(SNAPSHOT, sequence=3)) is None
    assert (kept.ready, kept.mid_x2, kept.sequence) == (True, 203, 3)


@pytest.mark.parametrize("sequence", [9, 10])
def test_a_repeat_changes_nothing(sequence: int) -> None:
    kept = book()
    assert kept.apply(delta(bids=((101, 7),), sequence=sequence)) is None
    assert (kept.ready, kept.best_bid, kept.updated_ns, kept.sequence) == (True, 100, 1_000, 10)


@pytest.mark.parametrize("price", [103, 104])
def test_a_locked_or_crossed_book_is_not_trusted(price: int) -> None:
    kept = book()
    assert kept.apply(delta(bids=((price, 1),))) is BookProblem.CROSSED
    assert (kept.ready, kept.best_ask) == (False, None)


def test_a_cross_inside_one_event_is_none_when_the_event_resolves_it() -> None:
    kept = book()
    assert kept.apply(delta(bids=((103, 1),), asks=((103, 0),))) is None
    assert (kept.best_bid, kept.best_ask) == (103, 104)


def test_an_empty_side_is_no_problem_but_has_no_mid() -> None:
    kept = book()
    assert kept.apply(delta(asks=((103, 0), (104, 0)))) is None
    assert (kept.ready, kept.best_bid, kept.best_ask, kept.mid_x2) == (True, 100, None, None)


def test_what_falls_out_of_the_window_does_not_come_back() -> None:
    window = Book(depth=2)
    window.apply(SNAPSHOT)
    assert window.apply(delta(bids=((101, 3),), sequence=11)) is None
    assert window.apply(delta(bids=((101, 0),), sequence=12)) is None
    assert window.levels(Side.BUY) == ((100, 5),)


def test_the_best_of_others_looks_past_our_own_orders() -> None:
    kept = book()
    assert kept.best_of_others(Side.BUY, {}) == 100
    assert kept.best_of_others(Side.BUY, {100: 5}) == 99
    assert kept.best_of_others(Side.BUY, {100: 4}) == 100
    assert kept.best_of_others(Side.SELL, {103: 2, 104: 9}) is None
    assert (kept.lots_at(Side.SELL, 104), kept.lots_at(Side.SELL, 105)) == (8, 0)


@given(sides(1, 20), sides(21, 40), st.dictionaries(st.integers(1, 40), st.integers(0, 9)))
@settings(deadline=None, max_examples=200)
def test_the_levels_of_others_are_what_remains_without_ours(
    bids: list[Level], asks: list[Level], own: dict[int, int]
) -> None:
    kept = Book()
    assert kept.apply(replace(SNAPSHOT, bids=bids, asks=asks)) is None
    for side in Side:
        theirs = [
            (price, lots - own.get(price, 0))
            for price, lots in kept.levels(side)
            if lots > own.get(price, 0)
        ]
        for depth in (1, 3, 20):
            assert kept.of_others(side, own, depth) == tuple(theirs[:depth])
        assert kept.best_of_others(side, own) == (theirs[0][0] if theirs else None)


def test_imbalance_counts_the_best_levels_only() -> None:
    assert book().imbalance(1) == Decimal("0.4286")
    assert book().imbalance(9) == Decimal(0)
    assert Book().imbalance(1) is None
