"""`flotilla market import-env`: what the X10 touch bot's `.env` means here, printed or started.

The one rule: it names the files that keys belong into and never shows or copies a key.
"""

import asyncio
import shlex
from pathlib import Path

import click

from desk.errors import ConfigurationFault
from flotilla.cli.kill import json_option
from flotilla.cli.render import emit_json, talk
from flotilla.fields import fields
from flotilla.import_env import Imported
from flotilla.import_env import import_env as imported_from
from flotilla.markets import start_market
from workflows import names
from workflows.messages import StartMarket

_IN_THE_NAME = frozenset({"venue", "account", "symbol"})


@click.command(name="import-env")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--set", "values", multiple=True, metavar="FIELD=VALUE", help="A parameter, wins over FILE."
)
@click.option("--start", "starting", is_flag=True, help="Start the market as well.")
@json_option
def import_env(file: Path, values: tuple[str, ...], *, starting: bool, as_json: bool) -> None:
    """Turn the .env of the X10 touch bot into a market of style touch.

    Prints the start command and the venue's settings as a shell script (keys as files to make), or
    as JSON. Changes nothing without --start.
    """
    found = imported_from(_text(file), fields(values))
    state = asyncio.run(start_market(found.start)) if starting else None
    workflow_id = names.market_workflow_id(found.start.market)
    if as_json:
        emit_json(
            {
                "workflow_id": workflow_id,
                "start": found.start.model_dump(mode="json", exclude_unset=True),
                "settings": found.settings,
                "files": found.files,
                "notes": found.notes,
                "state": state,
            }
        )
        return
    click.echo(_script(found))
    if state is not None:
        talk(f"started {workflow_id}: {state}")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise ConfigurationFault(
            f"file: {file} cannot be read as text; give the bot's .env"
        ) from None


def _script(found: Imported) -> str:
    lines = [f"# {note}" for note in found.notes]
    lines += [
        f"# {path}: put the value of {name} into it, mode 0600"
        for path, name in found.files.items()
    ]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in found.settings.items()]
    return "\n".join([*lines, _start_command(found.start)])


def _start_command(start: StartMarket) -> str:
    said = start.model_dump(mode="json", exclude_unset=True)
    words = ["flotilla", "market", "start", f"{start.venue}/{start.account}/{start.symbol}"]
    if "fleet" in said:
        words += ["--fleet", said.pop("fleet")]
    for name, value in said.items():
        if name not in _IN_THE_NAME:
            words += ["--set", f"{name}={'null' if value is None else value}"]
    return shlex.join(words)
