"""Written rules for breaks: what may be written; none takes the venue at its word unbounded."""

from decimal import Decimal

import pytest

from desk.break_rules import read_break_rules, rule_for
from desk.breaks import BreakDecision, BreakKind


def test_rules_are_read_by_kind() -> None:
    rules = read_break_rules("position<=0.01:venue@15m, sources:recheck@10m,balance<=5:venue@2h")
    position = rule_for(rules, BreakKind.POSITION)
    assert position is not None
    assert (position.decision, position.after_s) == (BreakDecision.VENUE, 900)
    assert position.largest == Decimal("0.01")
    assert position.name == "position up to 0.01: venue after 900 s"
    sources = rule_for(rules, BreakKind.SOURCES)
    assert sources is not None
    assert (sources.decision, sources.largest) == (BreakDecision.RECHECK, None)
    assert rule_for(rules, BreakKind.TRACE) is None


def test_nothing_written_is_no_rule() -> None:
    assert read_break_rules("") == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("position", "is not KIND"),
        ("position:venue@15m", "takes a largest size"),
        ("sources<=5:recheck@1m", "takes none"),
        ("sources<=5:venue@1m", "only position and balance"),
        ("weather:recheck@1m", "kinds are"),
        ("position<=0.1:rule@1m", "decisions are venue and recheck"),
        ("position<=1.2.3:venue@1m", "is no number"),
        ("sources:recheck@1m,sources:recheck@2m", "two rules for sources"),
        ("position<=-1:venue@1m", "is not KIND"),
    ],
)
def test_what_cannot_be_a_rule_is_refused_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_break_rules(text)
