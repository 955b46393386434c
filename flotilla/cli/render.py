"""Tables for people on stderr, JSON for programs on stdout; no colour when piped."""

import json
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

_PIPED_WIDTH = 160


def talk(text: str) -> None:
    """Say something to the person."""
    click.echo(text, err=True)


def console() -> Console:
    """Where tables are drawn: stderr, plain when it is not a terminal."""
    if sys.stderr.isatty():
        return Console(stderr=True)
    return Console(stderr=True, force_terminal=False, width=_PIPED_WIDTH)


def emit_json(value: object) -> None:
    """One JSON document on stdout; decimals as strings."""
    click.echo(json.dumps(value, indent=2, default=_plain))


def emit_rows(title: str, rows: Sequence[Mapping[str, object]], *, as_json: bool) -> None:
    """Rows as a table on stdout, or as JSON; whatever a venue or a person wrote is shown as is."""
    if as_json:
        emit_json(list(rows))
        return
    table = Table(title=Text(title, style="table.title"), title_justify="left")
    for column in rows[0] if rows else ():
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text("" if value is None else str(value)) for value in row.values()))
    out = Console(force_terminal=None if sys.stdout.isatty() else False)
    out.print(table if rows else Text(f"{title}: none"))


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
