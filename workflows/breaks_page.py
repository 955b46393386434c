"""A break's page in the Temporal UI: both sides, since when, and what to do. No decisions."""

from datetime import UTC, datetime

from desk.breaks import BreakKind
from workflows.breaks_messages import BreakStatus

_SHOWN = 12
_NO_GATE = "no gate is closed over it"
_RUNBOOK = "docs/runbooks/break.md"
_WHAT_TO_DO = """### What to do
See what happened ({runbook}). Then settle it with signal `settle`:

- `{{"decision": "venue", "by": "you", "reason": "why"}}`: the venue is right; the difference is
  booked by your name as an adjustment.
- `{{"decision": "recheck", "by": "you", "reason": "why"}}`: nothing is booked; a difference that is
  still there is found again.

Or `flotilla breaks settle {number} --take venue|recheck --by NAME --reason WHY`."""
_CURED = """### What to do
No gate is closed over it. Every comparison tries to do away with it, and settles it when both sides
agree. What still does not go is a person's, on the venue's own page: see {runbook}."""


def break_page(status: BreakStatus) -> str:
    """Markdown from a break's status."""
    if not status.kind:
        return f"## Break {status.number}: being read"
    lines = [
        f"## Break {status.number}: {_headline(status)}",
        status.text,
        "",
        f"Found by {status.found_by} at {_moment(status.found_at_ms)}; scope `{status.scope}`.",
        f"Seen last at {_moment(status.last_seen_ms)}.",
        "",
        "### Our books",
        *_block(status.ours),
        "### The venue",
        *_block(status.theirs),
        *_what_to_do(status),
    ]
    if status.history:
        lines += [
            "### So far",
            *(f"- {one.at[:19]}: {one.text}" for one in status.history[-_SHOWN:]),
        ]
    return "\n".join(lines)


def alarm_text(status: BreakStatus, hours: int) -> str:
    """One sentence for a person about a break that is still open."""
    since = f", open for {hours} h" if hours else ""
    held = f"{status.scope} is held until it is settled"
    return (
        f"break {status.number} ({status.kind.replace('_', ' ')}){since}: {status.text}; "
        f"{held if _closes_gate(status) else _NO_GATE}; see {_RUNBOOK}"
    )


def _headline(status: BreakStatus) -> str:
    if status.open:
        held = "nothing is quoted there until it is settled"
        so = held if _closes_gate(status) else _NO_GATE
        return f"{status.kind.replace('_', ' ')}, {so}"
    return f"settled by {status.settled_by} ({status.decision})"


def _closes_gate(status: BreakStatus) -> bool:
    return BreakKind(status.kind).closes_gate


def _what_to_do(status: BreakStatus) -> list[str]:
    if not status.open:
        return ["### Settled", status.reason, ""]
    what = _WHAT_TO_DO if _closes_gate(status) else _CURED
    lines = [what.format(number=status.number, runbook=_RUNBOOK), ""]
    if status.rule:
        lines += [f"Written rule: {status.rule}.", ""]
    return lines


def _block(side: str) -> list[str]:
    return ["```", side or "-", "```", ""]


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%Y-%m-%d %H:%M:%S} UTC"
