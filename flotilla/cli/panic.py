"""`flotilla panic`: cancel every order, and close every position, with venue keys alone.

The one rule: its own short code path; it loads no client of Temporal, Redis or PostgreSQL.
"""

import asyncio
import getpass
import json
import random
import socket
import sys
import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Final

import click

from desk.errors import ConfigurationFault
from flotilla.accounts import MAIN, accounts_with_credentials
from flotilla.panic import Means, Orders
from flotilla.panic import panic as empty_all
from flotilla.panic_report import Seen, document, sentence
from infra.bare_settings import bare_state_dir, configured_keys
from infra.clock import SystemClock
from infra.kill_file import StateKillFile
from infra.telemetry.logging import set_up_logging
from venues.registry import BUILDERS

_FAILED: Final = 1
_TIMEOUT_S: Final = 60.0


@click.command()
@click.option(
    "--venue",
    "venues",
    multiple=True,
    type=click.Choice(sorted(BUILDERS)),
    help="Which venue; repeat it for several. Default: every venue with credentials here.",
)
@click.option(
    "--account",
    "accounts",
    multiple=True,
    help="Which account; repeat it for several. Default: every account with credentials.",
)
@click.option("--flatten", is_flag=True, help="Close every position too, at what the book gives.")
@click.option("--yes", is_flag=True, help="Do not ask; needed where nobody can answer.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=1),
    default=_TIMEOUT_S,
    show_default=True,
    help="Seconds until it gives up on what cannot be verified.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
def panic(
    venues: tuple[str, ...],
    accounts: tuple[str, ...],
    *,
    flatten: bool,
    yes: bool,
    timeout_s: float,
    as_json: bool,
) -> int:
    """Cancel EVERY order of the accounts, also such that are not ours, and prove it.

    Needs nothing but the venue's keys in this environment: neither Temporal, Redis nor PostgreSQL.
    Writes the KILL file first, so that sessions on this machine stop and stay stopped.
    Exit code 0 only when every account was seen empty twice, and once more seconds later.
    """
    seen = [
        Seen(venue=venue, account=account, flatten=flatten)
        for venue, account in _targets(venues, accounts)
    ]
    if not _agreed(seen, flatten=flatten, yes=yes):
        _say("nothing was done")
        return _FAILED
    _stop_this_machine()
    try:
        _work(seen, Orders(flatten=flatten, timeout_s=timeout_s))
    except KeyboardInterrupt:
        _say("interrupted; what was verified until then:")
    if as_json:
        click.echo(json.dumps([document(one) for one in seen], indent=2))
    else:
        for one in seen:
            click.echo(sentence(one))
    return 0 if all(one.verified for one in seen) else _FAILED


def _targets(venues: Collection[str], accounts: Sequence[str]) -> list[tuple[str, str]]:
    configured = configured_keys()
    found = []
    for venue in venues or sorted(configured.keys() & BUILDERS.keys()):
        own = accounts_with_credentials(configured.get(venue, ()))
        # What was named is tried in any case: its settings say what is missing.
        named = [one for one in accounts if venues or one in own]
        found += [(venue, account) for account in (named if accounts else own or (MAIN,))]
    if not found:
        raise ConfigurationFault(
            "--venue: no venue has a credential for this here; set "
            "FLOTILLA_VENUE_<NAME>__API_KEY_FILE and what else the venue needs, then repeat"
        )
    return list(dict.fromkeys(found))


def _agreed(seen: Sequence[Seen], *, flatten: bool, yes: bool) -> bool:
    names = ", ".join(one.name for one in seen)
    closing = ", and closes every position, in the end far from the best price" if flatten else ""
    _say(f"panic cancels EVERY order of {names}, also those that are not ours{closing}")
    if yes:
        return True
    if not sys.stdin.isatty():
        raise ConfigurationFault("--yes: nobody can be asked here; give --yes to go on")
    return click.confirm("Go on?", err=True)


def _stop_this_machine() -> None:
    path = bare_state_dir() / "KILL"
    now = datetime.fromtimestamp(int(time.time()), UTC)
    try:
        new = StateKillFile(path).write(
            f"panic by {_person()} on {socket.gethostname()} at {now:%Y-%m-%d %H:%M:%S} UTC"
        )
    except OSError as error:
        _say(
            f"warning: {path} could not be written ({error.strerror}); sessions on this machine go "
            "on quoting: stop the workers"
        )
        return
    word = "written" if new else "was there already"
    _say(f"{path} {word}: sessions on this machine stop; when all is over: rm {path}")


def _work(seen: Sequence[Seen], orders: Orders) -> None:
    secrets: set[str] = set()

    def hide(values: Collection[str]) -> None:
        secrets.update(values)
        set_up_logging(level="error", folder=None, process="panic", secrets=secrets)

    hide(())
    means = Means(clock=SystemClock(), randomness=random.SystemRandom(), hide=hide, tell=_say)
    asyncio.run(empty_all(seen, orders, means))


def _person() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "somebody"


def _say(text: str) -> None:
    click.echo(text, err=True)
