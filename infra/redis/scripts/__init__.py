"""Lua scripts: each is one atomic decision inside Redis, on Redis' own clock."""

from importlib.resources import files


def source(*names: str) -> str:
    """Text of `NAME.lua`, what it is built on first."""
    folder = files(__name__)
    return "".join(folder.joinpath(f"{name}.lua").read_text(encoding="utf-8") for name in names)
