"""`flotilla replay`: a session's journal through the code that quotes, compared bit for bit."""

from collections.abc import Callable
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click
import msgspec

from desk.errors import ConfigurationFault
from desk.quoting.parameters import QuoteParameters
from desk.risk.limits import RiskLimits
from desk.trace_ports import TraceUnreadable
from flotilla.cli.kill import json_option
from flotilla.cli.render import emit_json, talk
from flotilla.tracing import code_version
from infra.trace_files import open_journal
from quoting.explain import OrderStory, explain
from quoting.replay import Difference, ReplayVerdict
from quoting.replay import replay as replay_journal
from quoting.setup import LoopSetup

_PARAMETERS = {one.name for one in fields(QuoteParameters)}
_LIMITS = {one.name for one in fields(RiskLimits)}
_UNREADABLE = 2
_DIGITS = 18


@click.command()
@click.argument("journal", type=click.Path(path_type=Path))
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="Replay with another quote parameter or limit, such as spread_bps=12; repeat for more.",
)
@click.option(
    "--explain",
    "client_order_id",
    metavar="CLIENT_ORDER_ID",
    help="Tell instead why this order was sent and what took it away.",
)
@json_option
def replay(
    journal: Path, changes: tuple[str, ...], client_order_id: str | None, *, as_json: bool
) -> int:
    """Replay the session in JOURNAL, a folder under data/traces, and compare every decision.

    The same code gives the same decisions, bit for bit. Where one differs (another version, or a
    parameter given with --set) the first such step is told, with what was heard and both decisions.
    A market's folder stands for its newest session.

    Exit code 0: every decision is the same. 1: one differs. 2: the journal cannot be read, or not
    to its end, or the session went on after frames were lost. With --explain, 1: this session did
    not send the order.
    """
    try:
        if client_order_id is not None:
            return _tell(explain(open_journal(journal), client_order_id), as_json=as_json)
        verdict = replay_journal(open_journal(journal), _changed(changes))
    except TraceUnreadable as error:
        raise ConfigurationFault(str(error)) from None
    if as_json:
        emit_json(_as_json(verdict))
    _say(verdict)
    if verdict.first is not None:
        return 1
    return 0 if verdict.identical else _UNREADABLE


def _say(verdict: ReplayVerdict) -> None:
    talk(
        f"{verdict.market}, epoch {verdict.epoch}, {_moment(verdict.began_ms)} to "
        f"{_moment(verdict.ended_ms)}, run {verdict.run_id}"
    )
    if verdict.code != code_version():
        talk(f"recorded by code {verdict.code}, replayed by {code_version()}")
    counted = f"{verdict.steps} steps, {verdict.events} events, {verdict.decisions} decisions"
    if verdict.first is not None:
        _say_difference(verdict.first, counted)
    elif verdict.damaged:
        talk(f"identical as far as it can be read, and no proof of the rest: {counted}")
    elif verdict.lost:
        talk(f"identical up to where frames were lost, and no proof of the rest: {counted}")
    else:
        talk(f"identical{' up to there' if verdict.short else ''}: {counted}")
    if verdict.short:
        talk(f"the journal ends before its session: {verdict.short}")
    if verdict.damaged:
        talk(f"not read to its end: {verdict.damaged}")


def _say_difference(first: Difference, counted: str) -> None:
    talk(f"DIFFERS at step {first.step}, {_moment(first.at_ms)} ({counted} so far)")
    talk(f"  heard:    {first.heard}")
    talk(f"  recorded: {first.recorded}")
    talk(f"  replayed: {first.replayed}")


def _tell(story: OrderStory, *, as_json: bool) -> int:
    if as_json:
        emit_json(asdict(story))
    for moment in story.moments:
        talk(f"{_moment(moment.at_ms)}  step {moment.step}: {moment.what}")
    talk(f"{story.client_order_id}: {story.cause}")
    return 0 if story.moments else 1


def _as_json(verdict: ReplayVerdict) -> dict[str, object]:
    return {
        "identical": verdict.identical,
        **asdict(verdict),
        "replayed_by": code_version(),
    }


def _changed(changes: tuple[str, ...]) -> Callable[[LoopSetup], LoopSetup]:
    """The change that `--set` asks for. ConfigurationFault for what is no parameter."""
    given = dict(_named(text) for text in changes)

    def change(setup: LoopSetup) -> LoopSetup:
        parameters = _with(setup.parameters, {n: given[n] for n in given if n in _PARAMETERS})
        limits = _with(setup.limits, {n: given[n] for n in given if n in _LIMITS})
        if problems := (*parameters.problems(), *limits.problems()):
            raise ConfigurationFault(f"--set: {'; '.join(problems)}")
        return replace(setup, parameters=parameters, limits=limits)

    return change


def _named(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or name not in _PARAMETERS | _LIMITS:
        raise ConfigurationFault(
            f"--set: '{text}' is not NAME=VALUE with a quote parameter or a limit; "
            "such as spread_bps=12 or max_position=5000"
        )
    return name, value


def _with(given: Any, changes: dict[str, str]) -> Any:
    """A copy with these fields, each read as its type asks."""
    plain = msgspec.to_builtins(given)
    if odd := [name for name, text in changes.items() if not _finite(text)]:
        raise ConfigurationFault(f"--set: {odd[0]}: give a number of at most {_DIGITS} digits")
    for name, text in changes.items():
        plain[name] = None if text == "none" else text.split(",") if "," in text else text
    try:
        return msgspec.convert(plain, type(given), strict=False)
    except msgspec.ValidationError as error:
        raise ConfigurationFault(f"--set: {error}; correct {', '.join(changes)}") from None


def _finite(text: str) -> bool:
    """Whether every number in it can be calculated with; what is no number is told elsewhere."""
    for part in text.split(","):
        try:
            number = Decimal(part)
        except InvalidOperation:
            continue
        if not number.is_finite() or (number and abs(number.adjusted()) >= _DIGITS):
            return False
    return True


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"
