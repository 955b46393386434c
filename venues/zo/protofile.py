"""A small reader of `.proto` text: messages with their fields, enums with their values.

It reads what a schema guard needs and skips the rest; names are resolved from the inside out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_WORD = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"|[\w.]+|[^\s\w]', re.DOTALL)
_LABELS = frozenset({"optional", "repeated", "required"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtoField:
    """One field; `kind` is the type as written."""

    name: str
    number: int
    kind: str
    repeated: bool


@dataclass(slots=True)
class ProtoMessage:
    """One message with its fields by number; `path` are the names from the outside in."""

    path: tuple[str, ...]
    fields: dict[int, ProtoField] = field(default_factory=dict)


@dataclass(slots=True)
class ProtoEnum:
    """One enum with its names by number."""

    path: tuple[str, ...]
    values: dict[int, str] = field(default_factory=dict)


class ProtoFile:
    """Everything in one file. ValueError for text that cannot be read as proto3."""

    def __init__(self, text: str) -> None:
        self.messages: dict[tuple[str, ...], ProtoMessage] = {}
        self.enums: dict[tuple[str, ...], ProtoEnum] = {}
        self._package: tuple[str, ...] = ()
        found = _WORD.findall(text)
        self._words = iter([one for one in found if not one.startswith(("//", "/*"))])
        try:
            self._read_file()
        except StopIteration:
            raise ValueError("the schema ends in the middle of a definition") from None

    def message(self, kind: str, inside: tuple[str, ...]) -> ProtoMessage | None:
        """The message a type name means inside another, None when it is not one."""
        path = self._resolved(kind, inside)
        return None if path is None else self.messages.get(path)

    def enum(self, kind: str, inside: tuple[str, ...]) -> ProtoEnum | None:
        """The enum a type name means inside a message, None when it is not one."""
        path = self._resolved(kind, inside)
        return None if path is None else self.enums.get(path)

    def _resolved(self, kind: str, inside: tuple[str, ...]) -> tuple[str, ...] | None:
        parts = tuple(kind.removeprefix(".").split("."))
        package = len(self._package)
        if package and parts[:package] == self._package:
            parts = parts[package:]
        for depth in range(len(inside), -1, -1):
            path = inside[:depth] + parts
            if path in self.messages or path in self.enums:
                return path
        return None

    def _read_file(self) -> None:
        for word in self._words:
            if word == "message":
                self._read_message((next(self._words),))
            elif word == "enum":
                self._read_enum((next(self._words),))
            elif word == "package":
                self._package = tuple("".join(self._until(";")).split("."))
            elif word == "service":
                self._skip_block()
            elif word != ";":
                list(self._until(";"))

    def _read_message(self, path: tuple[str, ...]) -> None:
        message = self.messages[path] = ProtoMessage(path)
        self._expect("{")
        self._read_fields(message)

    def _read_fields(self, message: ProtoMessage) -> None:
        for word in self._words:
            if word == "}":
                return
            if word == "message":
                self._read_message((*message.path, next(self._words)))
            elif word == "enum":
                self._read_enum((*message.path, next(self._words)))
            elif word == "oneof":
                next(self._words)
                self._expect("{")
                self._read_fields(message)
            elif word in {"option", "reserved", "extensions"}:
                list(self._until(";"))
            elif word != ";":
                self._read_field(message, word)
        raise StopIteration

    def _read_field(self, message: ProtoMessage, word: str) -> None:
        parts = [word, *self._until(";")]
        if "=" not in parts:
            raise ValueError(f"{'.'.join(message.path)}: {' '.join(parts)} is no field")
        place = parts.index("=")
        before = [part for part in parts[:place] if part not in _LABELS]
        number = int(parts[place + 1], 0)
        message.fields[number] = ProtoField(
            name=before[-1],
            number=number,
            kind="".join(before[:-1]),
            repeated=parts[0] == "repeated" or before[0] == "map",
        )

    def _read_enum(self, path: tuple[str, ...]) -> None:
        enum = self.enums[path] = ProtoEnum(path)
        self._expect("{")
        for word in self._words:
            if word == "}":
                return
            if word in {"option", "reserved"}:
                list(self._until(";"))
            elif word != ";":
                parts = [word, *self._until(";")]
                sign = -1 if parts[2:3] == ["-"] else 1
                enum.values[sign * int(parts[3 if sign < 0 else 2], 0)] = parts[0]
        raise StopIteration

    def _skip_block(self) -> None:
        list(self._until("{"))
        depth = 1
        while depth:
            word = next(self._words)
            depth += (word == "{") - (word == "}")

    def _expect(self, wanted: str) -> None:
        word = next(self._words)
        if word != wanted:
            raise ValueError(f"{word!r} where {wanted!r} was expected")

    def _until(self, end: str) -> Iterator[str]:
        for word in self._words:
            if word == end:
                return
            yield word
        raise ValueError(f"the schema ends before {end!r}")
