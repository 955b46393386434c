"""Makes `nord_pb2.py` and its types from `nord.proto`: `python -m venues.zo.schema.compile`.

What is committed is exactly what this writes; a test compares them.
"""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

_HERE = Path(__file__).parent
_SOURCE = "nord.proto"
# Generated code follows nobody's house rules.
_HEADERS = {
    "nord_pb2.py": (
        "# ruff: noqa: E501, ERA001, I001, Q000, Q004, SLF001\n# fmt: off\n# mypy: ignore-errors\n"
    ),
    "nord_pb2.pyi": (
        "# ruff: noqa: E501, I001, RUF023, UP007, UP045\n# fmt: off\n"
        '# mypy: disable-error-code="type-arg"\n'
    ),
}


def generated() -> Mapping[str, str]:
    """File name to text, as protoc makes it now. Needs the development tool `grpcio-tools`."""
    from grpc_tools import protoc  # type: ignore[import-untyped]  # noqa: PLC0415 -- developers only

    bundled = files("grpc_tools") / "_proto"
    with TemporaryDirectory() as place:
        failed = protoc.main(
            [
                "protoc",
                f"--proto_path={_HERE}",
                f"--proto_path={bundled}",
                f"--python_out={place}",
                f"--pyi_out={place}",
                _SOURCE,
            ]
        )
        if failed:
            raise RuntimeError(f"protoc refused {_SOURCE}")
        return {
            name: header + (Path(place) / name).read_text() for name, header in _HEADERS.items()
        }


def write() -> None:
    """Replace the committed files."""
    for name, text in generated().items():
        (_HERE / name).write_text(text)


if __name__ == "__main__":
    write()
