"""A reconciliation's page in the Temporal UI: Markdown from plain values, no decisions."""

from datetime import UTC, datetime

from workflows.reconciliation_messages import ReconciliationReport

_GAP = "\u00a0" * 4


def reconciliation_page(report: ReconciliationReport) -> str:
    """What one comparison saw, and what differs."""
    lines = [f"## {report.account}, {report.kind.value}: {_headline(report)}", ""]
    if report.trouble:
        lines += [report.trouble, ""]
    lines += [
        _row("our side", "the venue's", "differences", "requests", "compared at"),
        "|---|---|---|---|---|",
        _row(report.ours, report.theirs, report.found, report.requests, _moment(report.at_ms)),
        "",
    ]
    if report.equity is not None:
        lines += [_row("equity at the venue", "expected"), "|---|---|"]
        lines += [_row(report.equity, report.expected or "not judged"), ""]
    if report.differences:
        lines += ["### Differences", *(f"- {one}" for one in report.differences), ""]
    if report.breaks:
        numbers = ", ".join(map(str, report.breaks))
        lines += [f"Open breaks: {numbers}. See `flotilla breaks list`.", ""]
    lines.append(f"Both sides in full: `flotilla reconcile history --run {report.run_id}`.")
    return "\n".join(lines)


def _headline(report: ReconciliationReport) -> str:
    if not report.at_ms:
        return "could not be compared"
    if report.breaks:
        return f"{len(report.breaks)} breaks are open"
    if report.trouble:
        return "not compared in full"
    return "settled by rule" if report.found else "both sides agree"


def _moment(at_ms: int) -> str:
    if not at_ms:
        return "-"
    return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%Y-%m-%d %H:%M:%S}"


def _row(*cells: object) -> str:
    # The UI draws tables without padding: the cells bring their own.
    return "| " + " | ".join(f"{cell}{_GAP}" for cell in cells) + " |"
