"""What a run that failed leaves behind: everything that happened to it, in one order of time."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from desk.units import NS_PER_MS, NS_PER_S
from tests.chaos.arbitrage_facts import SetFacts


def evidence(path: Path, facts: SetFacts, breaches: Sequence[str]) -> None:
    """Write it for people, times in seconds since the first event."""
    lines = sorted(_lines(facts))
    began_ns = lines[0][0] if lines else 0
    told = [f"{(at_ns - began_ns) / NS_PER_S:9.3f} {text}" for at_ns, text in lines]
    states = [f"{one.at} {one.state.value}: {one.text}" for one in facts.status.history]
    head = [facts.name, *breaches, f"its history, the first event was at {began_ns}:", *states, ""]
    path.write_text("\n".join([*head, *told, ""]), encoding="utf-8")


def _lines(facts: SetFacts) -> Iterator[tuple[int, str]]:
    for order in facts.log.taken:
        kind = "fired" if order.fired else "hedge"
        yield order.at_ns, f"{kind} {order.symbol} {order.lots:+d} at {order.price}: {order.name}"
    for done in facts.log.done:
        yield done.at_ns, f"  done {done.symbol} {done.lots:+d} at {done.price}: {done.name}"
    for standing in facts.standings[1:]:
        yield standing.at_ns, f"    excess {dict(standing.excess)}, worth {standing.worth:.3f}"
    for trade in facts.trades:
        key = trade.fired.key.text
        plan = {leg.market.symbol: leg.lots for leg in trade.fired.legs}
        yield trade.fired.fired_at_ms * NS_PER_MS, f"{key} fired by the record: {plan}"
        for step in trade.steps:
            yield step.at_ms * NS_PER_MS, f"{key} {step.stage.value} by {step.by}: {step.reason}"
    for start_ns, end_ns in facts.excused:
        yield start_ns, f"excused for {(end_ns - start_ns) / NS_PER_S:.2f} s"
    for kill in facts.kills:
        yield kill.from_ns, "killed"
        yield kill.until_ns, "the kill is lifted"
    symbols = {leg.symbol for leg in facts.legs}
    for late in facts.late:
        if late.symbol in symbols:
            took_s = (late.arrived_ns - late.sent_ns) / NS_PER_S
            yield late.sent_ns, f"an order for {late.symbol} is kept for {took_s:.2f} s"
