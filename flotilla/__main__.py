"""Launcher: makes the house's own packages importable, bundled in a wheel or checked out."""

import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_BUNDLE = _HERE / "_bundle"
sys.path.insert(0, str(_BUNDLE if _BUNDLE.is_dir() else _HERE.parent))


def main() -> None:
    """Run the command line."""
    from flotilla.cli import run  # noqa: PLC0415 - the path above comes first

    run()


if __name__ == "__main__":
    main()
