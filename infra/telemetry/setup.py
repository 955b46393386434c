"""Traces and metrics of one process: off, to stderr, or to an OpenTelemetry collector.

The one rule: off costs a function call and nothing more; stdout is never written.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    MetricExporter,
    MetricReader,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
    SpanExporter,
)

from desk.errors import ConfigurationFault
from infra.telemetry.catalogue import CATALOGUE, Metric

Record = Callable[[float, Mapping[str, str]], None]
"""Adds to a counter or puts a value into a histogram: value in the metric's unit, attributes."""

_SCOPE = "flotilla"
_EXPORT_EVERY_MS = 10_000


def _nothing(_value: float, _attributes: Mapping[str, str]) -> None:
    return


class Telemetry:
    """What a process records with; `set_up` makes it."""

    def __init__(
        self, meters: MeterProvider | None = None, tracers: TracerProvider | None = None
    ) -> None:
        self._meters = meters
        self._tracers = tracers
        self._records: dict[str, Record] = {}

    @property
    def on(self) -> bool:
        """Whether anything is recorded."""
        return self._meters is not None

    @property
    def tracer_provider(self) -> trace.TracerProvider:
        """For instrumentations such as Temporal's; records nothing when off."""
        return self._tracers or trace.NoOpTracerProvider()

    @property
    def tracer(self) -> trace.Tracer:
        """Makes spans; records nothing when off."""
        return self.tracer_provider.get_tracer(_SCOPE)

    def recorder(self, metric: Metric) -> Record:
        """The function that records a counter or histogram; take it once, call it often."""
        _of_catalogue(metric, "counter", "histogram")
        if metric.name not in self._records:
            self._records[metric.name] = self._make(metric)
        return self._records[metric.name]

    def observe(self, metric: Metric, read: Callable[[], Mapping[str, float] | float]) -> None:
        """Have a gauge read at every export: one value, or values by market. `read` is quick."""
        _of_catalogue(metric, "gauge")
        if self._meters is None:
            return

        def observed(_options: CallbackOptions) -> Iterable[Observation]:
            found = read()
            if isinstance(found, Mapping):
                return [Observation(value, {"market": name}) for name, value in found.items()]
            return [Observation(found)]

        self._meters.get_meter(_SCOPE).create_observable_gauge(
            metric.name, callbacks=[observed], unit=metric.unit, description=metric.description
        )

    def close(self) -> None:
        """Export what is left; blocks for some seconds at worst."""
        if self._meters is not None:
            self._meters.shutdown(timeout_millis=5_000)
        if self._tracers is not None:
            self._tracers.shutdown()

    def _make(self, metric: Metric) -> Record:
        if self._meters is None:
            return _nothing
        meter: metrics.Meter = self._meters.get_meter(_SCOPE)
        described: dict[str, Any] = {"unit": metric.unit, "description": metric.description}
        if metric.kind == "counter":
            return meter.create_counter(metric.name, **described).add
        return meter.create_histogram(
            metric.name, **described, explicit_bucket_boundaries_advisory=metric.bounds
        ).record


def set_up(
    mode: Literal["off", "console", "otlp"], *, role: str, fleet: str, instance: str
) -> Telemetry:
    """Telemetry of this process; `role`, `fleet` and `instance` are put on everything.

    `otlp` sends over HTTP as the standard OTEL_EXPORTER_OTLP_* variables say. Raises
    ConfigurationFault when its exporter is not installed.
    """
    if mode == "off":
        return Telemetry()
    resource = Resource.create(
        {
            "service.name": f"flotilla-{role}",
            "service.namespace": fleet,
            "service.instance.id": instance,
        }
    )
    reader, processor = _console() if mode == "console" else _otlp()
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracers.add_span_processor(processor)
    return Telemetry(telemetry_meters(reader, resource), tracers)


def telemetry_meters(reader: MetricReader, resource: Resource) -> MeterProvider:
    """Metrics that are read by `reader`; a test reads them in memory."""
    return MeterProvider(metric_readers=[reader], resource=resource, shutdown_on_exit=False)


def _console() -> tuple[MetricReader, SpanProcessor]:
    exporter = ConsoleMetricExporter(out=sys.stderr)
    return _periodic(exporter), SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stderr))


def _otlp() -> tuple[MetricReader, SpanProcessor]:
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415 - an extra
            OTLPMetricExporter,
        )
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
    except ImportError:
        raise ConfigurationFault(
            "FLOTILLA_TELEMETRY is otlp but its exporter is not installed; "
            "install flotilla[otlp] or set it to off or console."
        ) from None
    spans: SpanExporter = OTLPSpanExporter()
    return _periodic(OTLPMetricExporter()), BatchSpanProcessor(spans)


def _periodic(exporter: MetricExporter) -> MetricReader:
    return PeriodicExportingMetricReader(exporter, export_interval_millis=_EXPORT_EVERY_MS)


def _of_catalogue(metric: Metric, *kinds: str) -> None:
    if metric not in CATALOGUE or metric.kind not in kinds:
        raise ValueError(f"{metric.name} is not a {' or '.join(kinds)} of the catalogue")
