"""Comparisons that a person asks for: one now, by the same workflow as every other, and the record.

The one rule: what is shown is read back from the record, both sides as they were kept.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from temporalio.client import Client, WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy

from activities.reconciliation_messages import ReconcileKind
from desk.book_ports import ReconciliationBook, ReconciliationRun
from desk.breaks import Break
from desk.errors import ConfigurationFault, Unavailable
from flotilla.accounts import MAIN, accounts_with_credentials
from flotilla.control import open_temporal
from flotilla.failures import innermost
from flotilla.reconciliation_schedules import comparison
from flotilla.wiring import Books, open_books
from infra.settings import Settings
from venues.registry import BUILDERS
from workflows import names
from workflows.reconciliation import LONGEST_RUN, ReconciliationWorkflow
from workflows.reconciliation_messages import ReconciliationReport

_EVERY_S: Final = {ReconcileKind.ORDERS: 300, ReconcileKind.ACCOUNT: 3_600}
_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An account, or one market of it."""

    venue: str
    account: str
    symbol: str | None = None

    @property
    def name(self) -> str:
        """`venue/account`, with the symbol where there is one."""
        return "/".join(part for part in (self.venue, self.account, self.symbol) if part)

    def concerns(self, known: Break) -> bool:
        """Whether a break keeps a gate closed here."""
        return self.symbol is None or known.found.symbol in {None, self.symbol}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What one comparison reported, and both sides; None when it could not be recorded."""

    report: ReconciliationReport
    run: ReconciliationRun | None


def places(settings: Settings, text: str | None) -> tuple[Place, ...]:
    """What a person named, every account we have keys for without a name.

    ValueError for what cannot be read, ConfigurationFault where no account has keys.
    """
    accounts = _with_keys(settings)
    if text is None:
        if not accounts:
            raise ConfigurationFault(
                "venue: no account has a credential here; set FLOTILLA_VENUE_<VENUE>__API_KEY_FILE"
            )
        return tuple(Place(venue=venue, account=account) for venue, account in sorted(accounts))
    parts = _parts(text, {2, 3}, "VENUE/ACCOUNT or a market")
    if len(parts) == 3:
        return (Place(venue=parts[0], account=parts[1], symbol=parts[2]),)
    if (parts[0], parts[1]) in accounts or parts[1] == MAIN:
        return (Place(venue=parts[0], account=parts[1]),)
    return (Place(venue=parts[0], account=MAIN, symbol=parts[1]),)


def account_named(text: str) -> Place:
    """An account and nothing else. ValueError for what cannot be read."""
    venue, account = _parts(text, {2}, "VENUE/ACCOUNT")
    return Place(venue=venue, account=account)


async def refuse_unknown(settings: Settings, books: Books, place: Place) -> None:
    """ValueError for an account or a market that neither our settings nor any record knows.

    What we have keys for, ever compared or quoted, what is held and what has a break is known.
    """
    venue, account, symbol = place.venue, place.account, place.symbol
    runs = [await books.reconciliations.last(venue, account, kind.value) for kind in ReconcileKind]
    seen = [one for one in runs if one is not None]
    standing = await books.breaks.standing(venue, account)
    accounts = _with_keys(settings)
    if not (seen or standing or (venue, account) in accounts):
        known = ", ".join(f"{one}/{name}" for one, name in sorted(accounts)) or "none"
        raise ValueError(
            f"there are no keys here for the account {venue}/{account} and it was never compared; "
            f"with keys: {known}"
        )
    if symbol is None:
        return
    known_symbols = {one.found.symbol for one in standing if one.found.symbol}
    for run in seen:
        for side in map(json.loads, (run.ours, run.theirs)):
            known_symbols.update(*(_part(side, part) for part in ("orders", "positions")))
    ours = await books.ownership.exposures(venue, account, [symbol])
    if symbol in known_symbols | {one.market.symbol for one in ours}:
        return
    there = ", ".join(sorted(known_symbols)) or "none yet"
    raise ValueError(
        f"{symbol} was never quoted, held or compared at {venue}/{account}; "
        f"markets of the last comparison: {there}"
    )


def _with_keys(settings: Settings) -> set[tuple[str, str]]:
    """Accounts that these settings bring a credential for."""
    return {
        (venue, account)
        for venue in BUILDERS
        for account in accounts_with_credentials(
            [*settings.venue(venue).values, *settings.venue(venue).secrets]
        )
    }


def _parts(text: str, counts: Collection[int], what: str) -> list[str]:
    parts = text.removeprefix("market/").split("/")
    if not all(parts) or len(parts) not in counts or parts[0] not in BUILDERS:
        known = ", ".join(sorted(BUILDERS))
        raise ValueError(f"'{text}' is not {what}; venues are {known}")
    return parts


async def compare_now(
    settings: Settings, place: Place
) -> tuple[tuple[Comparison, ...], tuple[Break, ...]]:
    """Both kinds of comparison of an account, and the breaks that are open at the place then.

    Raises Unavailable when no worker answers.
    """
    async with open_temporal(settings) as client, open_books(settings) as books:
        found = []
        for kind in ReconcileKind:
            report = await _compare(client, settings, place, kind)
            run = await books.reconciliations.last(place.venue, place.account, kind.value)
            same = run is not None and run.run_id == report.run_id
            found.append(Comparison(report=report, run=run if same else None))
        standing = await books.breaks.standing(place.venue, place.account)
    return tuple(found), tuple(one for one in standing if place.concerns(one))


async def _compare(
    client: Client, settings: Settings, place: Place, kind: ReconcileKind
) -> ReconciliationReport:
    schedule = names.reconciliation_schedule_id(
        settings.fleet, place.venue, place.account, kind.value
    )
    try:
        return await client.execute_workflow(
            ReconciliationWorkflow.run,
            comparison(settings, place.venue, place.account, kind, _EVERY_S[kind]),
            id=f"{schedule}/by-hand",
            task_queue=names.CONTROL_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            execution_timeout=LONGEST_RUN[kind],
            static_summary=f"{kind.value} of {place.venue}/{place.account}, asked for by hand",
        )
    except WorkflowFailureError as failure:
        raise Unavailable(
            f"temporal: nothing was compared: {innermost(failure)}; is 'flotilla worker' running?"
        ) from failure


async def past_runs(
    book: ReconciliationBook,
    place: Place | None,
    since_ms: int,
    until_ms: int,
    limit: int,
    *,
    differing: bool,
    run_id: str | None = None,
) -> Sequence[ReconciliationRun]:
    """Runs within a time, newest first; only such as found something, or one by its id."""
    found: list[ReconciliationRun] = []
    while len(found) < limit:
        page = await book.history(
            place.venue if place else None,
            place.account if place else None,
            since_ms,
            until_ms,
            _PAGE,
        )
        found += [
            one
            for one in page
            if (run_id is None or one.run_id == run_id)
            and (not differing or one.found or one.trouble)
        ]
        if len(page) < _PAGE or page[-1].began_ms >= until_ms - 1:
            break
        until_ms = page[-1].began_ms + 1
    known = {(one.run_id, one.kind, one.began_ms): one for one in found}
    return tuple(known.values())[:limit]


def side_by_side(run: ReconciliationRun, symbol: str | None = None) -> list[dict[str, object]]:
    """Rows of one run: what both sides say of each market, and of the account."""
    ours, theirs = json.loads(run.ours), json.loads(run.theirs)
    rows: list[dict[str, object]] = []
    for part in ("orders", "positions"):
        left, right = _part(ours, part), _part(theirs, part)
        rows += [
            _row(part, market, left.get(market, 0), right.get(market, 0))
            for market in sorted({*left, *right})
            if symbol in {None, market}
        ]
    if symbol is None and "equity" in theirs:
        rows.append(_row("equity", "", ours.get("equity", "not judged"), theirs["equity"]))
    return rows


def _row(what: str, market: str, ours: object, theirs: object) -> dict[str, object]:
    return {"what": what, "market": market, "our books": ours, "the venue": theirs}


def _part(side: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = side.get(name, {})
    return found if isinstance(found, Mapping) else {}
