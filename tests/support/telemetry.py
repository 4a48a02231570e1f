"""OpenTelemetry's own SDK, in memory: what a test's clients have reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from glidecache import OpenTelemetry, OpenTelemetryConfig

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from support.clients import AnyClient

Observed = dict[tuple[str, str], int]
"""Numbers by the instrument's name and the cache's."""


class Telemetry:
    """The providers of a test, and what came to them."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.traces = TracerProvider()
        self.traces.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        self.meters = MeterProvider([self._reader])

    def init(self, config: OpenTelemetryConfig | None = None) -> None:
        """Switch on what the configuration says; without one, all."""
        OpenTelemetry.init(config, tracer_provider=self.traces, meter_provider=self.meters)

    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended since this was asked last."""
        found = list(self._exporter.get_finished_spans())
        self._exporter.clear()
        return found

    def span(self) -> ReadableSpan:
        """The only one of them."""
        (span,) = self.spans()
        return span

    def call_within(self, client: AnyClient, method: str, *arguments: object) -> ReadableSpan:
        """Call a method within a span of the caller's, `caller`, and return that."""
        tracer = self.traces.get_tracer("test")
        if client.kind == "blocking":
            with tracer.start_as_current_span("caller") as span:
                client.call(method, *arguments)
            return span  # type: ignore[return-value]

        async def call() -> Any:
            with tracer.start_as_current_span("caller") as span:
                await getattr(client.client, method)(*arguments)
            return span

        return client.run(call())  # type: ignore[attr-defined, no-any-return]

    def points(self, name: str = "") -> list[tuple[dict[str, Any], int]]:
        """The attributes and the value of each point that an instrument shows now, or that all show."""
        found = []
        data = self._reader.get_metrics_data()
        for resource in [] if data is None else data.resource_metrics:
            for scope in resource.scope_metrics:
                assert scope.scope.name == "glidecache"
                for metric in scope.metrics:
                    if name in ("", metric.name):
                        points: Any = metric.data.data_points
                        found += [({"": metric.name, **point.attributes}, point.value) for point in points]
        return found

    def observed(self) -> Observed:
        """All values, of caches that their names tell apart."""
        points = self.points()
        found = {(point[""], point["glidecache.cache.name"]): value for point, value in points}
        assert len(found) == len(points)
        return found

    def close(self) -> None:
        """End both providers."""
        self.traces.shutdown()
        self.meters.shutdown()
