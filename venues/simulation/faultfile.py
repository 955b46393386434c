"""Reads faults from a JSON file or body: a list of faults, or one fault.

A bad file ends in one sentence that names the file and the place; nothing of it is armed.
"""

from pathlib import Path

import msgspec

from desk.errors import ConfigurationFault
from venues.simulation.faults import Fault


def decode_faults(raw: bytes) -> list[Fault]:
    """Faults of a JSON text; ValueError with a sentence when it is not right."""
    try:
        if raw.lstrip().startswith(b"["):
            return msgspec.json.decode(raw, type=list[Fault])
        return [msgspec.json.decode(raw, type=Fault)]
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise ValueError(str(fault)) from fault


def read_faults(path: Path) -> list[Fault]:
    """Faults of a file; ConfigurationFault when it cannot be read or is not right."""
    try:
        return decode_faults(path.read_bytes())
    except OSError as fault:
        raise ConfigurationFault(
            f"faults file {path} cannot be read: {fault.strerror}; give the path of a JSON file"
        ) from fault
    except ValueError as fault:
        raise ConfigurationFault(
            f"faults file {path} is not valid: {fault}; correct that field"
        ) from fault
