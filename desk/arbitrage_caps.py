"""Caps on the capital of arbitrage as a person writes them: who may lock how much of what.

The rule: a scope that nobody named a cap for may lock nothing; only sets share one, or the fleet's.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from desk.arbitrage_ports import CapitalCap

FLEET: Final = "fleet"
SETS: Final = "set"

_FORM: Final = re.compile(
    r"(?P<scope>fleet|set|set:[^=,\s/]+|account:[^=,\s/]+/[^=,\s/]+)"
    r"\s*=\s*(?P<amount>[0-9]+(?:\.[0-9]+)?)\s+(?P<quote>[A-Za-z][A-Za-z0-9._-]*)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CapRule:
    """`amount` of a currency at a scope: `fleet`, `account:V/A`, `set:NAME`, or every `set`."""

    scope: str
    quote: str
    amount: Decimal


def read_cap_rules(text: str) -> tuple[CapRule, ...]:
    """Rules such as `fleet=10000 USDC, account:ocx/main=5000 USDC, set=1000 USDC`.

    ValueError with a sentence about the first that cannot be read, or is said twice.
    """
    rules = tuple(_rule(part.strip()) for part in text.split(",") if part.strip())
    places = [(rule.scope, rule.quote) for rule in rules]
    for scope, quote in places:
        if places.count((scope, quote)) > 1:
            raise ValueError(f"has two caps of {quote} for {scope}; keep one of them")
    return rules


def caps_of(rules: Sequence[CapRule], names: Collection[str]) -> tuple[CapitalCap, ...]:
    """What these rules allow, with a cap for each of these sets.

    A set that is not named has the cap of every `set`, and where there is none, the fleet's.
    """
    said = {(rule.scope, rule.quote): rule.amount for rule in rules}
    for (scope, quote), amount in tuple(said.items()):
        if scope == FLEET:
            said.setdefault((SETS, quote), amount)
    for (scope, quote), amount in tuple(said.items()):
        if scope == SETS:
            for name in names:
                said.setdefault((f"set:{name}", quote), amount)
    return tuple(
        CapitalCap(scope=scope, quote=quote, amount=amount)
        for (scope, quote), amount in said.items()
        if scope != SETS
    )


def scopes_without(
    rules: Sequence[CapRule], name: str, places: Iterable[tuple[str, str, str]]
) -> tuple[str, ...]:
    """What lacks before a set may lock capital at these (venue, account, quote), as `SCOPE=… Q`."""
    known = {(cap.scope, cap.quote) for cap in caps_of(rules, (name,))}
    wanted = dict.fromkeys(
        (scope, quote)
        for venue, account, quote in places
        for scope in (FLEET, f"account:{venue}/{account}", f"set:{name}")
    )
    return tuple(f"{scope}=… {quote}" for scope, quote in wanted if (scope, quote) not in known)


def _rule(text: str) -> CapRule:
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(
            f"has '{text}', which is not SCOPE=AMOUNT CURRENCY like account:ocx/main=5000 USDC; "
            "scopes are fleet, account:VENUE/ACCOUNT, set and set:NAME"
        )
    return CapRule(scope=found["scope"], quote=found["quote"], amount=Decimal(found["amount"]))
