"""A flatten's page in the Temporal UI: Markdown from plain values, no decisions."""

from workflows.flatten_messages import FlattenStatus

_STEPS_SHOWN = 12
_GAP = "\u00a0" * 4


def flatten_page(status: FlattenStatus) -> str:
    """What is left, which phase, what it cost so far, the deadline, and the last steps."""
    lines = [
        f"## {status.market}: flatten, {status.phase}",
        status.note or status.reason,
        "",
        _row("left, lots", "attempts", "next step", "epoch", "market", "cost", "of", "bps"),
        "|---|---|---|---|---|---|---|---|",
        _row(
            "not seen yet" if status.remaining is None else status.remaining,
            status.attempts,
            status.next_step,
            status.epoch,
            status.regime.value,
            f"{status.cost:f}",
            f"{status.traded:f}",
            None if status.used_bps is None else f"{status.used_bps:f}",
        ),
        "",
        _deadline(status),
        f"Asked by {status.by}: {status.reason}",
        "",
    ]
    if status.stopping is not None:
        lines += [f"Abandoned by {status.stopping.by}: {status.stopping.reason}", ""]
    elif status.alarms:
        lines += [f"**The venue does not let us out: {status.alarms} alarms so far.**", ""]
    lines += [_row("step", "phase", "before", "after", "outcome"), "|---|---|---|---|---|"]
    lines += [
        _row(step.step, step.phase, step.before, step.after, step.outcome)
        for step in status.steps[-_STEPS_SHOWN:]
    ]
    return "\n".join(lines)


def _deadline(status: FlattenStatus) -> str:
    if status.seconds_left > 0:
        return f"At {status.deadline[:19]} UTC what is left then goes at once."
    return f"The deadline passed at {status.deadline[:19]} UTC: what is left goes at once."


def _row(*cells: object) -> str:
    # The UI draws tables without padding: the cells bring their own.
    texts = ("-" if cell in (None, "") else str(cell) for cell in cells)
    return "| " + " | ".join(f"{text}{_GAP}" for text in texts) + " |"
