"""Who owns what: foreign orders are never ours, known positions are no alarm, alarms come once."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.identity import MarketId, OrderIdentity, Slot
from desk.orders import VenueOrder
from desk.ownership import (
    BookedExposure,
    Finding,
    FindingKind,
    Ownership,
    exposure_sentence,
    follow,
    judge,
    sort_orders,
)
from desk.units import Side

MARKET = MarketId("ocx", "main", "BTC-PERP")
OTHER = MarketId("ocx", "main", "ETH-PERP")
NOW = 1_700_000_000_000
BOUND = 30_000
ALL = tuple(FindingKind)

markets = st.sampled_from([MARKET, OTHER])
amounts = st.decimals(-1000, 1000, places=3)
owners = st.sampled_from(["", "7 worker-1/1", None])
workflows = st.sampled_from(["", f"market/{MARKET.path}"])


def order(symbol: str, client_order_id: str | None) -> VenueOrder:
    return VenueOrder(
        symbol=symbol,
        side=Side.BUY,
        price=100,
        remaining=1,
        venue_order_id=f"v{client_order_id}",
        client_order_id=client_order_id,
    )


def name(market: MarketId, epoch: int = 3, *, leaving: bool = False) -> str:
    slot = Slot(Side.BUY, 0)
    return OrderIdentity(tag=market.tag, epoch=epoch, cycle=5, slot=slot, exit=leaving).encode()


def kinds(found: Sequence[Finding]) -> list[FindingKind]:
    return [finding.kind for finding in found]


# --- whose order is it? ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "stranger",
    [None, "", "abc", "f0000000-1-1-b0", name(OTHER), name(MarketId("ocx", "desk2", "BTC-PERP"))],
)
def test_an_id_that_does_not_decode_to_the_market_it_rests_in_is_foreign(
    stranger: str | None,
) -> None:
    found = sort_orders("ocx", "main", [order("BTC-PERP", stranger)])
    assert (found[MARKET].ours, found[MARKET].foreign) == ((), 1)


@given(epoch=st.integers(0, 10**9), leaving=st.booleans())
def test_every_order_of_ours_is_known_whatever_its_epoch(epoch: int, leaving: bool) -> None:
    mine = order("BTC-PERP", name(MARKET, epoch, leaving=leaving))
    found = sort_orders("ocx", "main", [mine, order("BTC-PERP", "by hand")])
    assert (found[MARKET].ours, found[MARKET].foreign) == ((mine,), 1)


@given(st.lists(st.tuples(markets, st.booleans())))
def test_no_order_is_lost_or_counted_twice(given_orders: list[tuple[MarketId, bool]]) -> None:
    orders = [order(m.symbol, name(m) if ours else "by hand") for m, ours in given_orders]
    found = sort_orders("ocx", "main", orders)
    assert sum(len(one.ours) + one.foreign for one in found.values()) == len(orders)
    assert sum(one.foreign for one in found.values()) == sum(not ours for _, ours in given_orders)


# --- what is wrong with a market? -----------------------------------------------------------


@given(ours=st.integers(1, 9), lease=owners, workflow=workflows)
def test_orders_without_an_owner_are_found_and_no_others(
    ours: int, lease: str | None, workflow: str
) -> None:
    found = judge(Ownership(market=MARKET, ours=ours, lease=lease, workflow=workflow), NOW)
    assert (FindingKind.ORDERS in kinds(found)) == (not lease and not workflow)


@given(ours=st.integers(0, 9), lease=owners, workflow=workflows)
def test_a_laggard_needs_orders_a_workflow_and_the_knowledge_that_nobody_holds_the_lease(
    ours: int, lease: str | None, workflow: str
) -> None:
    found = judge(Ownership(market=MARKET, ours=ours, lease=lease, workflow=workflow), NOW)
    laggard = ours > 0 and workflow != "" and lease == ""
    assert (FindingKind.LAGGARD in kinds(found)) == laggard


@given(held=amounts, booked=amounts, step=st.sampled_from(["", "standing_down->stopped", "x->y"]))
def test_an_exposure_that_somebody_owns_is_never_a_finding(
    held: Decimal, booked: Decimal, step: str
) -> None:
    exposure = BookedExposure(market=MARKET, quantity=booked, last_step=step)
    for owner in ({"lease": "a"}, {"workflow": "flatten/ocx/main/BTC-PERP"}):
        seen = Ownership(market=MARKET, held=held, booked=exposure, **owner)  # type: ignore[arg-type]
        assert judge(seen, NOW) == ()


@given(held=amounts, booked=amounts)
def test_a_position_left_in_good_order_is_known_only_as_it_was_left(
    held: Decimal, booked: Decimal
) -> None:
    left = BookedExposure(market=MARKET, quantity=booked, last_step="standing_down->stopped")
    assert bool(exposure_sentence(held, left)) == (held != booked)


@pytest.mark.parametrize(
    "step", ["", "quoting->paused", "starting->quoting", "flatten started", "hedge started"]
)
def test_a_position_whose_workflow_ended_otherwise_is_found(step: str) -> None:
    lost = BookedExposure(market=MARKET, quantity=Decimal("0.5"), last_step=step)
    (found,) = judge(Ownership(market=MARKET, held=Decimal("0.5"), booked=lost), NOW)
    assert (found.kind, found.held) == (FindingKind.EXPOSURE, Decimal("0.5"))
    assert "nobody owns it" in found.text


@pytest.mark.parametrize("step", ["hedge stopped", "flatten ended: abandoned"])
def test_what_a_person_left_by_name_is_known(step: str) -> None:
    left = BookedExposure(market=OTHER, quantity=Decimal(-2), last_step=step, hedges=MARKET)
    assert exposure_sentence(Decimal(-2), left) == ""


def test_nothing_held_and_nothing_booked_is_in_order_however_it_ended() -> None:
    flat = BookedExposure(market=MARKET, quantity=Decimal(0), last_step="quoting->paused")
    assert judge(Ownership(market=MARKET, held=Decimal(0), booked=flat), NOW) == ()


def test_what_was_not_read_is_not_judged() -> None:
    assert judge(Ownership(market=MARKET, held=None, booked=None), NOW) == ()


# --- an alarm has one beginning and one end ---------------------------------------------------


def finding(kind: FindingKind, market: MarketId = MARKET) -> Finding:
    return Finding(kind=kind, market=market, text="seen", since_ms=NOW)


looks = st.lists(
    st.sets(st.sampled_from([FindingKind.ORDERS, FindingKind.EXPOSURE, FindingKind.BLIND])),
    max_size=12,
)


@given(looks=looks, heard=st.lists(st.booleans(), min_size=12, max_size=12))
def test_of_every_stretch_a_person_hears_the_beginning_once_and_the_end_once(
    looks: list[set[FindingKind]], heard: list[bool]
) -> None:
    before: tuple[Finding, ...] = ()
    open_for_a_person: set[FindingKind] = set()
    unheard: set[FindingKind] = set()
    for turn, seen in enumerate(looks):
        followed = follow(
            before,
            [replace(finding(kind), since_ms=NOW + turn) for kind in sorted(seen)],
            NOW + turn,
            judged=ALL,
            laggard_after_ms=BOUND,
        )
        unheard |= seen - open_for_a_person
        if heard[turn]:
            begun, over = set(kinds(followed.begun)), set(kinds(followed.over))
            assert not begun & open_for_a_person, "told twice that it began"
            assert over <= open_for_a_person | begun, "told the end of what was never told"
            assert unheard <= begun, "something passed that nobody was ever told of"
            unheard = set()
            open_for_a_person = (open_for_a_person | begun) - over
            assert open_for_a_person == seen, "a person who hears knows how things stand"
        before = followed.after_telling(heard=heard[turn])


def test_a_finding_keeps_the_time_it_was_first_seen() -> None:
    first = follow((), [finding(FindingKind.ORDERS)], NOW, judged=ALL, laggard_after_ms=1)
    later = replace(finding(FindingKind.ORDERS), since_ms=NOW + 20_000, text="still")
    again = follow(
        first.after_telling(heard=True),
        [later],
        NOW + 20_000,
        judged=ALL,
        laggard_after_ms=1,
    )
    assert [(one.since_ms, one.text) for one in again.standing] == [(NOW, "still")]
    assert (again.begun, again.over) == ((), ())


def test_what_could_not_be_judged_stays_as_it_was() -> None:
    told = (replace(finding(FindingKind.EXPOSURE), told=True),)
    judged = tuple(kind for kind in FindingKind if kind is not FindingKind.EXPOSURE)
    followed = follow(told, (), NOW + 1, judged=judged, laggard_after_ms=BOUND)
    assert (followed.standing, followed.over) == (told, ())


def test_a_laggard_is_told_only_when_it_lasts() -> None:
    before: tuple[Finding, ...] = ()
    told_after = None
    for passed in range(0, 60_001, 10_000):
        seen = replace(finding(FindingKind.LAGGARD), since_ms=NOW + passed)
        followed = follow(before, [seen], NOW + passed, judged=ALL, laggard_after_ms=BOUND)
        if followed.begun:
            assert told_after is None, "told twice"
            told_after = passed
        before = followed.after_telling(heard=True)
    assert told_after == BOUND


def test_a_laggard_that_did_not_last_is_not_told_when_it_is_gone() -> None:
    seen = [finding(FindingKind.LAGGARD)]
    before = follow((), seen, NOW, judged=ALL, laggard_after_ms=BOUND)
    after = follow(
        before.after_telling(heard=True),
        (),
        NOW + 2 * BOUND,
        judged=ALL,
        laggard_after_ms=BOUND,
    )
    assert (after.standing, after.begun, after.over) == ((), (), ())


def test_orders_of_others_are_shown_and_never_alarmed() -> None:
    seen = [finding(FindingKind.FOREIGN)]
    followed = follow((), seen, NOW, judged=ALL, laggard_after_ms=BOUND)
    assert (kinds(followed.standing), followed.begun) == ([FindingKind.FOREIGN], ())
    gone = follow(followed.after_telling(heard=True), (), NOW, judged=ALL, laggard_after_ms=BOUND)
    assert gone.over == ()


def test_only_a_new_position_that_is_still_held_may_be_flattened() -> None:
    held = replace(finding(FindingKind.EXPOSURE), held=Decimal("0.5"))
    books_only = replace(finding(FindingKind.EXPOSURE, OTHER), held=Decimal(0))
    first = follow((), [held, books_only], NOW, judged=ALL, laggard_after_ms=BOUND)
    assert first.to_flatten == (held,)
    again = follow(first.after_telling(heard=True), [held], NOW, judged=ALL, laggard_after_ms=BOUND)
    assert again.to_flatten == ()
    untold = first.after_telling(heard=False)
    gone = follow(untold, (), NOW, judged=ALL, laggard_after_ms=BOUND)
    assert (len(gone.begun), gone.to_flatten) == (2, ())
