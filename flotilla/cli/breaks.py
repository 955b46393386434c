"""`flotilla breaks …`: differences between our books and a venue's, shown and settled.

The one rule: what settles a break is a decision with a name and a reason.
"""

import asyncio
import json
from datetime import UTC, datetime

import click

from desk.breaks import Break
from flotilla.breaks import listed_breaks, one_break, settle_break
from flotilla.cli.kill import by_option, json_option
from flotilla.cli.render import emit_json, emit_rows, talk
from flotilla.fields import checked
from workflows.breaks_messages import SettleBreak

_SHOWN = 50

number_argument = click.argument("number", type=click.IntRange(min=1), metavar="NUMBER")


@click.group()
def breaks() -> None:
    """Look at differences between our books and a venue's, and settle them by name."""


@breaks.command(name="list")
@click.option("--all", "settled", is_flag=True, help="The newest 50, settled ones too.")
@json_option
def list_(*, settled: bool, as_json: bool) -> None:
    """List what is open; 'flotilla kills' shows where nothing is quoted until it is settled."""
    found = asyncio.run(listed_breaks(settled=settled, limit=_SHOWN))
    if as_json:
        emit_json([_as_json(one) for one in found])
        return
    emit_rows("breaks" if settled else "open breaks", [_row(one) for one in found], as_json=False)


@breaks.command()
@number_argument
@json_option
def show(number: int, *, as_json: bool) -> None:
    """Show one break with both sides."""
    known = asyncio.run(one_break(number))
    if as_json:
        emit_json(_as_json(known))
        return
    found = known.found
    for name, value in (
        ("break", f"{known.number}, {found.kind.value.replace('_', ' ')}"),
        ("scope", found.scope),
        ("text", found.text),
        ("our books", found.ours),
        ("the venue", found.theirs),
        ("found", f"{_time(found.found_at_ms)} by {found.found_by}"),
        ("seen last", _time(known.last_seen_ms)),
        ("settled", _settled(known)),
    ):
        click.echo(f"{name:<10} {value}")
    if known.open:
        talk(f"settle it: flotilla breaks settle {number} --take venue|recheck --by NAME …")


@breaks.command()
@number_argument
@click.option(
    "--take",
    type=click.Choice(["venue", "recheck"]),
    required=True,
    help="venue: it is right, and the difference is booked by your name; recheck: nothing is.",
)
@by_option
@click.option("--reason", required=True, help="Why, for the record.")
@click.option("--price", help="Price of a position that nobody knows one of, quote currency.")
@click.option("--wait", is_flag=True, help="Wait until it is settled or refused; needs a worker.")
@json_option
def settle(
    number: int, take: str, by: str, reason: str, price: str | None, *, wait: bool, as_json: bool
) -> None:
    """Settle a break. Markets that waited for it go on, unless a person paused them.

    Of a position or a balance 'venue' books the difference; of other kinds nothing can be booked.

    Exit code 0: settled, or without --wait handed over. 3: it was settled before, or with --wait
    the decision was refused. 2: no such number. 1: PostgreSQL or Temporal does not answer.
    """
    form = {"decision": take, "by": by, "reason": reason, "price": price}
    decision = checked(lambda: SettleBreak.model_validate(form))
    asked = asyncio.run(settle_break(number, decision, wait=wait))
    if as_json:
        emit_json({"asked": take, "workflow_id": asked.workflow_id, **_as_json(asked.known)})
    elif wait:
        talk(f"settled: {_settled(asked.known)}")
    else:
        talk(f"asked {asked.workflow_id} to settle it; its page in the Temporal UI tells a refusal")


def _row(one: Break) -> dict[str, object]:
    return {
        "number": one.number,
        "kind": one.found.kind.value,
        "scope": one.found.scope,
        "difference": one.found.text,
        "since": _time(one.found.found_at_ms),
        "settled": _settled(one),
    }


def _as_json(one: Break) -> dict[str, object]:
    found = one.found
    return {
        "number": one.number,
        "open": one.open,
        "kind": found.kind.value,
        "venue": found.venue,
        "account": found.account,
        "symbol": found.symbol,
        "scope": found.scope,
        "text": found.text,
        "ours": _side(found.ours),
        "theirs": _side(found.theirs),
        "found_by": found.found_by,
        "found_at_ms": found.found_at_ms,
        "last_seen_ms": one.last_seen_ms,
        "decision": one.decision.value if one.decision else None,
        "settled_by": one.settled_by,
        "reason": one.reason,
        "settled_at_ms": one.settled_at_ms,
    }


def _side(text: str) -> object:
    """A side as it was read; as text where it is no JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _settled(one: Break) -> str:
    if one.open:
        return "no"
    decision = one.decision.value if one.decision else "-"
    return f"{decision}, {_time(one.settled_at_ms)} by {one.settled_by}: {one.reason}"


def _time(at_ms: int | None) -> str:
    return "" if at_ms is None else f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%F %T} UTC"
