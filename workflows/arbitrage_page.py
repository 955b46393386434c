"""A set's page in the Temporal UI: Markdown from plain values, no decisions."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import zip_longest

from quoting.arbitrage.report import RunReport, TradeReport
from workflows.arbitrage_messages import ArbitrageStatus

_EVENTS_SHOWN = 12
_TRADES_SHOWN = 8
_GAP = "\u00a0" * 4


def arbitrage_page(status: ArbitrageStatus) -> str:
    """State, legs, what is owed since when, locked capital, payouts, gate, trades and life."""
    kind = status.kind.value.replace("_", " ")
    return "\n".join(
        [
            f"## {status.name} ({kind}): {status.state.value.replace('_', ' ')}",
            status.reason,
            "",
            *_trouble_lines(status),
            *_leg_lines(status),
            *_money_lines(status),
            *_look_lines(status),
            *_trade_lines(status.trades[-_TRADES_SHOWN:]),
            *_life_lines(status),
        ]
    )


def run_sentence(report: RunReport) -> str:
    """How a run ended, in one sentence."""
    words = report.end.value.replace("_", " ")
    return f"{words}: {report.reason}" if report.reason else words


def _trouble_lines(status: ArbitrageStatus) -> Iterator[str]:
    if status.waits_for_a_person:
        yield f"**Waits for a person:** {status.waits_for_a_person}"
        yield f"`flotilla arb release {status.name}` or `flotilla arb retry {status.name}`"
        yield ""
    elif status.owed_since_ms is not None:
        since = datetime.fromtimestamp(status.owed_since_ms / 1_000, UTC)
        yield f"Something is owed since {since:%Y-%m-%d %H:%M:%S} UTC."
        yield ""


def _leg_lines(status: ArbitrageStatus) -> Iterator[str]:
    yield _row("leg", "lots held", "lots owed", "lots waived")
    yield "|---|---|---|---|"
    lots = zip_longest(status.legs, status.positions, status.owed, status.waived)
    for leg, position, owed, waived in lots:
        yield _row(leg, position, owed, waived)
    yield ""


def _money_lines(status: ArbitrageStatus) -> Iterator[str]:
    yield _row("complete sets", "locked", "payout expected", "paid out", "exposure", "dust")
    yield "|---|---|---|---|---|---|"
    yield _row(
        *(
            None if amount is None else f"{amount:f}"
            for amount in (
                status.complete,
                status.locked,
                status.payout_expected,
                status.payout,
                status.exposure,
                status.dust,
            )
        )
    )
    yield ""


def _look_lines(status: ArbitrageStatus) -> Iterator[str]:
    look = status.look
    if look.gate:
        yield f"**The gate is closed:** {look.gate}"
    best = "" if look.best_edge is None else f", best edge {look.best_edge:f}"
    passed = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in look.passed)
    if look.looks:
        yield f"{look.looks} looks{best}" + (f"; passed: {passed}" if passed else "") + "."
    yield ""


def _trade_lines(trades: tuple[TradeReport, ...]) -> Iterator[str]:
    if not trades:
        return
    yield f"### The last {len(trades)} trades"
    yield _row("at", "trade", "aim", "units", "edge expected", "sent in", "what became of it")
    yield "|---|---|---|---|---|---|---|"
    for trade in reversed(trades):
        at = datetime.fromtimestamp(trade.fired_at_ms / 1_000, UTC)
        yield _row(
            f"{at:%Y-%m-%d %H:%M:%S}",
            f"{trade.key.epoch}/{trade.key.trade}",
            trade.aim,
            f"{trade.units:f}",
            f"{trade.edge_expected:f}",
            f"{trade.sent_us} µs",
            trade.outcome,
        )
    yield ""


def _life_lines(status: ArbitrageStatus) -> Iterator[str]:
    yield "### Life"
    yield _row("at", "state", "what")
    yield "|---|---|---|"
    for event in status.history[-_EVENTS_SHOWN:]:
        yield _row(event.at[:19], event.state.value.replace("_", " "), event.text)


def _row(*cells: object) -> str:
    # The UI draws tables without padding: the cells bring their own.
    texts = ("-" if cell in (None, "") else str(cell) for cell in cells)
    return "| " + " | ".join(f"{text}{_GAP}" for text in texts) + " |"
