"""Written rules that settle breaks after a while: which kind, how large at most, how.

The rule of rules: one takes the venue's word only up to an amount that somebody wrote down.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from desk.breaks import BreakDecision, BreakKind

_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_FORM: Final = re.compile(
    r"(?P<kind>[a-z_]+)(<=(?P<largest>[0-9.]+))?:(?P<decision>[a-z]+)@(?P<after>[0-9]+)(?P<unit>[smhd])"
)
_MEASURED: Final = frozenset({BreakKind.POSITION, BreakKind.BALANCE})
_DECISIONS: Final = frozenset({BreakDecision.VENUE, BreakDecision.RECHECK})


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakRule:
    """Settle breaks of a kind when they have been open `after_s` seconds.

    `largest` is base units of a position, quote currency of a balance; None is any size.
    """

    kind: BreakKind
    decision: BreakDecision
    after_s: int
    largest: Decimal | None = None

    @property
    def name(self) -> str:
        """As it stands in the record of what it settled."""
        size = "" if self.largest is None else f" up to {self.largest}"
        return f"{self.kind.value}{size}: {self.decision.value} after {self.after_s} s"


def read_break_rules(text: str) -> tuple[BreakRule, ...]:
    """Rules such as `position<=0.01:venue@15m,sources:recheck@10m`.

    ValueError with a sentence about the first that cannot be read or may not be.
    """
    rules = tuple(_rule(part.strip()) for part in text.split(",") if part.strip())
    kinds = [rule.kind for rule in rules]
    for kind in kinds:
        if kinds.count(kind) > 1:
            raise ValueError(f"has two rules for {kind.value}; keep one of them")
    return rules


def rule_for(rules: tuple[BreakRule, ...], kind: BreakKind) -> BreakRule | None:
    """The rule for a kind of break, None when people settle it."""
    return next((rule for rule in rules if rule.kind is kind), None)


def _rule(text: str) -> BreakRule:
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(
            f"has '{text}', which is not KIND<=LARGEST:DECISION@TIME like position<=0.01:venue@15m"
        )
    kind, decision = found["kind"], found["decision"]
    kinds = {one.value for one in BreakKind}
    if kind not in kinds or decision not in _DECISIONS:
        known = ", ".join(sorted(kinds))
        raise ValueError(f"has '{text}'; kinds are {known}, and decisions are venue and recheck")
    rule = BreakRule(
        kind=BreakKind(kind),
        decision=BreakDecision(decision),
        after_s=int(found["after"]) * _SECONDS[found["unit"]],
        largest=_amount(text, found["largest"]),
    )
    if rule.decision is BreakDecision.VENUE and rule.kind not in _MEASURED:
        raise ValueError(f"has '{text}'; only position and balance can be taken from the venue")
    if (rule.decision is BreakDecision.VENUE) != (rule.largest is not None):
        raise ValueError(
            f"has '{text}'; venue takes a largest size (like <=0.01), and recheck takes none"
        )
    return rule


def _amount(text: str, largest: str | None) -> Decimal | None:
    if largest is None:
        return None
    try:
        return Decimal(largest)
    except ArithmeticError:
        raise ValueError(f"has '{text}'; {largest} is no number") from None
