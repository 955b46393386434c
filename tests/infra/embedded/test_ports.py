"""The product promises addresses that stay, and never takes a port it was not given."""

import random
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from desk.errors import ConfigurationFault
from infra.embedded.ports import HIGHEST, LOOPBACK, LOWEST, PortBook, PortWishes, is_free


def book(folder: Path, wishes: PortWishes | None = None, *, seed: int = 1) -> PortBook:
    return PortBook(folder / "ports.json", wishes or PortWishes(), random.Random(seed))


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        port: int = other.getsockname()[1]
        yield port


def test_a_chosen_port_is_remembered_across_starts(tmp_path: Path) -> None:
    first = book(tmp_path)
    port = first.choose("postgres")
    first.save()
    assert book(tmp_path, seed=99).choose("postgres") == port
    assert LOWEST <= port <= HIGHEST


def test_a_remembered_port_taken_by_another_program_is_replaced_and_said(
    tmp_path: Path, taken: int
) -> None:
    (tmp_path / "ports.json").write_text(f'{{"valkey": {taken}}}')
    again = book(tmp_path)
    assert again.choose("valkey") != taken
    assert len(again.notes) == 1
    assert str(taken) in again.notes[0]


def test_a_demanded_port_that_is_taken_is_refused_with_the_remedy(
    tmp_path: Path, taken: int
) -> None:
    with pytest.raises(ConfigurationFault, match=rf"Port {taken}, demanded for temporal, is taken"):
        book(tmp_path, PortWishes(demanded={"temporal": taken})).choose("temporal")


def test_a_preferred_port_yields_silently_when_it_is_taken(tmp_path: Path, taken: int) -> None:
    choosing = book(tmp_path, PortWishes(preferred={"ui": taken}))
    assert choosing.choose("ui") != taken
    assert choosing.notes == []


def test_ports_come_from_the_range_that_was_given_until_it_is_used_up(tmp_path: Path) -> None:
    few = range(HIGHEST + 1, HIGHEST + 5)  # from which no other test's stack draws
    choosing = book(tmp_path, PortWishes(among=few))
    ports = {choosing.choose(name) for name in ("postgres", "valkey", "temporal", "ui")}
    assert ports == set(few)
    with pytest.raises(ConfigurationFault, match=f"No free port between {few[0]} and {few[-1]}"):
        choosing.choose("metrics")


def test_no_two_services_get_the_same_port(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text('{"postgres": 20001, "valkey": 20001}')
    choosing = book(tmp_path)
    ports = [choosing.choose(name) for name in ("postgres", "valkey", "temporal", "ui")]
    assert len(set(ports)) == 4


@pytest.mark.parametrize("content", ["", "[]", "{", '{"postgres": "x"}', '{"postgres": 0}'])
def test_a_damaged_port_file_is_ignored(tmp_path: Path, content: str) -> None:
    (tmp_path / "ports.json").write_text(content)
    assert is_free(book(tmp_path).choose("postgres"))
