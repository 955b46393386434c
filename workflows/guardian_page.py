"""The guardian's page in the Temporal UI: Markdown from plain values, no decisions."""

from datetime import UTC, datetime

from workflows.guardian_messages import GuardianReport

_GAP = "\u00a0" * 4


def guardian_page(report: GuardianReport) -> str:
    """What one look saw: orders, owners, and every finding with its age."""
    lines = [f"## {report.account}: {_headline(report)}", ""]
    if report.trouble:
        lines += [report.trouble, ""]
    lines += [
        _row("our orders", "foreign orders", "markets with an owner", "cancelled", "looked at"),
        "|---|---|---|---|---|",
        _row(report.ours, report.foreign, report.owned, report.cleared, _moment(report.at_ms)),
        "",
    ]
    if report.findings:
        lines += ["### Findings", _row("what", "market", "since", "told", "in words")]
        lines += ["|---|---|---|---|---|"]
        lines += [
            _row(
                finding.kind.value,
                finding.market.path if finding.market else report.account,
                _moment(finding.since_ms),
                "yes" if finding.told else "no",
                finding.text,
            )
            for finding in report.findings
        ]
        lines += [""]
    if report.flattens:
        lines += [f"Flattens started: {', '.join(report.flattens)}", ""]
    return "\n".join(lines)


def _headline(report: GuardianReport) -> str:
    if not report.at_ms:
        return "could not be looked at"
    if any(finding.told for finding in report.findings):
        return "alarm"
    return "everything has an owner" if not report.cleared else "orders without an owner are gone"


def _moment(at_ms: int) -> str:
    if not at_ms:
        return "-"
    return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%Y-%m-%d %H:%M:%S}"


def _row(*cells: object) -> str:
    # The UI draws tables without padding: the cells bring their own.
    texts = ("-" if cell is None or not str(cell) else str(cell) for cell in cells)
    return "| " + " | ".join(f"{text}{_GAP}" for text in texts) + " |"
