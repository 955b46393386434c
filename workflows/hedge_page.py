"""A hedge's page in the Temporal UI: Markdown from plain values, no decisions."""

from datetime import UTC, datetime

from workflows.hedge_messages import HedgeStatus

_EVENTS_SHOWN = 12
_GAP = "\u00a0" * 4


def hedge_page(status: HedgeStatus) -> str:
    """Inventory, hedge, what is owed since when, and the last events."""
    lines = [
        f"## {status.source} hedged at {status.hedge}: {status.state.value}",
        status.reason,
        "",
        _row("inventory", "hedge lots", "owed lots", "waived lots", "orders", "epoch"),
        "|---|---|---|---|---|---|",
        _row(
            f"{status.source_quantity:f}",
            status.position,
            status.owed,
            status.waived,
            status.orders,
            status.epoch,
        ),
        "",
    ]
    if status.obligation is not None and status.opened_at_ms is not None:
        since = datetime.fromtimestamp(status.opened_at_ms / 1_000, UTC)
        lines += [
            f"Obligation {status.obligation} is open since {since:%Y-%m-%d %H:%M:%S} UTC.",
            "",
        ]
    lines += ["### Life", _row("at", "state", "what"), "|---|---|---|"]
    lines += [
        _row(event.at[:19], event.state.value, event.text)
        for event in status.history[-_EVENTS_SHOWN:]
    ]
    return "\n".join(lines)


def _row(*cells: object) -> str:
    # The UI draws tables without padding: the cells bring their own.
    texts = ("-" if cell in (None, "") else str(cell) for cell in cells)
    return "| " + " | ".join(f"{text}{_GAP}" for text in texts) + " |"
