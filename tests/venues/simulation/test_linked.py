"""Prices that belong together: outcomes add up to 1, pairs are quotients, however they walk."""

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.units import NS_PER_S
from tests.venues.simulation.exchange import BUY, SELL, HandClock
from tests.venues.simulation.test_paid import outcome
from venues.simulation.engine import Engine
from venues.simulation.faults import Fault, FaultKind, FaultPlan
from venues.simulation.flow import SyntheticFlow
from venues.simulation.leg_faults import ShownEdge
from venues.simulation.linked import OutcomeWalks, PairWalks
from venues.simulation.regimes import TRAITS, Regime

FLOOR = Decimal("0.003")
CALM, WILD = 20.0, 500.0


def walks(starts: dict[str, Decimal], seed: int = 1, volatility_bps: float = CALM) -> OutcomeWalks:
    return OutcomeWalks(starts, Random(seed), floor=FLOOR, volatility_bps=volatility_bps)


def go(event: OutcomeWalks, name: str, seconds: int, push_bps: float | None = None) -> None:
    for second in range(seconds + 1):
        event.move(second * NS_PER_S, name, push_bps)


@given(
    weights=st.lists(st.integers(1, 20), min_size=2, max_size=30),
    seed=st.integers(0, 9),
    seconds=st.integers(0, 30),
)
def test_outcomes_add_up_to_one_at_every_moment(
    weights: list[int], seed: int, seconds: int
) -> None:
    shares = [5 + 800 * weight // sum(weights) for weight in weights]
    shares[0] += 1_000 - sum(shares)
    starts = {f"M{at}": Decimal(share) / 1_000 for at, share in enumerate(shares)}
    event = walks(starts, seed, WILD)
    for name, price in starts.items():
        assert abs(event.of(name).index - price) <= Decimal("1e-4")
    go(event, "M0", seconds)
    assert sum(event.of(name).index for name in starts) == 1
    assert all(event.of(name).index >= FLOOR - Decimal("1e-4") for name in starts)


def test_what_no_listed_outcome_is_worth_belongs_to_the_others() -> None:
    event = walks({"A": Decimal("0.3"), "B": Decimal("0.5")}, volatility_bps=WILD)
    go(event, "A", 30)
    listed = event.of("A").index + event.of("B").index
    assert FLOOR <= 1 - listed < 1
    assert listed != Decimal("0.8")
    for bad in ({"A": Decimal("0.6"), "B": Decimal("0.5")}, {"A": Decimal("0.001"), "B": FLOOR}):
        with pytest.raises(ValueError, match="add up to 1"):
            walks(bad)


def test_a_push_moves_one_outcome_and_the_others_make_room() -> None:
    starts = {"A": Decimal("0.2"), "B": Decimal("0.3"), "C": Decimal("0.5")}
    calm, pushed = walks(starts), walks(starts)
    go(calm, "A", 20)
    go(pushed, "A", 20, push_bps=20.0)
    assert pushed.of("A").price > calm.of("A").price + 0.02
    assert pushed.of("B").price < calm.of("B").price
    assert sum(pushed.of(name).index for name in starts) == 1


def test_a_cross_is_the_quotient_of_the_two_pairs_at_every_moment() -> None:
    worth = {"USDC": Decimal(1), "BTC": Decimal(60_000), "ETH": Decimal(3_000)}
    pairs = PairWalks(worth, Random(1), volatility_bps=20.0)
    btc, eth, cross = pairs.of("BTC", "USDC"), pairs.of("ETH", "USDC"), pairs.of("ETH", "BTC")
    assert btc.price == pytest.approx(60_000)
    seen = set()
    for second in range(60):
        for walk in (btc, cross, eth):
            walk.move(second * NS_PER_S, 1.0, None)
            assert cross.price == pytest.approx(eth.price / btc.price, rel=1e-12)
        assert abs(cross.index * btc.index / eth.index - 1) < Decimal("1e-8")
        seen.add(cross.index)
    assert len(seen) > 50
    assert cross.quote_worth == btc.price


# --- crowds -------------------------------------------------------------------------------------


class Venue:
    """Three outcomes of one event, each with a crowd."""

    starts = {"A": Decimal("0.2"), "B": Decimal("0.3"), "C": Decimal("0.5")}  # noqa: RUF012

    def __init__(self, seed: int = 5, **starts: str) -> None:
        if starts:
            self.starts = {name: Decimal(price) for name, price in starts.items()}
        self.clock = HandClock()
        self.engine = Engine(self.clock)
        self.faults = FaultPlan(self.clock, Random(seed))
        event = walks(self.starts, seed)
        random = Random(seed)
        self.flows = []
        for name in self.starts:
            self.engine.add_market(outcome(name, outcomes=3))
            flow = SyntheticFlow(
                self.engine,
                name,
                Random(random.getrandbits(64)),
                Regime.CALM,
                walk=event.of(name),
                edge=ShownEdge(self.engine, self.faults, name),
            )
            self.flows.append(flow)
        self.step()

    def step(self) -> None:
        for flow in self.flows:
            flow.step(self.clock())
        self.engine.tick()

    def run(self, seconds: float) -> None:
        for _ in range(int(seconds * 20)):
            self.clock.pass_s(0.05)
            self.step()

    def best(self, name: str) -> tuple[int, int]:
        bids, asks = self.engine.book(name, 1)
        return bids[0][0], asks[0][0]

    def asks(self) -> int:
        return sum(self.best(name)[1] for name in self.starts)

    def bids(self) -> int:
        return sum(self.best(name)[0] for name in self.starts)

    def shown(self) -> list[tuple[str, str, int]]:
        return [
            (one["symbol"], one["side"], one["ticks"])
            for one in self.engine.events()
            if one["event"] == "EdgeShown"
        ]


def test_crowds_of_one_event_offer_no_edge_of_their_own_and_stay_in_the_band() -> None:
    venue = Venue(A="0.04", B="0.05", C="0.91")
    moved = set()
    for _ in range(60):
        venue.run(1)
        assert venue.bids() < 100 < venue.asks()
        moved.add(venue.asks())
        assert sum(venue.engine.index(name) or 0 for name in venue.starts) == 1
        for name in venue.starts:
            bids, asks = venue.engine.book(name)
            assert all(1 <= price <= 99 for price, _ in (*bids, *asks))
    assert len(moved) > 1
    assert any(venue.engine.public_trades(name) for name in venue.starts)


def test_the_same_seed_gives_the_same_event() -> None:
    books = []
    for _ in range(2):
        venue = Venue(seed=8)
        venue.run(5)
        books.append([venue.engine.book(name) for name in venue.starts])
    assert books[0] == books[1]


def test_an_edge_opens_for_a_while_in_the_markets_named_and_is_on_record() -> None:
    venue = Venue()
    fair = {name: venue.best(name) for name in venue.starts}
    for name in ("A", "B"):
        venue.faults.add(
            Fault(kind=FaultKind.EDGE, market=name, amount=Decimal("0.05"), after_s=1, for_s=2)
        )
    venue.run(0.9)
    assert venue.asks() > 100
    venue.run(0.3)
    assert venue.asks() < 100
    assert venue.best("A")[1] <= fair["A"][1] - 4
    assert (
        len(venue.engine.book("A")[0])
        == len(venue.engine.book("C")[0])
        == TRAITS[Regime.CALM].levels
    )
    assert all(venue.best(name)[0] < venue.best(name)[1] for name in venue.starts)
    assert sum(venue.engine.index(name) or 0 for name in venue.starts) == 1
    venue.run(3)
    assert venue.asks() > 100
    assert venue.shown() == [
        ("A", "buy", 5),
        ("B", "buy", 5),
        ("A", "buy", 0),
        ("B", "buy", 0),
    ]


def test_the_crowd_leaves_an_edge_to_others() -> None:
    venue = Venue()
    flow = venue.flows[0]
    venue.faults.add(Fault(kind=FaultKind.EDGE, market="A", amount=Decimal("0.05"), for_s=1))
    venue.run(0.1)
    before = venue.engine.public_trades("A")
    flow._pick_off()
    assert venue.engine.public_trades("A") == before
    venue.clock.pass_s(2)
    flow._pick_off()
    assert venue.engine.public_trades("A") != before


def test_an_edge_for_sellers_raises_the_bids() -> None:
    venue = Venue()
    for name in venue.starts:
        venue.faults.add(
            Fault(kind=FaultKind.EDGE, market=name, side=SELL, amount=Decimal("0.03"), for_s=5)
        )
    venue.run(1)
    assert venue.bids() > 100
    assert all(venue.best(name)[0] < venue.best(name)[1] for name in venue.starts)
    assert {one[1] for one in venue.shown()} == {SELL.value}
    assert BUY.value not in {one[1] for one in venue.shown()}
