"""The documents speak of what exists: files, commands and settings; nothing is left unsaid."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from flotilla.cli import flotilla
from infra.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
PROSE = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)

_BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)#\s]+)")
_FILE = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|md|lua|toml|png))`")
_SETTING = re.compile(r"\bFLOTILLA_[A-Z_]+\b")


def test_the_readme_opens_with_the_two_commands() -> None:
    title, _, rest = README.partition("\n\n")
    block = _BLOCK.search(README)
    assert title.startswith("# ")
    assert block is not None
    assert rest.startswith(block.group(0)[:3])
    assert block.group(1).splitlines() == ["make demo", "make test"]


def test_the_readme_stays_short() -> None:
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_something(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    targets = [link for link in _LINK.findall(text) if "://" not in link]
    assert [link for link in targets if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("name", ["README.md", "docs/tour.md", "docs/operate.md"])
def test_files_named_in_the_text_exist(name: str) -> None:
    named = _FILE.findall((ROOT / name).read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_the_tour_names_files() -> None:
    tour = (ROOT / "docs/tour.md").read_text(encoding="utf-8")
    assert len(_FILE.findall(tour)) > 20


@pytest.mark.parametrize("image", sorted((ROOT / "docs/images").glob("*.png")), ids=str)
def test_pictures_are_small_and_used(image: Path) -> None:
    assert image.stat().st_size < 300_000
    assert f"docs/images/{image.name}" in README


def test_every_command_is_documented() -> None:
    assert [path for path in _commands(flotilla, "flotilla") if not _mentions(path)] == []


def test_every_setting_is_documented() -> None:
    known = {f"FLOTILLA_{name.upper()}" for name in Settings.model_fields}
    assert sorted(name for name in known if f"`{name}`" not in PROSE) == []


def test_no_setting_is_invented() -> None:
    known = {f"FLOTILLA_{name.upper()}" for name in Settings.model_fields}
    said = {name for name in _SETTING.findall(PROSE) if not name.startswith("FLOTILLA_VENUE_")}
    assert said <= known


def _commands(group: click.Group, path: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}"


def _mentions(path: str) -> bool:
    return re.search(rf"\b{re.escape(path)}\b", PROSE) is not None
