"""Fields of a message as people write them on a command line: FIELD=VALUE.

The one rule: whatever is wrong with them comes back as one sentence per field.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import pydantic

from desk.errors import ConfigurationFault

T = TypeVar("T")


def fields(values: Iterable[str]) -> dict[str, Any]:
    """Values by field name; ConfigurationFault for a text that is not FIELD=VALUE."""
    found: dict[str, Any] = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or not key:
            raise ConfigurationFault(f"'{value}': write FIELD=VALUE, like level_notional=250")
        found[key] = json.loads(text) if text in ("true", "false", "null") else text
    return found


def checked(make: Callable[[], T]) -> T:
    """What `make` builds; ConfigurationFault with its validation error's sentences."""
    try:
        return make()
    except pydantic.ValidationError as error:
        sentences = []
        for item in error.errors():
            place = ".".join(str(part) for part in item["loc"])
            text = item["msg"].removeprefix("Value error, ")
            sentences.append(f"{place}: {text}" if place else text)
        raise ConfigurationFault("; ".join(sentences)) from error
