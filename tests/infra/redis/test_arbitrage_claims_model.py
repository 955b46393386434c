"""Two workers, several sets, a record, a server that forgets: nothing is ever used twice.

The machine keeps a model of what each answer must be, and beside it the world: what was granted and
is still out, whatever Redis remembers. The bounds are checked against the world.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from desk.arbitrage_ports import Claim, ClaimGranted, ClaimRefusal, ClaimStage
from desk.arbitrage_records import ClaimRecord, HeldCapital, LockedTrade, TradeKey
from desk.identity import MarketId
from desk.records import Kill, KillEffect, kill_scopes
from infra.redis.connection import open_redis
from infra.redis.kill_board import RedisKillBoard
from tests.infra.redis.arbitrage_claims import (
    FLEET,
    cap,
    claim,
    claims_over,
    held,
    kept,
    let_lapse,
    let_settle,
    size,
)

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]

T = TypeVar("T")

SETS = ("rain", "snow", "wind")
MARKETS = tuple(MarketId(venue, "main", name) for venue in ("ocx", "x10") for name in ("YES", "NO"))
PLACES = (MARKETS[0], MARKETS[2])
FLEET_CAP, PLACE_CAP, SET_CAP = 14, 12, 10
CAPS = (
    cap("fleet", FLEET_CAP),
    *(cap(f"account:{place.venue}/main", PLACE_CAP) for place in PLACES),
    *(cap(f"set:{name}", SET_CAP) for name in SETS),
)
SCOPES = (
    "fleet",
    "venue:x10",
    f"market:{MARKETS[1].path}",
    f"break:account:{MARKETS[0].venue}/main",
)

LEGS = st.lists(
    st.tuples(st.sampled_from(MARKETS), st.integers(6, 10), st.integers(1, 5)),
    min_size=1,
    max_size=3,
)
MONEY = st.lists(st.tuples(st.sampled_from(PLACES), st.integers(1, 5)), min_size=1, max_size=3)
_PATIENCE_S = 20.0
WORKER, PICK = st.integers(0, 1), st.integers(0, 1_000)


@dataclass(frozen=True, slots=True)
class Ask:
    """What one worker asks for one set."""

    worker: int
    set_number: int
    legs: list[tuple[MarketId, int, int]]
    money: list[tuple[MarketId, int]]


ASK = st.builds(Ask, WORKER, st.integers(0, len(SETS) - 1), LEGS, MONEY)


@dataclass(slots=True, kw_only=True)
class Trade:
    """One granted trade: what Redis should say of it, and what is true of it."""

    claim: Claim
    capital: Counter[str]
    sizes_out: bool = True
    kept_by_redis: bool = True
    alive: bool = True
    open: bool = True
    recorded: bool = False
    record: Counter[str] = field(default_factory=Counter)
    record_open: bool = True
    recorded_in_time: bool = False
    given_up: bool = False

    @property
    def out(self) -> Counter[str]:
        """Capital that is truly out: by the record, where it has a word."""
        return self.record if self.recorded else self.capital


class Claims(RuleBasedStateMachine):
    """`redis_url` is set by the test."""

    redis_url = ""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clients = [open_redis(self.redis_url, socket_timeout_s=_PATIENCE_S) for _ in range(2)]
        for client in self.clients:
            # On a busy machine a connection may take longer than a call may.
            self.run(connected(client))
        self.ports = [claims_over(client) for client in self.clients]
        self.board = RedisKillBoard(self.clients[0], fleet=FLEET)
        self.trades: dict[TradeKey, Trade] = {}
        self.fences: dict[str, tuple[int, int]] = {}
        self.gone: set[TradeKey] = set()
        self.kills: set[str] = set()
        self.numbers = 0
        self.armed = self.settled = self.board_armed = False
        self.memory = 0
        self.read: list[tuple[int, str, ClaimRecord]] = []

    def teardown(self) -> None:
        for client in self.clients:
            self.run(client.aclose())
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @initialize()
    def begin(self) -> None:
        self.forget()
        self.look_at_the_record()
        self.arm(worker=0, pick=0)
        self.let_time_pass()

    # What the workers do.

    @rule(asks=st.lists(ASK, min_size=1, max_size=5))
    def ask_in_order(self, asks: list[Ask]) -> None:
        for one in asks:
            self.ask(one)

    @rule(one=ASK, epoch=st.integers(-1, 1), number=st.integers(0, 2))
    def ask_anyhow(self, one: Ask, epoch: int, number: int) -> None:
        self.ask(one, epoch=epoch, number=number)

    @rule(one=ASK, scope=st.sampled_from(SCOPES), effect=st.sampled_from(KillEffect))
    def ask_under_a_kill(self, one: Ask, scope: str, effect: KillEffect) -> None:
        self.numbers += 1
        kill = Kill(scope=scope, reason="why", by="ann", at_ms=self.numbers, effect=effect)
        self.run(self.board.set(kill))
        self.kills.add(scope)
        self.ask(one)
        self.run(self.board.lift(scope, [self.numbers]))
        self.kills.clear()

    def ask(self, one: Ask, *, epoch: int = 0, number: int = 1) -> None:
        name = SETS[one.set_number]
        seen_epoch, seen_number = self.fences.get(name, (0, 0))
        at = max(1, seen_epoch + epoch)
        asked = claim(
            name,
            epoch=at,
            trade=max(1, number + (seen_number if at == seen_epoch else 0)),
            owner=f"worker {one.worker}",
            sizes=tuple(size(lots, shown, market=market) for market, shown, lots in one.legs),
            capital=tuple(held(amount, at=place) for place, amount in one.money),
        )
        expected = self.expected(asked)
        if at > seen_epoch:
            self.fences[name] = (at, 0)
        answer = self.run(self.ports[one.worker].claim(asked))
        told = None if isinstance(answer, ClaimGranted) else answer.reason
        assert told == expected, answer
        if told is None:
            self.fences[name] = (asked.key.epoch, asked.key.trade)
            self.trades[asked.key] = Trade(claim=asked, capital=wanted(asked))
            self.bounds_hold(asked)

    @rule(worker=WORKER, pick=PICK)
    def keep(self, worker: int, pick: int) -> None:
        if trade := self.pick(pick):
            self.keep_one(worker, trade)

    def keep_one(self, worker: int, trade: Trade) -> None:
        key = trade.claim.key
        fence = self.fences.get(key.set_name, (0, 0))
        expected = trade.kept_by_redis and trade.alive and trade.open and fence[0] <= key.epoch
        assert self.run(self.ports[worker].keep(trade.claim)) == expected
        if not trade.kept_by_redis and key not in self.gone:
            trade.kept_by_redis, trade.alive = True, False
            trade.capital = wanted(trade.claim)
            trade.open = self.open_trade(key.set_name) is None
            self.raise_fence(key)

    @rule(worker=WORKER, pick=PICK, share=st.integers(0, 4))
    def settle(self, worker: int, pick: int, share: int) -> None:
        """Put what stays locked on record, and then in Redis, as a workflow does."""
        if trade := self.pick(pick):
            self.put_on_record(trade, share)
            key = trade.claim.key
            told = self.run(self.ports[worker].settle(key, "worker", money_of(trade.record)))
            assert told == (key not in self.gone)
            if told:
                self.settled_in_redis(trade)
                self.raise_fence(key)

    @rule(pick=PICK, share=st.integers(0, 4))
    def settle_on_record_alone(self, pick: int, share: int) -> None:
        if trade := self.pick(pick):
            self.put_on_record(trade, share)

    @rule(pick=PICK)
    def fire_on_record(self, pick: int) -> None:
        trade = self.pick(pick)
        if trade and not trade.recorded:
            trade.recorded, trade.record = True, wanted(trade.claim)

    @rule(worker=WORKER, pick=PICK)
    def release(self, worker: int, pick: int) -> None:
        if trade := self.pick(pick):
            key = trade.claim.key
            trade.recorded, trade.record, trade.record_open = True, Counter(), False
            assert self.run(self.ports[worker].release(key)) == trade.kept_by_redis
            self.raise_fence(key)
            self.settled_in_redis(trade)

    @rule(worker=WORKER, name=st.sampled_from(SETS), above=st.integers(-1, 1))
    def fence(self, worker: int, name: str, above: int) -> None:
        seen = self.fences.get(name, (0, 0))
        epoch = max(1, seen[0] + above)
        assert self.run(self.ports[worker].fence(name, epoch)) == (epoch >= seen[0])
        self.fences[name] = max(seen, (epoch, 0))

    # What happens to them.

    @rule()
    def every_deadline_passes(self) -> None:
        self.run(let_lapse(self.clients[0]))
        for trade in self.trades.values():
            trade.alive = trade.sizes_out = False

    @precondition(lambda self: self.settled)
    @rule(fires=st.booleans(), recovers=st.booleans())
    def forget_in_the_middle(self, fires: bool, recovers: bool) -> None:
        if fires:
            self.fire_on_record(0)
        self.forget()
        if recovers:
            self.recover(0)

    def forget(self) -> None:
        self.run(flush(self.clients[0]))
        self.armed = self.settled = self.board_armed = False
        self.memory += 1
        self.fences.clear()
        self.gone.clear()
        self.kills.clear()
        for trade in self.trades.values():
            trade.kept_by_redis = trade.alive = trade.open = False
            trade.recorded_in_time = trade.recorded

    @rule()
    def look_at_the_record(self) -> None:
        name = self.run(self.ports[0].memory())
        trades = tuple(
            LockedTrade(
                key=key,
                owner="worker",
                under_way=trade.record_open,
                capital=money_of(trade.record),
            )
            for key, trade in self.trades.items()
            if trade.recorded
        )
        self.read.append((self.memory, name, ClaimRecord(trades=trades)))

    @rule(worker=WORKER, pick=st.integers(0, 3))
    def arm(self, worker: int, pick: int) -> None:
        """From the newest record that was read, or one of those before it."""
        memory, name, record = self.read[-1 - pick % len(self.read)]
        self.run(self.board.rearm([]))
        self.board_armed = True
        told = self.run(self.ports[worker].rearm(record, CAPS, name))
        assert told == (memory == self.memory)
        if told:
            self.armed = True
            for one in record.trades:
                self.take_over(one)

    @rule()
    def let_time_pass(self) -> None:
        """As long as nothing is granted for: the living keep what was not on record in time."""
        for trade in list(self.trades.values()):
            if not trade.recorded_in_time and not trade.kept_by_redis:
                self.keep_one(0, trade)
        if self.armed and not self.settled:
            self.every_deadline_passes()
            self.run(let_settle(self.clients[0]))
            self.settled = True

    @precondition(lambda self: not self.settled)
    @rule(worker=WORKER)
    def recover(self, worker: int) -> None:
        self.look_at_the_record()
        self.arm(worker, 0)
        self.let_time_pass()

    # What must hold.

    @invariant()
    def redis_says_what_the_model_says(self) -> None:
        found = {one.key: one for one in self.run(self.ports[1].open())}
        expected = {key: one for key, one in self.trades.items() if one.kept_by_redis}
        assert found.keys() == expected.keys()
        for key, one in found.items():
            trade = expected[key]
            stage = (
                ClaimStage.HELD
                if not trade.open
                else ClaimStage.ALIVE
                if trade.alive
                else ClaimStage.LAPSED
            )
            assert (one.stage, money(one.capital)) == (stage, trade.capital), key

    @invariant()
    def sums_are_sums(self) -> None:
        books = self.run(kept(self.clients[0]))
        sizes: Counter[str] = Counter()
        places: Counter[str] = Counter()
        for trade in self.trades.values():
            if trade.kept_by_redis:
                for place, amount in trade.capital.items():
                    places[f"account:{place} USDC"] += amount * 1_000_000
                    places["fleet USDC"] += amount * 1_000_000
                if trade.alive and trade.open:
                    sizes.update(lots_of(trade.claim))
        assert {name: int(sum_) for name, sum_ in books.get("sizes", {}).items()} == sizes
        assert {name: int(sum_) for name, sum_ in books.get("capital", {}).items()} == places
        for name, total in places.items():
            assert sum(books[f"held:{name}"].values()) == total
        assert sum(name.startswith("held:") for name in books) == len(places)

    def expected(self, asked: Claim) -> ClaimRefusal | None:
        name, at = asked.key.set_name, (asked.key.epoch, asked.key.trade)
        if not self.armed or not self.settled:
            return ClaimRefusal.NOT_ARMED
        if at <= self.fences.get(name, (0, 0)):
            return ClaimRefusal.FENCED
        if not self.board_armed:
            return ClaimRefusal.NOT_ARMED
        if any(self.kills & set(kill_scopes(one.market)) for one in asked.sizes):
            return ClaimRefusal.KILLED
        if self.open_trade(name):
            return ClaimRefusal.OPEN_TRADE
        if self.sizes_short(asked):
            return ClaimRefusal.SIZE
        held_now = [one for one in self.trades.values() if one.kept_by_redis]
        return ClaimRefusal.CAPITAL if over_a_cap(held_now, asked) else None

    def sizes_short(self, asked: Claim) -> bool:
        lots: Counter[str] = Counter()
        for trade in self.trades.values():
            if trade.kept_by_redis and trade.alive and trade.open:
                lots.update(lots_of(trade.claim))
        for one in asked.sizes:
            lots[field_of(one)] += one.lots
            if lots[field_of(one)] > one.shown:
                return True
        return False

    def bounds_hold(self, granted: Claim) -> None:
        """Of the world: all sizes that are out fit in what this claim saw, all capital in caps."""
        lots: Counter[str] = Counter()
        for trade in self.trades.values():
            if trade.sizes_out:
                lots.update(lots_of(trade.claim))
        shown = {field_of(one): one.shown for one in granted.sizes}
        assert all(lots[name] <= most for name, most in shown.items())
        fleet: Counter[str] = Counter()
        for name in SETS:
            of_set: Counter[str] = Counter()
            for key, trade in self.trades.items():
                if key.set_name == name:
                    of_set.update(trade.out)
            assert of_set.total() <= SET_CAP
            fleet.update(of_set)
        assert fleet.total() <= FLEET_CAP
        assert all(amount <= PLACE_CAP for amount in fleet.values())

    # How the model moves.

    def pick(self, pick: int) -> Trade | None:
        some = [one for one in self.trades.values() if not one.given_up]
        return some[pick % len(some)] if some else None

    def open_trade(self, name: str) -> Trade | None:
        return next(
            (
                one
                for key, one in self.trades.items()
                if key.set_name == name and one.kept_by_redis and one.open
            ),
            None,
        )

    def raise_fence(self, key: TradeKey) -> None:
        seen = self.fences.get(key.set_name, (0, 0))
        self.fences[key.set_name] = max(seen, (key.epoch, key.trade))

    def put_on_record(self, trade: Trade, share: int) -> None:
        """What stays locked only shrinks."""
        before = trade.record if trade.recorded else wanted(trade.claim)
        trade.record = +Counter({place: amount * share // 4 for place, amount in before.items()})
        trade.recorded, trade.record_open = True, False

    def settled_in_redis(self, trade: Trade) -> None:
        trade.alive = trade.sizes_out = trade.open = False
        trade.capital = Counter(trade.record)
        trade.kept_by_redis = bool(trade.capital)
        if not trade.kept_by_redis:
            trade.given_up = True
            self.gone.add(trade.claim.key)

    def take_over(self, one: LockedTrade) -> None:
        trade, told = self.trades[one.key], money(one.capital)
        if one.key in self.gone:
            return
        self.raise_fence(one.key)
        if one.under_way:
            if not trade.kept_by_redis:
                trade.kept_by_redis, trade.alive, trade.capital = True, False, told
                trade.open = self.open_trade(one.key.set_name) is None
            return
        trade.alive = trade.open = trade.sizes_out = False
        trade.capital, trade.kept_by_redis = told, bool(told)
        if not told:
            trade.given_up = True
            self.gone.add(one.key)


def field_of(one: Any) -> str:
    return f"{one.market.venue}/{one.market.symbol} {one.side.value}"


def lots_of(of: Claim) -> Counter[str]:
    lots: Counter[str] = Counter()
    for one in of.sizes:
        lots[field_of(one)] += one.lots
    return lots


def money(capital: tuple[HeldCapital, ...]) -> Counter[str]:
    found: Counter[str] = Counter()
    for one in capital:
        assert one.amount == int(one.amount)
        found[f"{one.venue}/{one.account}"] += int(one.amount)
    return found


def wanted(of: Claim) -> Counter[str]:
    return money(of.capital)


def money_of(capital: Counter[str]) -> tuple[HeldCapital, ...]:
    return tuple(
        HeldCapital(
            venue=place.partition("/")[0],
            account=place.partition("/")[2],
            quote="USDC",
            amount=Decimal(amount),
        )
        for place, amount in capital.items()
    )


def over_a_cap(trades: list[Trade], asked: Claim) -> bool:
    fleet, of_set = wanted(asked), wanted(asked).total()
    for trade in trades:
        fleet.update(trade.capital)
        if trade.claim.key.set_name == asked.key.set_name:
            of_set += trade.capital.total()
    return (
        fleet.total() > FLEET_CAP
        or of_set > SET_CAP
        or any(fleet[place] > PLACE_CAP for place in wanted(asked))
    )


async def connected(client: Any) -> None:
    await client.ping()


async def flush(client: Any) -> None:
    await client.flushdb()


def test_nothing_is_ever_used_twice(redis_url: str) -> None:
    Claims.redis_url = redis_url
    told = settings(stateful_step_count=30, deadline=None)
    run_state_machine_as_test(Claims, settings=told)
