"""What a session's opening does about the past: epochs lost, states damaged, traces that differ.

The rule: nothing goes on by itself that a person has to judge, and what is told is on record first.
"""

import asyncio
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, ParamSpec, TypeVar

from activities.beating import beat, beating
from activities.breaks import open_break
from activities.ports import ActivityPorts
from desk.breaks import BreakKind, FoundBreak
from desk.errors import Unavailable, VenueError
from desk.identity import MarketId, OrderIdentity
from desk.instrument import Instrument
from desk.lifecycle import SessionReason
from desk.orders import VenueOrder
from desk.ports import Venue
from desk.records import ControlDecision, LedgerFacts
from desk.state_ports import KeptCopy
from desk.trace_ports import TraceUnreadable
from desk.units import NS_PER_MS
from quoting.actions import Leave
from quoting.journal import orders_of, record_found
from quoting.opening import Opening, overlap_start_ms
from quoting.reach import fills_in_reach
from quoting.replay import ReplayVerdict, replay_tail
from quoting.saved_state import (
    SavedState,
    StateOfOtherVersion,
    StateUnreadable,
    later_peak,
    read_state,
    write_state,
)

LEDGER_BEHIND: Final = "ledger restored"
"""Kind of the decision that says that Postgres forgot what others remember."""

_TAIL_S: Final = 60.0
_REPLAY_S: Final = 30.0
_TURN_S: Final = 120.0
_DISK_S: Final = 10.0

P = ParamSpec("P")
T = TypeVar("T")
_FLUSH_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What the machine remembers of a market; `refused` says why nothing may start from it."""

    state: SavedState | None = None
    refused: Leave | None = None

    @property
    def epoch(self) -> int:
        """Its newest epoch, 0 when nothing is remembered."""
        return 0 if self.state is None else self.state.epoch


# --- epochs ----------------------------------------------------------------------------------


async def next_epoch(
    ports: ActivityPorts, market: MarketId, owner: str, run_id: str, *, seen: int = 0
) -> int:
    """Next epoch of a market, above every one that anybody remembers.

    `seen` is the highest that the venue or this machine showed. Where Postgres gives one that is
    not above it or the leases' fence, it was restored from an older state: that is recorded and
    told, and the epoch moves past. Raises Unavailable.
    """
    fence = 0
    with suppress(Unavailable):  # without leases nobody quotes, whatever the epoch
        # Read before the epoch is given: only what was given out before can be in it.
        fence = await ports.lease.fence(market)
    epoch = await ports.ledger.open_epoch(market, owner, run_id)
    if epoch > max(fence, seen):
        return epoch
    beyond = max(fence, seen)
    who = "the fence of leases" if fence >= seen else "the venue or a saved state"
    text = (
        f"Postgres was restored from an older state: it gave epoch {epoch}, and {who} knows "
        f"epoch {beyond}; fills are booked again from the venue, and epochs go on above {beyond}"
    )
    # Told before it is mended: who dies in between finds it again.
    await _tell(ports, market, epoch, LEDGER_BEHIND, text, severity="critical")
    return await ports.ledger.open_epoch(market, owner, run_id, beyond=beyond)


async def epoch_seen(
    ports: ActivityPorts,
    venue: Venue,
    instrument: Instrument,
    market: MarketId,
    orders: Iterable[VenueOrder],
) -> int:
    """The highest epoch in client order ids at the venue: orders just found, fills not yet booked.

    0 when there is none, or the venue does not say.
    """
    ids = [order.client_order_id for order in orders]
    with suppress(VenueError, Unavailable):
        facts = await ports.ledger.facts(market, 0)
        fills, _ = await fills_in_reach(venue, instrument, overlap_start_ms(facts))
        ids += [fill.client_order_id for fill in fills]
    decoded = (OrderIdentity.decode(one or "") for one in ids)
    return max((one.epoch for one in decoded if one and one.tag == market.tag), default=0)


# --- the saved state and the trace -----------------------------------------------------------


async def look_back(ports: ActivityPorts, market: MarketId) -> Remembered:
    """Read what the last session saved, and replay its trace if it did not leave in good order.

    Damaged or of another market: the hourly copy serves; without one a break waits for a person.
    Such files are set aside. One of another version is passed over and told. A trace whose
    decisions do not reproduce is a break too, where that is wished.
    """
    if ports.saved is None:
        return Remembered()
    remembered = await _read(ports, market)
    state = remembered.state
    if state is None or state.left or state.compared:
        return remembered
    refused = await _compare(ports, state)
    with suppress(OSError, Unavailable):  # then it is compared again
        content = write_state(replace(state, compared=True))
        await _on_disk(ports, ports.saved.save, market, content, state.at_ms, state.epoch)
    return replace(remembered, refused=refused)


async def _read(ports: ActivityPorts, market: MarketId) -> Remembered:
    state: SavedState | None = None
    damaged, unread = dict[str, str](), list[str]()
    for copy in await _copies(ports, market):
        try:
            state = _state_of(copy, market)
            break
        except StateOfOtherVersion as error:
            unread.append(f"{copy.path}: {error}")
        except StateUnreadable as error:
            damaged[copy.name] = f"{copy.path}: {error}"
    why = "; ".join((*damaged.values(), *unread))
    if damaged and state is None:
        return await _damaged(ports, market, damaged, why)
    if why:
        kind = "saved state damaged" if damaged else "saved state of another version"
        used = "no saved state is used" if state is None else "an older copy of it is used"
        epoch = 0 if state is None else state.epoch
        await _tell(ports, market, epoch, kind, f"{used}: {why}", severity="warning")
    await _set_aside(ports, market, damaged)
    return Remembered(state=state)


async def _copies(ports: ActivityPorts, market: MarketId) -> Sequence[KeptCopy]:
    assert ports.saved is not None  # noqa: S101 - asked by the caller
    try:
        return await _on_disk(ports, ports.saved.load, market)
    except OSError as error:
        said = f"the saved state of {market.path} could not be read: {error.strerror or error}"
        raise Unavailable(said) from error


def _state_of(copy: KeptCopy, market: MarketId) -> SavedState:
    """StateUnreadable or StateOfOtherVersion, in a sentence, when it says nothing to go by."""
    if copy.damaged:
        raise StateUnreadable(copy.damaged)
    state = read_state(copy.content)
    if why := state.why_not_of(market):
        raise StateUnreadable(why)
    return state


async def _damaged(
    ports: ActivityPorts, market: MarketId, damaged: Mapping[str, str], why: str
) -> Remembered:
    text = (
        f"the saved state of {market.path} is damaged, and no copy of it serves: {why}; "
        "compare the books with 'flotilla reconcile' and settle this break"
    )
    await _open(ports, market, BreakKind.SAVED_STATE, text, {"damaged": list(damaged.values())})
    # Only now: whoever dies before finds it damaged again.
    await _set_aside(ports, market, damaged)
    return Remembered(refused=Leave(SessionReason.BREAK, text))


async def _set_aside(ports: ActivityPorts, market: MarketId, names: Collection[str]) -> None:
    assert ports.saved is not None  # noqa: S101 - asked by the caller
    if names:
        with suppress(OSError):
            await _on_disk(ports, ports.saved.set_aside, market, names, _now_ms(ports))


async def _on_disk(
    ports: ActivityPorts, call: Callable[P, T], *given: P.args, **named: P.kwargs
) -> T:
    """What a call to the disk gives, or raises. Unavailable when the disk does not answer."""
    try:
        async with asyncio.timeout(_DISK_S):
            return await ports.disk.run(call, *given, **named)
    except TimeoutError:
        said = f"the disk with the saved states did not answer within {_DISK_S:.0f} s"
        raise Unavailable(said) from None


async def _compare(ports: ActivityPorts, state: SavedState) -> Leave | None:
    """Replay the last minute of the session that did not leave; why nothing may start, or None."""
    market = state.market
    try:
        verdict = await _replayed(ports, market)
        if verdict is None:
            return None
    except (TraceUnreadable, OSError, TimeoutError) as error:
        said = str(error) or f"not within {_REPLAY_S:.0f} s, or no turn within {_TURN_S:.0f} s"
        await _note(ports, state, f"its trace could not be replayed: {said}")
        return None
    if verdict.epoch != state.epoch:
        await _note(ports, state, f"the newest trace is of epoch {verdict.epoch}")
        return None
    if verdict.code != ports.traces.code:
        await _note(ports, state, f"its trace is of other code ({verdict.code}); not compared")
        return None
    if verdict.first is None:
        short = f"; {verdict.short}" if verdict.short else ""
        said = f"{verdict.compared} steps replayed to the same decisions{short}"
        if verdict.damaged:
            # How it went on nobody can say; the steps compared may not be the last ones.
            said = f"{said}; the rest of {verdict.journal} cannot be read: {verdict.damaged}"
        await _note(ports, state, said, severity="warning" if verdict.damaged else "")
        return None
    return await _differs(ports, state, verdict)


async def _replayed(ports: ActivityPorts, market: MarketId) -> ReplayVerdict | None:
    """How the newest trace replays, None without one; in turn with all markets of the process.

    Raises TraceUnreadable, OSError, and TimeoutError.
    """
    async with beating(), asyncio.timeout(_TURN_S), ports.traces.replaying:
        async with asyncio.timeout(_REPLAY_S):
            journal = await ports.traces.last(market)
            return None if journal is None else await replay_tail(journal, _TAIL_S, beat=beat)


async def _differs(ports: ActivityPorts, state: SavedState, verdict: ReplayVerdict) -> Leave | None:
    first = verdict.first
    assert first is not None  # noqa: S101 - asked by the caller
    text = (
        f"the trace of epoch {state.epoch}, which did not leave in good order, does not replay: at "
        f"step {first.step} it decided {first.recorded}, and the same code decides "
        f"{first.replayed}; see 'flotilla replay {verdict.journal}'"
    )
    if not ports.holds_on_trace:
        await _tell(ports, state.market, state.epoch, "trace differs", text, severity="critical")
        return None
    evidence = {"step": first.step, "heard": first.heard, "decided": first.recorded}
    await _open(ports, state.market, BreakKind.TRACE, text, evidence, {"replayed": first.replayed})
    return Leave(SessionReason.BREAK, text)


# --- once the books are open -----------------------------------------------------------------


def continued(state: SavedState | None, facts: LedgerFacts, life_epoch: int) -> LedgerFacts:
    """The ledger's facts, with the peak that was saved where that is higher."""
    saved = None if state is None else state.peak_in(life_epoch)
    return replace(facts, peak_pnl=later_peak(facts.peak_pnl, saved))


async def account_for_orders(
    ports: ActivityPorts,
    market: MarketId,
    epoch: int,
    found: Iterable[VenueOrder] = (),
    *,
    gone: bool = True,
) -> None:
    """Put on record what rested when this epoch began, and that nothing does, when it is `gone`.

    An order that was sent and never recorded, as by a process that died, is on record from here on.
    """
    how = f"cleared by epoch {epoch}" if gone else ""
    if ids := record_found(ports.writer, ports.clock, market, found, how):
        said = f"{len(ids)} orders rested when it opened"
        _keep(ports, market, epoch, "orders found", said, evidence=", ".join(ids))
    if gone:
        await ports.ledger.end_orders(market, epoch, how, _now_ms(ports))


async def account_for(
    ports: ActivityPorts,
    market: MarketId,
    epoch: int,
    opening: Opening,
    found: Sequence[VenueOrder],
    state: SavedState | None,
) -> None:
    """Put on record what an opening cleared and booked for sessions before it."""
    # Each time: who booked these may have died before their orders were on record.
    how = f"cleared by epoch {epoch}" if opening.cleared else ""
    orders = orders_of(opening.fills, found)
    traded = record_found(ports.writer, ports.clock, market, orders, how)
    await account_for_orders(ports, market, epoch, found, gone=opening.cleared)
    if opening.backfilled:
        said = f"{opening.backfilled} fills that nobody had booked were booked from the venue"
        _keep(ports, market, epoch, "fills back-filled", said, evidence=", ".join(traded))
    if traded:
        async with beating():  # or they would count as orders that this session sent
            await ports.writer.flush(_FLUSH_S)
    if state is not None and not state.left:
        await _miss_trade(ports, market, epoch, state)


async def _miss_trade(
    ports: ActivityPorts, market: MarketId, epoch: int, state: SavedState
) -> None:
    """Say so when a fill that was heard is in nobody's books, not even the venue's."""
    if state.last_trade is None or state.last_trade_ms is None:
        return
    booked = await ports.ledger.fills(market, state.last_trade_ms)
    if not any(fill.trade_id == state.last_trade for fill in booked):
        text = (
            f"fill {state.last_trade} was heard by epoch {state.epoch}, and neither our books nor "
            "the venue's history have it; the positions are compared without it"
        )
        await _tell(ports, market, epoch, "fill unknown", text, severity="critical")


# --- records ---------------------------------------------------------------------------------


async def _note(ports: ActivityPorts, state: SavedState, said: str, *, severity: str = "") -> None:
    text = f"epoch {state.epoch} did not leave in good order; {said}"
    await _tell(ports, state.market, state.epoch, "crash looked into", text, severity=severity)


async def _tell(
    ports: ActivityPorts, market: MarketId, epoch: int, kind: str, text: str, *, severity: str
) -> None:
    decision = _decision(ports, market, epoch, kind, text)
    await ports.ledger.record_decision(decision)
    if severity:
        await ports.alerts.alert(market, severity, f"{kind}: {text}")


def _keep(
    ports: ActivityPorts, market: MarketId, epoch: int, kind: str, text: str, evidence: str = ""
) -> None:
    decision = _decision(ports, market, epoch, kind, text)
    ports.writer.record(replace(decision, evidence=evidence))


def _decision(
    ports: ActivityPorts, market: MarketId, epoch: int, kind: str, text: str
) -> ControlDecision:
    return ControlDecision(
        market=market,
        epoch=epoch,
        kind=kind,
        reason=text,
        by=ports.worker,
        evidence="",
        at_ms=_now_ms(ports),
    )


async def _open(
    ports: ActivityPorts,
    market: MarketId,
    kind: BreakKind,
    text: str,
    ours: dict[str, object],
    theirs: dict[str, object] | None = None,
) -> None:
    found = FoundBreak(
        venue=market.venue,
        account=market.account,
        symbol=market.symbol,
        kind=kind,
        text=text,
        ours=json.dumps(ours),
        theirs=json.dumps(theirs or {}),
        found_by=f"opening of a session by {ports.worker}",
        found_at_ms=_now_ms(ports),
    )
    await open_break(ports, found)


def _now_ms(ports: ActivityPorts) -> int:
    return ports.clock.wall_ns() // NS_PER_MS
