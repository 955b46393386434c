"""The live table of the sets, and the closing one, of what was read back: plain values drawn."""

from collections.abc import Sequence
from decimal import Decimal

from rich.table import Table
from rich.text import Text

from flotilla.demo.arbitrage.board import Board, SetNow
from flotilla.demo.arbitrage.scenes import Play
from flotilla.demo.arbitrage.sets import ShownSet
from flotilla.demo.arbitrage.verify import SetVerdict


def draw_sets(
    sets: Sequence[ShownSet], board: Board, play: Play, *, title: str, caption: str = ""
) -> Table:
    """One row a set, the scene that is played now marked."""
    table = _table(title, ("", "set", "state"), ("edge", "trades", "held", "owed"))
    table.caption, table.caption_justify = caption, "left"
    table.add_column("passed", max_width=34, overflow="ellipsis", no_wrap=True)
    table.add_column("what", max_width=60, overflow="ellipsis", no_wrap=True)
    for one in sets:
        now, shown = board.now(one.scene), play.shown.get(one.scene)
        mark = "▶" if play.playing is one.scene else ""
        if shown is not None:
            mark = "✓" if shown.happened else "✗"
        status = now.status
        table.add_row(
            mark,
            one.scene.value,
            status.state.value if status else "-",
            money(now.look.best_edge),
            str(len(now.trades)),
            money(status.complete) if status else "-",
            _owed(now),
            Text(_passed(now)),
            Text(shown.what if shown else now.look.gate or one.scene.promise),
        )
    return table


def draw_verdicts(verdicts: Sequence[SetVerdict]) -> Table:
    """What each set did, and what venue, ledger and claims say of it."""
    table = _table("", ("", "set", "what happened"), ("units", "edge expected", "edge"))
    for column in ("positions", "owed", "claims left"):
        table.add_column(column, justify="right")
    for one in verdicts:
        fired = [trade.fired for trade in one.trades]
        table.add_row(
            "[green]ok[/green]" if one.holds else "[red]NOT OK[/red]",
            one.shown_set.name,
            Text("; ".join(dict.fromkeys((one.shown.what, *one.troubles)))),
            money(sum((each.units for each in fired), Decimal(0))),
            money(sum((each.edge_expected for each in fired), Decimal(0))),
            money(sum((trade.edge or Decimal(0) for trade in one.trades), Decimal(0))),
            " / ".join(money(leg.position) for leg in one.legs),
            "yes" if any(one.status.owed) else "no",
            f"{money(one.claimed)} USDC held" if one.claims else "none",
        )
    return table


def money(amount: Decimal | None) -> str:
    """Four digits at most."""
    return "-" if amount is None else f"{round(amount, 4).normalize():f}"


def _table(title: str, left: Sequence[str], right: Sequence[str]) -> Table:
    table = Table(title=title or None, title_justify="left", expand=False)
    for column in left:
        table.add_column(column)
    for column in right:
        table.add_column(column, justify="right")
    return table


def _owed(now: SetNow) -> str:
    return "yes" if now.status and any(now.status.owed) else "no"


def _passed(now: SetNow) -> str:
    return ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in now.look.passed)
