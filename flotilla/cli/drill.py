"""`flotilla drill …`: rehearse a brake on a market marked for it, and see what it proved."""

import asyncio
from datetime import UTC, datetime

import click
from temporalio.client import WorkflowFailureError
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from desk.drills import Drill, DrillKind
from desk.identity import MarketId
from flotilla.cli.kill import by_option, json_option, reason_option
from flotilla.cli.render import emit_json, emit_rows, talk
from flotilla.control import open_temporal
from flotilla.failures import RefusedBySafety, innermost
from flotilla.wiring import open_drills
from infra.settings import load_settings
from workflows import names
from workflows.drill import DrillWorkflow
from workflows.drill_messages import DrillResult, StartDrill

_SHOWN = 20


@click.group()
def drill() -> None:
    """Rehearse the brakes on a market marked in FLOTILLA_DRILL_MARKETS.

    A drill that fails forbids every new start until somebody acknowledges it by name.
    """


def _run_command(kind: DrillKind, teaching: str) -> click.Command:
    @click.command(name=kind.value, help=teaching)
    @click.argument("market")
    @click.option("--within", type=click.IntRange(1, 600), default=15, help="Seconds it may take.")
    @json_option
    def run(market: str, within: int, *, as_json: bool) -> int:
        result = asyncio.run(_drill(kind, _parsed(market), within))
        if as_json:
            emit_json(result.model_dump(mode="json"))
        else:
            talk(f"{result.kind.value} drill at {result.market}: {result.message}")
            for fact in result.facts:
                click.echo(fact)
        return 0 if result.passed else 1

    return run


drill.add_command(
    _run_command(DrillKind.KILL, "Start the market, kill it, and time how it stands down.")
)
drill.add_command(
    _run_command(
        DrillKind.DEAD_MAN, "Leave an order under a lease that nobody renews; a guardian must act."
    )
)
drill.add_command(
    _run_command(
        DrillKind.PANIC, "Have 'flotilla panic' empty the account without any service of ours."
    )
)


@drill.command(name="list")
@json_option
def list_drills(*, as_json: bool) -> None:
    """Show the last drills, newest first."""
    rows = [_row(one) for one in asyncio.run(_recent())]
    emit_rows("drills", rows, as_json=as_json)


@drill.command()
@click.argument("number", type=int)
@by_option
@reason_option
@json_option
def acknowledge(number: int, by: str, reason: str, *, as_json: bool) -> None:
    """Take a failed drill on your name; starts are allowed again when none is left."""
    if not asyncio.run(_acknowledge(number, by, reason)):
        raise RefusedBySafety(
            f"number: no failed drill {number} waits for a name; 'flotilla drill list' shows them"
        )
    if as_json:
        emit_json({"number": number, "acknowledged_by": by, "reason": reason})
    else:
        talk(f"drill {number} acknowledged by {by}")


def _parsed(text: str) -> MarketId:
    try:
        return MarketId.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="MARKET") from None


async def _drill(kind: DrillKind, market: MarketId, within_s: int) -> DrillResult:
    settings = load_settings()
    spec = StartDrill(
        kind=kind,
        venue=market.venue,
        symbol=market.symbol,
        account=market.account,
        fleet=settings.fleet,
        within_s=within_s,
    )
    async with open_temporal(settings) as client:
        try:
            return await client.execute_workflow(
                DrillWorkflow.run,
                spec,
                id=names.drill_workflow_id(market.venue, market.account),
                task_queue=names.CONTROL_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                static_summary=f"{kind.value} drill at {market.path}",
            )
        except WorkflowAlreadyStartedError:
            raise RefusedBySafety(
                f"market: a drill at {market.venue}/{market.account} runs already; wait for its end"
            ) from None
        except WorkflowFailureError as failure:
            raise RefusedBySafety(innermost(failure)) from failure


async def _recent() -> list[Drill]:
    async with open_drills(load_settings()) as book:
        return list(await book.recent(_SHOWN))


async def _acknowledge(number: int, by: str, reason: str) -> bool:
    async with open_drills(load_settings()) as book:
        return await book.acknowledge(number, by, reason)


def _row(one: Drill) -> dict[str, object]:
    return {
        "number": one.number,
        "kind": one.kind.value,
        "market": one.market.path,
        "began": datetime.fromtimestamp(one.began_at_ms / 1_000, UTC).isoformat(timespec="seconds"),
        "passed": one.passed,
        "message": one.message,
        "acknowledged_by": one.acknowledged_by or "",
    }
