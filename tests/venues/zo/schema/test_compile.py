"""The committed schema modules are what protoc makes of the committed schema."""

from pathlib import Path

import pytest

import venues.zo.schema
from venues.zo.schema.compile import generated

_HOME = Path(venues.zo.schema.__file__).parent


@pytest.mark.parametrize("name", ["nord_pb2.py", "nord_pb2.pyi"])
def test_the_committed_module_is_what_protoc_makes_now(name: str) -> None:
    assert (_HOME / name).read_text() == generated()[name]
