"""Lua scripts: each is one atomic decision inside Redis, on Redis' own clock."""

from importlib.resources import files


def source(name: str) -> str:
    """Text of `NAME.lua`."""
    return files(__name__).joinpath(f"{name}.lua").read_text(encoding="utf-8")
