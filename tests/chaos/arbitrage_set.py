"""One set under test, seen from the venue, from Temporal, from the record and from Redis."""

import asyncio
import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from temporalio.client import WorkflowFailureError, WorkflowHandle

from activities.ports import ActivityPorts
from desk.arbitrage_ports import ClaimStage
from desk.identity import MarketId
from quoting.arbitrage.report import SetKind
from tests.chaos.arbitrage_books import Books
from tests.chaos.arbitrage_facts import Late, SetFacts, Told
from tests.chaos.arbitrage_ground import Ground
from tests.chaos.arbitrage_log import Leg, SetLog, standings
from tests.chaos.arbitrage_venue import ACCOUNTS
from venues.ocx.simulator.listing import rules_of
from venues.ocx.simulator.settings import Money
from workflows import names
from workflows.arbitrage import ArbitrageWorkflow
from workflows.arbitrage_messages import ArbitrageStatus, StartArbitrage
from workflows.messages import Request

Handle = WorkflowHandle[ArbitrageWorkflow, ArbitrageStatus]

_STILL_S = 1.5
"""Nothing happened for so long: longer than a hedge rests between two orders of a round."""


@dataclass(slots=True, kw_only=True)
class LiveSet:
    """A set of one account; `place` says which of the two. `kills` and `excused` are its own."""

    ground: Ground
    name: str
    books: Books
    place: int = 0
    handle: Handle | None = None
    kills: list[Told] = field(default_factory=list)
    excused: list[tuple[int, int]] = field(default_factory=list)

    @property
    def markets(self) -> tuple[MarketId, ...]:
        """Its legs, under our name of the account."""
        account = self.ground.accounts[self.place]
        return tuple(MarketId("ocx", account, symbol) for symbol in self.books.symbols)

    async def start(self, **options: Any) -> Handle:
        """Start its workflow; books as these have to be allowed to be old."""
        outcomes = self.books.kind is SetKind.OUTCOME_SET
        given: dict[str, Any] = {
            "max_units": Decimal(20 if outcomes else 400),
            "max_capital": Decimal(2_000),
            "max_exposure": Decimal(200),
            "max_age_ms": 60_000,
            "max_skew_ms": 60_000,
            "max_position": Decimal(100_000),
        }
        spec = StartArbitrage(
            name=self.name,
            kind=self.books.kind,
            legs=tuple(market.path for market in self.markets),
            fleet=self.ground.settings.fleet,
            **{**given, **options},
        )
        workflow_id = names.arbitrage_workflow_id(self.name)
        self.ground.workflows.append(workflow_id)
        self.handle = await self.ground.client.start_workflow(
            ArbitrageWorkflow.run, spec, id=workflow_id, task_queue=names.MARKETS_QUEUE
        )
        return self.handle

    async def watching(self, *, within_s: float = 120) -> None:
        """Wait until its legs are leased and it looks for an edge, by its own heartbeat."""

        async def looks() -> bool:
            assert self.handle is not None
            described = await self.handle.describe()
            return any(
                b'"watching"' in payload.data
                for pending in described.raw_description.pending_activities
                for payload in pending.heartbeat_details.payloads
            )

        await self.ground.until(f"{self.name} watches", looks, within_s=within_s)

    # --- looking -----------------------------------------------------------------------------

    async def status(self) -> ArbitrageStatus:
        """What the workflow says."""
        assert self.handle is not None
        return await self.handle.query(ArbitrageWorkflow.status)

    async def log(self) -> SetLog:
        """What the venue recorded of it."""
        events = await self.ground.events()
        return SetLog.of(events, ACCOUNTS[self.place], self.books.symbols)

    async def held(self) -> tuple[int, ...]:
        """Signed lots of each leg, by the venue."""
        held = (await self.log()).held()
        return tuple(held.get(symbol, 0) for symbol in self.books.symbols)

    async def fired(self) -> bool:
        """Whether the venue took any order of it."""
        return bool((await self.log()).taken)

    async def unrest(self) -> str:
        """Why it is not over yet, empty when venue, record and claims all say it is."""
        log, ground, legs = await self.log(), self.ground, self.legs
        trades = await ground.trades.recent(1_000, self.name)
        last = standings(log, self.books.kind, legs, trades)[-1]
        left = {leg.symbol: last.excess.get(leg.symbol, 0) for leg in legs}
        if any(abs(left[leg.symbol]) >= leg.least for leg in legs):
            return f"{left} lots are beyond complete sets"
        if await ground.trades.open_for(self.name):
            return "a trade is under way by the record"
        for claim in await ground.claims.open():
            if claim.key.set_name == self.name and claim.stage is not ClaimStage.HELD:
                return f"{claim.key.text} is {claim.stage.value} in Redis"
        still_s = (time.time_ns() - log.last_ns) / 1e9
        return "" if still_s > _STILL_S else f"something happened {still_s:.1f} s ago"

    @property
    def legs(self) -> list[Leg]:
        """As the venue has them."""
        listed = [rules_of(one.market, Money()).instrument for one in self.books.legs]
        return [Leg(instrument=one, worth=self.books.worth[one.quote]) for one in listed]

    # --- the end -----------------------------------------------------------------------------

    async def stop(self) -> None:
        """Ask it to stop."""
        assert self.handle is not None
        await self.handle.signal(ArbitrageWorkflow.stop, Request(reason="test is over", by="test"))

    async def ended(self, *, within_s: float = 90) -> ArbitrageStatus:
        """Its last word; where it does not end in time, the one it has now."""
        assert self.handle is not None
        try:
            async with asyncio.timeout(within_s):
                return await self.handle.result()
        except TimeoutError:
            return await self.status()
        except WorkflowFailureError as failure:
            raise AssertionError(f"{self.name} failed: {failure.cause}") from failure

    async def facts(self, ports: ActivityPorts, status: ArbitrageStatus, until_ns: int) -> SetFacts:
        """All that is known of it now; `ports` see the venue without anything between."""
        venue = await ports.venues.venue("ocx", self.ground.accounts[self.place])
        listed = {one.symbol: one for one in await venue.instruments()}
        booked, history, folds = {}, {}, {}
        for market in self.markets:
            booked[market.symbol] = await ports.ledger.fills(market)
            history[market.symbol] = await venue.account.fills(listed[market.symbol], 0)
            folds[market.symbol] = await ports.ledger.facts(market, 0)
        trades = tuple(reversed(await ports.trades.recent(1_000, self.name)))
        claims = [one for one in await ports.claims.open() if one.key.set_name == self.name]
        return SetFacts(
            name=self.name,
            kind=self.books.kind,
            legs=self.legs,
            log=await self.log(),
            booked=booked,
            history=history,
            folds=folds,
            trades=trades,
            claims=claims,
            seen=self.ground.seen.by_key,
            status=status,
            until_ns=until_ns,
            kills=self.kills,
            excused=(*self.ground.excused, *self.excused),
            late=[
                Late(symbol=one.symbol, sent_ns=one.taken_ns, arrived_ns=one.passed_ns)
                for one in self.ground.line.history
            ],
        )
