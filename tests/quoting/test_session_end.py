"""What ends quoting for good keeps its reason, also while the venue lists orders or nothing."""

import asyncio
import time

import pytest

from desk.daily_loss import DayFacts, DayLimits, MarketDay, scopes
from desk.lifecycle import SessionReason
from desk.orders import Fill
from desk.records import FillSeen, Kill, KillEffect
from desk.risk.limits import RiskLimits
from desk.trading_day import TradingDay
from desk.units import Side
from quoting.gates import Gates
from quoting.loop import MarketLoop
from quoting.session import Session, SessionEnd, SessionPorts
from quoting.setup import LoopSetup
from tests.quoting.builders import (
    CAPABILITIES,
    EMPTY,
    INSTRUMENT,
    MARKET,
    PARAMETERS,
    account,
    book,
    fill,
    permit,
)
from tests.quoting.test_replay import setup
from tests.quoting.test_session_lease import CutOff, FastClock
from tests.quoting.traced import TracedLoop
from tests.support.alone import Counts, NoKillFile, OwnBoard, OwnLease, OwnLedger

DAY = TradingDay(begins_ms=1_763_683_200_000, ends_ms=1_763_769_600_000)


class SeenButDeaf(CutOff):
    """A venue whose streams go on while it hears nothing we say."""

    fills: tuple[Fill, ...] = ()

    async def run(self, *given: object) -> None:
        if len(given) == 2:
            now_ns = FastClock().monotonic_ns()
            for event in (book(now_ns), account(now_ns, fills=self.fills)):
                given[1](event)  # type: ignore[operator]
        await super().run(*given)


async def ended(
    *kills: Kill, lost: int = 0, fills: tuple[Fill, ...] = (), ledger: OwnLedger | None = None
) -> SessionEnd:
    """A session that ends by a kill or by its day's loss, and cannot clear."""
    facts = DayFacts(scope=scopes(MARKET)[0], day=DAY, start=lost + EMPTY.cash, peak=EMPTY.cash)
    setup = LoopSetup(
        market=MARKET,
        instrument=INSTRUMENT,
        epoch=1,
        parameters=PARAMETERS,
        limits=RiskLimits(),
        capabilities=CAPABILITIES,
        facts=EMPTY,
        known_since_ms=0,
        known=frozenset(),
        day=MarketDay(MARKET, DayLimits(hard=EMPTY.cash + 100), DAY, facts),
    )
    given = permit()
    given.kills = kills
    venue = SeenButDeaf(hears=lambda: False)
    venue.fills = fills
    session = Session(
        market=MARKET,
        instrument=INSTRUMENT,
        epoch=1,
        owner="me",
        lease_ttl_ms=60_000,
        window_s=60,
        audit_s=60,
        loop=MarketLoop(setup, given),
        ports=SessionPorts(
            venue=venue,  # type: ignore[arg-type]
            lease=OwnLease(),
            board=OwnBoard(scopes={one.scope: one for one in kills}),
            gates=Gates(),
            kill_file=NoKillFile(),
            ledger=ledger or OwnLedger(),
            clock=FastClock(),
            meter=Counts(),
        ),
        report=lambda progress: None,
    )
    return await session.run()


def kill(effect: KillEffect) -> Kill:
    return Kill(scope="fleet", reason="drill", by="ana", at_ms=time.time_ns(), effect=effect)


@pytest.mark.parametrize(
    ("effect", "reason"),
    [
        (KillEffect.STOP, SessionReason.KILLED),
        (KillEffect.FLATTEN, SessionReason.KILLED_FLATTEN),
    ],
)
async def test_a_kill_stays_a_kill_when_its_orders_cannot_be_cleared(
    effect: KillEffect, reason: SessionReason
) -> None:
    end = await ended(kill(effect))
    assert (end.reason, end.cleared) == (reason, False)
    assert "no line" in end.message


async def test_a_lost_day_stays_lost_when_its_orders_cannot_be_cleared() -> None:
    end = await ended(lost=1_000)
    assert (end.reason, end.cleared) == (SessionReason.DAILY_LOSS, False)
    assert end.message.startswith("lost 1000.00 since the start of the day")
    assert "not cleared: no line" in end.message


async def test_a_fill_is_recorded_with_what_its_lots_mean() -> None:
    ledger, bought = OwnLedger(), fill("t1", Side.BUY, 600_000, 3)
    await ended(kill(KillEffect.STOP), fills=(bought,), ledger=ledger)
    (heard,) = (one for one in ledger.records if isinstance(one, FillSeen))
    assert heard.fill == bought
    meaning = INSTRUMENT.tick_size, INSTRUMENT.lot_size, INSTRUMENT.multiplier
    assert (heard.tick_size, heard.lot_size, heard.multiplier) == meaning


class Broken(CutOff):
    """A venue whose feed fails in a way nobody foresaw."""

    async def run(self, *given: object) -> None:
        await asyncio.sleep(0)
        raise KeyError("a field that is gone")


async def test_a_task_that_broke_down_is_named_as_why_the_session_left() -> None:
    traced = TracedLoop(setup(), permit())
    session = Session(
        market=MARKET,
        instrument=INSTRUMENT,
        epoch=1,
        owner="me",
        lease_ttl_ms=60_000,
        window_s=60,
        audit_s=60,
        loop=traced.loop,
        ports=SessionPorts(
            venue=Broken(hears=lambda: True),  # type: ignore[arg-type]
            lease=OwnLease(),
            board=OwnBoard(),
            kill_file=NoKillFile(),
            ledger=OwnLedger(),
            clock=FastClock(),
            meter=Counts(),
            trace=traced.trace,
        ),
        report=lambda progress: None,
    )
    with pytest.RaisesGroup(KeyError, KeyError):
        await session.run()
    assert session.cleared
    (sample,) = traced.trace.samples
    assert sample.reason == "cancelled; Broken.run failed: KeyError 'a field that is gone'"
