"""Infra adds to the server what workflows write: the two lists are one."""

import pytest
from temporalio.api.enums.v1 import IndexedValueType

from infra.temporal.search_attributes import SEARCH_ATTRIBUTES, wrong_types
from workflows import names


def test_the_attributes_added_are_those_the_workflows_write() -> None:
    written = {
        key.name: IndexedValueType.ValueType(key.indexed_value_type)
        for key in names.SEARCH_ATTRIBUTES
    }
    added = {
        name: IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{kind.upper()}")
        for name, kind in SEARCH_ATTRIBUTES
    }
    assert added == written
    assert len(added) == len(SEARCH_ATTRIBUTES), "no name is listed twice"


@pytest.mark.parametrize(("known", "sentences"), [("Double", 0), ("Text", 1)])
def test_an_attribute_of_another_type_is_named(known: str, sentences: int) -> None:
    told = wrong_types({"PnlQuote": known, "Other": "Int"}, SEARCH_ATTRIBUTES)
    assert len(told) == sentences
    assert all("PnlQuote is Text on the server and must be Double" in one for one in told)
