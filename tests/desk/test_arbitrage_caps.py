"""Caps as people write them: what is not named may lock nothing, and sets share one."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.arbitrage_caps import CapRule, caps_of, read_cap_rules, scopes_without

TEXT = "fleet=10000 USDC, account:ocx/main=5000 USDC,set=1000 USDC ,set:btc-15m = 200.5 USDC"


def amounts(text: str, *names: str) -> dict[tuple[str, str], Decimal]:
    return {(one.scope, one.quote): one.amount for one in caps_of(read_cap_rules(text), names)}


def test_a_named_set_has_its_own_cap_and_the_others_share_one() -> None:
    assert amounts(TEXT, "btc-15m", "eth-15m") == {
        ("fleet", "USDC"): Decimal(10_000),
        ("account:ocx/main", "USDC"): Decimal(5_000),
        ("set:btc-15m", "USDC"): Decimal("200.5"),
        ("set:eth-15m", "USDC"): Decimal(1_000),
    }


def test_without_a_cap_for_sets_each_may_lock_what_the_fleet_may() -> None:
    assert amounts("fleet=7 USDC,fleet=2 BTC", "a", "b") == {
        ("fleet", "USDC"): Decimal(7),
        ("fleet", "BTC"): Decimal(2),
        **{(f"set:{name}", quote): Decimal(most) for name in "ab" for quote, most in _BOTH},
    }


_BOTH = (("USDC", 7), ("BTC", 2))


def test_what_lacks_is_named_once() -> None:
    places = [("ocx", "main", "USDC"), ("ocx", "main", "USDC"), ("x10", "two", "USD")]
    assert scopes_without(read_cap_rules(TEXT), "btc-15m", places) == (
        "fleet=… USD",
        "account:x10/two=… USD",
        "set:btc-15m=… USD",
    )
    assert scopes_without((), "a", places[:1]) == (
        "fleet=… USDC",
        "account:ocx/main=… USDC",
        "set:a=… USDC",
    )


@given(
    st.lists(
        st.builds(
            CapRule,
            scope=st.sampled_from(["fleet", "set", "set:a.b-c", "account:ocx/main"]),
            quote=st.sampled_from(["USDC", "USD.e"]),
            amount=st.decimals(0, 10**9, places=3),
        ),
        unique_by=lambda rule: (rule.scope, rule.quote),
    )
)
def test_what_is_written_is_read(rules: list[CapRule]) -> None:
    text = ", ".join(f"{rule.scope}={rule.amount:f} {rule.quote}" for rule in rules)
    assert read_cap_rules(text) == tuple(rules)


@pytest.mark.parametrize(
    "text",
    [
        "fleet",
        "fleet=10000",
        "fleet=1e9",
        "fleet=5000USDC",
        "fleet=5 0USDC",
        "fleet=-1 USDC",
        "fleet=ten USDC",
        "venue:ocx=5 USDC",
        "account:ocx=5 USDC",
        "set:a/b=5 USDC",
        "fleet=1e9 USDC extra words",
    ],
)
def test_what_cannot_be_read_is_told_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="which is not SCOPE=AMOUNT CURRENCY"):
        read_cap_rules(text)


def test_two_caps_for_one_scope_are_refused() -> None:
    with pytest.raises(ValueError, match="two caps of USDC for fleet"):
        read_cap_rules("fleet=1 USDC,fleet=2 USDC")
