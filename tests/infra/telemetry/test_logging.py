"""The product promises that no secret ever reaches a log, and that logs can be read by machines."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from desk.errors import ConfigurationFault
from infra.telemetry.logging import SecretFilter, set_up_logging

SECRET = "s3cr3t-value"  # noqa: S105 - a stand-in


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in list(root.handlers):
        if handler not in handlers:
            root.removeHandler(handler)
            handler.close()
    root.setLevel(level)
    structlog.reset_defaults()


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "worker.log").read_text().splitlines()]


def set_up(folder: Path | None, console: io.StringIO, level: str = "info") -> None:
    set_up_logging(level=level, folder=folder, process="worker", secrets=[SECRET], console=console)


def test_the_file_holds_json_and_the_console_reads_well(tmp_path: Path) -> None:
    console = io.StringIO()
    set_up(tmp_path, console)
    structlog.stdlib.get_logger("flotilla.test").warning("feed_lost", market="ocx/a/BTC", age_ms=5)
    logging.getLogger("elsewhere").info("plain %s", "words", extra={"market": "m"})
    first, second = lines(tmp_path)
    assert (first["event"], first["market"], first["age_ms"]) == ("feed_lost", "ocx/a/BTC", 5)
    assert (first["level"], first["logger"]) == ("warning", "flotilla.test")
    assert first["timestamp"].endswith("Z")
    assert (second["event"], second["market"]) == ("plain words", "m")
    assert "feed_lost" in console.getvalue()
    assert "\x1b" not in console.getvalue()


def test_secrets_are_hidden_wherever_they_stand(tmp_path: Path) -> None:
    console = io.StringIO()
    set_up(tmp_path, console)
    log = structlog.stdlib.get_logger()
    log.info("sent %s", SECRET, api_key="a-key-value", nested={"password": "pw-value", "ok": 1})
    log.info("url", url="postgresql+asyncpg://user:url-word@host:1/d")
    logging.getLogger("elsewhere").warning("header %s", SECRET)
    try:
        int(SECRET)
    except ValueError:
        log.exception("failed")
    everything = console.getvalue() + (tmp_path / "worker.log").read_text()
    for word in (SECRET, "a-key-value", "pw-value", "url-word"):
        assert word not in everything
    assert "user:[hidden]@host" in everything
    assert lines(tmp_path)[0]["nested"] == {"password": "[hidden]", "ok": 1}


@given(st.recursive(st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=8))
def test_no_shape_of_value_lets_a_secret_through(shape: Any) -> None:
    hide = SecretFilter([SECRET])
    event = hide(None, "info", {"event": "x", "value": [shape, {SECRET[:3]: (SECRET, shape)}]})
    assert SECRET not in repr(event)


def test_setting_up_again_replaces_what_was_there(tmp_path: Path) -> None:
    first, second = io.StringIO(), io.StringIO()
    set_up(None, first)
    set_up(tmp_path, second, level="error")
    structlog.stdlib.get_logger().warning("too quiet")
    structlog.stdlib.get_logger().error("heard")
    assert first.getvalue() == ""
    assert "too quiet" not in second.getvalue()
    assert [line["event"] for line in lines(tmp_path)] == ["heard"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(ConfigurationFault, match=r"log folder .* cannot be written"):
        set_up(tmp_path / "logs", io.StringIO())
