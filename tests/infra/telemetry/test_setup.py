"""The product promises one catalogue of metrics, silence when off, and nothing on stdout."""

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from infra.telemetry import catalogue
from infra.telemetry.catalogue import CATALOGUE, Metric
from infra.telemetry.setup import Telemetry, set_up, telemetry_meters


def test_the_catalogue_names_each_metric_once_with_unit_and_meaning() -> None:
    assert len({metric.name for metric in CATALOGUE}) == len(CATALOGUE) >= 20
    for metric in CATALOGUE:
        assert metric.name.startswith("flotilla.")
        assert metric.unit
        assert metric.description.endswith(".")
        assert (metric.bounds is not None) == (metric.kind == "histogram")
        assert list(metric.bounds or ()) == sorted(metric.bounds or ())


def test_what_is_recorded_is_exported_under_its_name() -> None:
    reader = InMemoryMetricReader()
    telemetry = Telemetry(telemetry_meters(reader, Resource.create({})), TracerProvider())
    telemetry.recorder(catalogue.FILLS)(2, {"market": "a"})
    telemetry.recorder(catalogue.TICK_TO_WIRE)(0.2, {"market": "a"})
    telemetry.observe(catalogue.LEDGER_BEHIND, lambda: 1.5)
    telemetry.observe(catalogue.CLOCK_OFFSET, lambda: {"a": -3.0})
    data = reader.get_metrics_data()
    assert data is not None
    found = {m.name: m for m in data.resource_metrics[0].scope_metrics[0].metrics}
    assert set(found) == {
        "flotilla.fills",
        "flotilla.tick_to_wire",
        "flotilla.ledger.behind",
        "flotilla.clock.offset",
    }
    assert found["flotilla.tick_to_wire"].unit == "ms"
    [point] = found["flotilla.tick_to_wire"].data.data_points
    assert tuple(getattr(point, "explicit_bounds", ())) == catalogue.TICK_TO_WIRE.bounds
    telemetry.close()


def test_off_records_nothing_and_makes_nothing() -> None:
    telemetry = set_up("off", role="worker", fleet="main", instance="1")
    assert not telemetry.on
    one, other = map(telemetry.recorder, (catalogue.FILLS, catalogue.TICK_TO_WIRE))
    assert one is other  # the same function that does nothing
    one(1, {})
    with telemetry.tracer.start_as_current_span("quiet") as span:
        assert not span.is_recording()
    telemetry.close()


def test_console_talks_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry = set_up("console", role="worker", fleet="main", instance="1")
    telemetry.recorder(catalogue.KILLS)(1, {})
    with telemetry.tracer.start_as_current_span("seen"):
        pass
    telemetry.close()
    talk = capsys.readouterr()
    assert talk.out == ""
    assert "flotilla.kill" in talk.err
    assert "seen" in talk.err


def test_otlp_starts_without_a_collector() -> None:
    assert set_up("otlp", role="worker", fleet="main", instance="1").on


def test_a_metric_outside_the_catalogue_is_a_mistake() -> None:
    stray = Metric(name="flotilla.stray", kind="counter", unit="1", description="Stray.")
    with pytest.raises(ValueError, match="not a counter or histogram of the catalogue"):
        Telemetry().recorder(stray)
    with pytest.raises(ValueError, match="not a gauge of the catalogue"):
        Telemetry().observe(catalogue.FILLS, lambda: 0.0)
