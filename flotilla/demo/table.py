"""The live table: one row a market, from workflow status and the session's last heartbeat."""

from collections.abc import Callable
from dataclasses import dataclass

from rich.table import Table
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from quoting.progress import SessionProgress
from workflows.market import MarketWorkflow
from workflows.messages import MarketResult, MarketStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRow:
    """What is known of a market at one moment; `progress` is None outside a session."""

    status: MarketStatus
    progress: SessionProgress | None
    running: bool

    @property
    def quoting(self) -> bool:
        """Whether its orders rest, or rested and were changed since."""
        live = self.progress
        return live is not None and bool(live.bids or live.asks or live.requotes)


async def read_row(
    client: Client, handle: "WorkflowHandle[MarketWorkflow, MarketResult]"
) -> MarketRow:
    """Ask one market's workflow, and look at its running session's heartbeat."""
    status = await handle.query(MarketWorkflow.status)
    description = await handle.describe()
    progress = None
    for pending in description.raw_description.pending_activities:
        if pending.heartbeat_details.payloads:
            values = await client.data_converter.decode(
                pending.heartbeat_details.payloads, [SessionProgress]
            )
            progress = values[0]
    return MarketRow(
        status=status,
        progress=progress,
        running=description.status is WorkflowExecutionStatus.RUNNING,
    )


def draw(rows: list[MarketRow], *, title: str, caption: str = "") -> Table:
    """The table as rich draws it, the caption under it."""
    table = Table(
        title=title, title_justify="left", caption=caption, caption_justify="left", expand=False
    )
    for column in ("market", "state", "best bid", "best ask"):
        table.add_column(column)
    for column in ("inventory", "PnL", "fills", "requotes", "p50 ms"):
        table.add_column(column, justify="right")
    table.add_column("why", max_width=46, overflow="ellipsis", no_wrap=True)
    for row in rows:
        status, live = row.status, row.progress
        progress = (live or status.progress) if row.running else None
        table.add_row(
            status.market,
            status.state.value,
            live.bids[0] if live and live.bids else "-",
            live.asks[0] if live and live.asks else "-",
            str(progress.inventory.normalize()) if progress else "-",
            f"{progress.pnl:.2f}" if progress else "-",
            str(status.fills + _since_told(row, lambda seen: seen.fills)),
            str(status.requotes + _since_told(row, lambda seen: seen.requotes)),
            str(progress.tick_to_wire_p50_ms or "-") if progress else "-",
            (live.reason if live and live.reason else status.reason) or "",
        )
    return table


def _since_told(row: MarketRow, count: Callable[[SessionProgress], int]) -> int:
    """What the running session counted on top of what the workflow was told of it already."""
    if row.progress is None:
        return 0
    told = row.status.progress
    included = told is not None and told.epoch == row.progress.epoch
    return count(row.progress) - (count(told) if told is not None and included else 0)
