"""`flotilla arb start`, `stop`, `pause`, `resume`, `release`, `retry`: say something to a set.

The one rule: what ends a debt, or has it worked on again, is a decision with a name and a reason.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from flotilla.arbitrage import Handle, start_set, with_set
from flotilla.cli.kill import by_option, json_option
from flotilla.cli.render import emit_json, talk
from flotilla.fields import checked, fields
from quoting.arbitrage.report import SetKind
from workflows import names
from workflows.arbitrage import ArbitrageWorkflow
from workflows.arbitrage_messages import ArbitrageStatus, DecideArbitrage, StartArbitrage
from workflows.messages import Request

T = TypeVar("T")

name_argument = click.argument("name", metavar="NAME")
set_option = click.option(
    "--set", "values", multiple=True, metavar="FIELD=VALUE", help="A field, may be repeated."
)
why_option = click.option("--reason", default="asked by the operator", help="For the record.")
reason_option = click.option("--reason", required=True, help="Why, for the record.")
who_option = click.option("--by", default="operator", help="Your name, for the record.")


@click.command()
@name_argument
@click.option(
    "--leg",
    "legs",
    multiple=True,
    required=True,
    metavar="MARKET",
    help="VENUE/[ACCOUNT/]SYMBOL; once for each outcome, or three pairs of a triangle.",
)
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in SetKind]),
    default=SetKind.OUTCOME_SET.value,
    show_default=True,
    help="What ties the legs together.",
)
@set_option
@click.option("--fleet", default="main", help="Fleet this set belongs to.")
@json_option
def start(
    name: str,
    legs: tuple[str, ...],
    kind: str,
    values: tuple[str, ...],
    fleet: str,
    *,
    as_json: bool,
) -> None:
    """Watch a set of legs, and take it when it pays.

    An outcome set is one market for each outcome of an event, of which exactly one pays 1; a
    triangle is three pairs over three currencies. What it may use has no default: --set max_units=
    (of one trade), max_capital= (of all its open trades) and max_exposure= (the most a half-filled
    trade may lose).

    \b
    flotilla arb start btc-0915 --leg ocx/BTC-UP --leg ocx/BTC-DOWN \\
        --set max_units=100 --set max_capital=500 --set max_exposure=20
    """  # noqa: D301 - click's mark for a block that is not wrapped
    form = {"name": name, "kind": kind, "legs": list(legs), "fleet": fleet, **fields(values)}
    spec = checked(lambda: StartArbitrage.model_validate(form))
    state = asyncio.run(start_set(spec))
    workflow_id = names.arbitrage_workflow_id(spec.name)
    _done(as_json, f"started {workflow_id}: {state}", {"workflow_id": workflow_id, "state": state})


@click.command()
@name_argument
@click.option("--wait", is_flag=True, help="Wait until it stopped and print how it stood.")
@why_option
@by_option
@json_option
def stop(name: str, reason: str, by: str, *, wait: bool, as_json: bool) -> None:
    """Stop watching. What is owed is worked off first; complete sets stay held."""
    request = Request(reason=reason, by=by)

    async def work(handle: Handle) -> ArbitrageStatus | None:
        await handle.signal(ArbitrageWorkflow.stop, request)
        return await handle.result() if wait else None

    result = _run(name, work)
    if result is None:
        _done(as_json, "asked to stop", {"asked": "stop"})
    else:
        emit_json(result.model_dump(mode="json"))


@click.command()
@name_argument
@why_option
@who_option
@json_option
def pause(name: str, reason: str, by: str, *, as_json: bool) -> None:
    """Fire nothing until resumed. What is owed is worked off all the same."""
    request = Request(reason=reason, by=by)
    _run(name, lambda handle: handle.signal(ArbitrageWorkflow.pause, request))
    _done(as_json, "asked to pause", {"asked": "pause"})


@click.command()
@name_argument
@why_option
@who_option
@json_option
def resume(name: str, reason: str, by: str, *, as_json: bool) -> None:
    """Watch again after a pause."""
    request = Request(reason=reason, by=by)
    _run(name, lambda handle: handle.signal(ArbitrageWorkflow.resume, request))
    _done(as_json, "asked to resume", {"asked": "resume"})


@click.command()
@name_argument
@reason_option
@by_option
@json_option
def release(name: str, reason: str, by: str, *, as_json: bool) -> None:
    """Decide that what is owed now is owed no longer: a person has traded it, or keeps it.

    Of an outcome set the lots that are over now are waived, of a triangle the trade that owes is
    yours; what becomes owed later is worked off as ever.
    """
    decided = checked(lambda: DecideArbitrage(by=by, reason=reason))
    _run(name, lambda handle: handle.signal(ArbitrageWorkflow.release, decided))
    _done(as_json, "asked to release", {"asked": "release"})


@click.command()
@name_argument
@reason_option
@by_option
@json_option
def retry(name: str, reason: str, by: str, *, as_json: bool) -> None:
    """Have what was handed over to a person hedged, then reduced, from the beginning."""
    decided = checked(lambda: DecideArbitrage(by=by, reason=reason))
    _run(name, lambda handle: handle.signal(ArbitrageWorkflow.retry, decided))
    _done(as_json, "asked to try again", {"asked": "retry"})


def _run(name: str, work: Callable[[Handle], Awaitable[T]]) -> T:
    return asyncio.run(with_set(name, work))


def _done(as_json: bool, text: str, value: dict[str, object]) -> None:  # noqa: FBT001
    if as_json:
        emit_json(value)
    else:
        talk(text)
