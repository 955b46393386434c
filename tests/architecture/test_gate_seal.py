"""Only the risk gate may hold the seal that makes `Approved`, by reading the whole source."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("flotilla", "workflows", "activities", "quoting", "desk", "venues", "infra")
HOLDERS = {"desk/risk/gate.py", "desk/risk/approval.py"}
SEALS = {"SEAL", "_Seal", "_seal"}


def mentions_of_the_seal(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ImportFrom(module=str(module), names=names) if module.endswith("approval"):
                yield from (alias.name for alias in names if alias.name in SEALS | {"*"})
            case ast.Attribute(attr=name) | ast.Name(id=name) if name in SEALS:
                yield name
            case ast.Constant(value=str(name)) if name in SEALS:
                yield name
            case _:
                pass


def sources() -> list[Path]:
    return [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def test_no_module_but_the_gate_touches_the_seal() -> None:
    found = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in sources()}
    assert found.keys() >= HOLDERS
    holders = {name for name, source in found.items() if any(mentions_of_the_seal(source))}
    assert holders == HOLDERS


@pytest.mark.parametrize(
    "source",
    [
        "from desk.risk.approval import SEAL",
        "from desk.risk.approval import SEAL as wax",
        "from desk.risk.approval import *",
        "from .approval import SEAL",
        "import desk.risk.approval as a; a.SEAL",
        "import desk.risk.approval as a; getattr(a, 'SEAL')",
    ],
)
def test_the_scan_sees_every_way_to_take_the_seal(source: str) -> None:
    assert list(mentions_of_the_seal(source))


def test_the_scan_lets_the_type_be_imported() -> None:
    assert not list(mentions_of_the_seal("from desk.risk.approval import Approved"))
