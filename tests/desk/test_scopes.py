"""The matrix of scopes: who stops whom, and what goes on stopping when one is lifted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.identity import MarketId
from desk.records import Kill, kill_scopes
from desk.scopes import checked_scope, why_by_break, wider_kills, wider_scopes

MARKETS = tuple(
    MarketId(venue, account, symbol)
    for venue in ("ocx", "x10")
    for account in ("main", "b")
    for symbol in ("BTC", "ETH")
)
SCOPES = tuple(dict.fromkeys(scope for market in MARKETS for scope in kill_scopes(market)))


def kill(scope: str) -> Kill:
    return Kill(scope=scope, reason="r", by="b", at_ms=1)


def stopped(scopes: set[str]) -> set[MarketId]:
    return {market for market in MARKETS if any(kill(scope).covers(market) for scope in scopes)}


@pytest.mark.parametrize("scope", SCOPES)
def test_wider_scopes_are_exactly_those_that_stop_everything_this_one_stops(scope: str) -> None:
    mine = stopped({scope})
    wanted = {other for other in SCOPES if other != scope and stopped({other}) >= mine}
    assert set(wider_scopes(scope)) == wanted


@given(standing=st.sets(st.sampled_from(SCOPES)), lifted=st.sampled_from(SCOPES))
def test_lifting_one_scope_frees_only_what_no_other_kill_stops(
    standing: set[str], lifted: str
) -> None:
    before, after = stopped(standing | {lifted}), stopped(standing - {lifted})
    freed = before - after
    assert freed <= stopped({lifted})
    if named := wider_kills(lifted, [kill(scope) for scope in standing - {lifted}]):
        assert not freed, f"the person was told of {named}"


@pytest.mark.parametrize("scope", SCOPES)
def test_every_scope_that_can_be_set_can_be_spelled(scope: str) -> None:
    assert checked_scope(scope) == scope


@pytest.mark.parametrize(
    "text",
    [
        *("", "all", "fleet:x", "fleet:", "Fleet", "venue", "venue:", "venue:a/b", "account:ocx"),
        *("account:/main", "market:ocx", "market:a/b/c/d", "loss:", "loss:venue:ocx"),
        *("break:", "break:fleet", "break:venue:ocx", "break:loss:fleet"),
    ],
)
def test_what_is_no_scope_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="scope"):
        checked_scope(text)


def test_an_unknown_venue_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"venue 'ocxx' is unknown; use one of ocx, x10"):
        checked_scope("account:ocxx/main", ("x10", "ocx"))


def test_no_person_sets_or_lifts_a_kill_where_a_break_holds() -> None:
    assert "flotilla breaks settle" in why_by_break("break:market:ocx/main/BTC")
    assert why_by_break("market:ocx/main/BTC") == ""
