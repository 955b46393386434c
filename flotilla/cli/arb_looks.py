"""`flotilla arb list`, `show`, `trades`, `claims`: how sets stand, and what they did."""

import asyncio
from datetime import UTC, datetime
from itertools import zip_longest

import click

from desk.arbitrage_ports import StandingClaim
from desk.arbitrage_records import ArbitrageTrade, HeldCapital
from flotilla.arbitrage import SetSeen, claimed, running_sets, trades_of, with_set
from flotilla.cli.kill import json_option
from flotilla.cli.render import emit_json, emit_rows, talk
from workflows.arbitrage import ArbitrageWorkflow
from workflows.arbitrage_messages import ArbitrageStatus

_SHOWN = 20
_FIGURES = ("complete", "locked", "payout_expected", "payout", "exposure", "dust", "fired", "epoch")


@click.command("list")
@json_option
def list_sets(*, as_json: bool) -> None:
    """List the sets that run: state, what is owed and locked, and why."""
    rows = [_seen(one) for one in asyncio.run(running_sets())]
    emit_rows("sets", rows, as_json=as_json)


@click.command()
@click.argument("name", metavar="NAME")
@json_option
def show(name: str, *, as_json: bool) -> None:
    """Show a set's legs, what is owed, what is locked, its last trades and its life so far."""
    status = asyncio.run(with_set(name, lambda handle: handle.query(ArbitrageWorkflow.status)))
    if as_json:
        emit_json(status.model_dump(mode="json"))
        return
    _print(status)


@click.command()
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--limit", default=_SHOWN, show_default=True, help="How many, newest first.")
@json_option
def trades(name: str | None, limit: int, *, as_json: bool) -> None:
    """List trades from the record, newest first; also when no set runs."""
    rows = [_trade(one) for one in asyncio.run(trades_of(name, limit))]
    emit_rows(f"trades of {name}" if name else "trades", rows, as_json=as_json)


@click.command()
@json_option
def claims(*, as_json: bool) -> None:
    """List what sets have claimed of sizes and capital now, and whether anything is granted."""
    found = asyncio.run(claimed())
    rows = [_claim(one) for one in found.standing]
    if as_json:
        emit_json({"armed": found.armed, "claims": rows})
        return
    emit_rows("claims", rows, as_json=False)
    if not found.armed:
        talk("nothing is granted: claims were never armed, or Redis was emptied; the next run arms")


def _print(status: ArbitrageStatus) -> None:
    click.echo(f"{'set':<16} {status.name} ({status.kind.value.replace('_', ' ')})")
    click.echo(f"{'state':<16} {status.state.value.replace('_', ' ')}")
    click.echo(f"{'reason':<16} {status.reason}")
    for name in _FIGURES:
        value = getattr(status, name)
        if value is not None:
            click.echo(f"{name.replace('_', ' '):<16} {value}")
    if status.owed_since_ms is not None:
        click.echo(f"{'owed since':<16} {_time(status.owed_since_ms)}")
    if status.waits_for_a_person:
        click.echo(f"{'waits for you':<16} {status.waits_for_a_person}; release it, or retry")
    if status.look.gate:
        click.echo(f"{'gate closed':<16} {status.look.gate}")
    lots = zip_longest(status.legs, status.positions, status.owed, status.waived, fillvalue=0)
    for leg, position, owed, waived in lots:
        also = f", {waived:+d} waived" if waived else ""
        click.echo(f"  {leg}: {position:+d} lots held, {owed:+d} owed{also}")
    for trade in status.trades:
        at = _time(trade.fired_at_ms)
        click.echo(f"  {at}  {trade.key.text}: {trade.aim} {trade.units} units, {trade.outcome}")
    for event in status.history:
        click.echo(f"  {event.at[:19]}  {event.state.value:<12} {event.text}")


def _seen(one: SetSeen) -> dict[str, object]:
    status = one.status
    if status is None:
        return {
            "set": one.name,
            "state": one.state,
            "legs": None,
            "owed": None,
            "locked": None,
            "fleet": one.fleet,
            "reason": "no worker answers for it; is 'flotilla worker' running?",
        }
    return {
        "set": one.name,
        "state": status.state.value,
        "legs": len(status.legs),
        "owed": "yes" if any(status.owed) else "no",
        "locked": status.locked,
        "fleet": one.fleet,
        "reason": status.reason,
    }


def _trade(one: ArbitrageTrade) -> dict[str, object]:
    fired, last = one.fired, one.steps[-1] if one.steps else None
    return {
        "trade": fired.key.text,
        "fired": _time(fired.fired_at_ms),
        "units": fired.units,
        "quote": fired.quote,
        "stage": one.stage.value,
        "edge expected": fired.edge_expected,
        "edge": one.edge,
        "locked": _money(one.locked),
        "payout expected": fired.payout_expected,
        "payout": one.payout,
        "by": last.by if last else None,
        "reason": last.reason if last else None,
    }


def _claim(one: StandingClaim) -> dict[str, object]:
    sizes = (f"{size.side.value} {size.lots} of {size.market.path}" for size in one.sizes)
    return {
        "trade": one.key.text,
        "stage": one.stage.value,
        "left ms": one.left_ms,
        "sizes": ", ".join(sizes),
        "capital": _money(one.capital),
        "owner": one.owner,
    }


def _money(held: tuple[HeldCapital, ...]) -> str:
    return ", ".join(
        f"{part.amount:f} {part.quote} at {part.venue}/{part.account}" for part in held
    )


def _time(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%F %T} UTC"
