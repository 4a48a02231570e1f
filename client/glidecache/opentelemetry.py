"""OpenTelemetry, with GLIDE's names: spans for what is asked of the daemon, never for hits, and metrics of the caches.

Spans and metrics go to the application's own OpenTelemetry SDK. This module imports OpenTelemetry's API when `init` is
called, not before: clients that are not traced run none of its code.
"""

from __future__ import annotations

import weakref

from glidecache.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Tracer, TracerProvider

    from glidecache.core.client_base import ClientBase

_DEFAULT_PERCENTAGE = 1
_ALL = 100
_NO_ENDPOINT = (
    "OpenTelemetry: {name} has the endpoint {endpoint!r}, but glidecache exports nothing itself: leave it out, and "
    "give it to an exporter of the application's OpenTelemetry SDK"
)

_clients: dict[int, weakref.ref[ClientBase]] = {}
"""All clients of this process, by their addresses. Without a lock, which a fork could copy in its locked state."""


class OpenTelemetryTracesConfig:
    """Settings of traces. `sample_percentage`: how many of 100 requests get a span, 0 to 100; GLIDE's default is 1.

    The SDK's sampler decides besides. The caller's current span is the parent in any case, so
    `enable_trace_context_propagation`, a parameter of GLIDE's, changes nothing. `endpoint` must be left out.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        sample_percentage: float | None = None,
        enable_trace_context_propagation: bool = False,
    ) -> None:
        self.endpoint = endpoint
        self.sample_percentage: float = (
            _DEFAULT_PERCENTAGE if sample_percentage is None else sample_percentage
        )
        self.enable_trace_context_propagation = enable_trace_context_propagation

    def get_endpoint(self) -> str | None:
        """Return the endpoint: None."""
        return self.endpoint

    def get_sample_percentage(self) -> float:
        """Return how many of 100 requests get a span."""
        return self.sample_percentage


class OpenTelemetryMetricsConfig:
    """That the caches' metrics are reported. `endpoint` must be left out."""

    def __init__(self, endpoint: str | None = None) -> None:
        self.endpoint = endpoint

    def get_endpoint(self) -> str | None:
        """Return the endpoint: None."""
        return self.endpoint


class OpenTelemetryConfig:
    """Settings of `OpenTelemetry.init`: `traces`, `metrics`, or both. `flush_interval_ms` must be left out."""

    def __init__(
        self,
        traces: OpenTelemetryTracesConfig | None = None,
        metrics: OpenTelemetryMetricsConfig | None = None,
        flush_interval_ms: int | None = None,
    ) -> None:
        self.traces = traces
        self.metrics = metrics
        self.flush_interval_ms = flush_interval_ms

    def get_traces(self) -> OpenTelemetryTracesConfig | None:
        """Return what is traced."""
        return self.traces

    def set_traces(self, traces: OpenTelemetryTracesConfig) -> None:
        """Choose what is traced, before `init`."""
        self.traces = traces

    def get_metrics(self) -> OpenTelemetryMetricsConfig | None:
        """Return whether metrics are reported: None if not."""
        return self.metrics

    def get_flush_interval_ms(self) -> int | None:
        """Return the flush interval: None."""
        return self.flush_interval_ms


class OpenTelemetry:
    """The process's one switch for traces and metrics, for all clients, asyncio and blocking, made before or after.

    For any thread. A forked child has what its parent had; its SDK has to be one that works after a fork.
    """

    _instance: ClassVar[OpenTelemetry | None] = None
    _config: ClassVar[OpenTelemetryConfig | None] = None
    _tracer: ClassVar[Tracer | None] = None

    @staticmethod
    def init(
        config: OpenTelemetryConfig | None = None,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        """Switch traces and metrics on; once per process, later calls log a warning and change nothing.

        Without a `config`: both, and every request is offered to the SDK's sampler. Without providers: the
        process's, `opentelemetry.trace.get_tracer_provider()` and its like for meters; they may be set later. Raises
        `ConfigurationError` for values that cannot be used, and where the package `opentelemetry-api` is missing.
        """
        if OpenTelemetry._instance is not None:
            _warn("OpenTelemetry is initialised already; the new configuration is ignored")
            return
        if config is None:
            config = OpenTelemetryConfig(
                OpenTelemetryTracesConfig(sample_percentage=_ALL), OpenTelemetryMetricsConfig()
            )
        _check(config)
        try:
            from opentelemetry import metrics, trace
        except ImportError as error:
            message = f"OpenTelemetry needs the extra otel: pip install 'glidecached[otel]' ({error})"
            raise ConfigurationError(message) from None
        from glidecache_shared import __version__

        OpenTelemetry._config = config
        OpenTelemetry._instance = OpenTelemetry()
        if config.metrics is not None:
            from glidecache.core.cache_instruments import CacheInstruments

            CacheInstruments(metrics.get_meter(__package__, __version__, meter_provider), open_clients)
        if config.traces is not None:
            OpenTelemetry._tracer = trace.get_tracer(__package__, __version__, tracer_provider)
            for client in open_clients():
                client._begin_tracing(OpenTelemetry._tracer, OpenTelemetry.should_sample)

    @staticmethod
    def is_initialized() -> bool:
        """Return whether `init` was called, with success."""
        return OpenTelemetry._instance is not None

    @staticmethod
    def get_sample_percentage() -> float | None:
        """Return how many of 100 requests get a span; None without traces."""
        config = OpenTelemetry._config
        return None if config is None or config.traces is None else config.traces.sample_percentage

    @staticmethod
    def should_sample() -> bool:
        """Return by chance whether a request gets a span."""
        percentage = OpenTelemetry.get_sample_percentage()
        if percentage is None:
            return False
        if percentage >= _ALL:
            return True
        import random

        return random.random() * _ALL < percentage  # noqa: S311 - no secret

    @staticmethod
    def set_sample_percentage(percentage: float) -> None:
        """Choose how many of 100 requests get a span from now on. Raises `ConfigurationError`."""
        config = OpenTelemetry._config
        if config is None or config.traces is None:
            message = "OpenTelemetry traces not initialized: call OpenTelemetry.init with traces first"
            raise ConfigurationError(message)
        _need_percentage(percentage)
        config.traces.sample_percentage = percentage


def enlist(client: ClientBase) -> None:
    """Have a new client traced if traces are on, and otherwise as soon as they are."""
    place = id(client)
    _clients[place] = weakref.ref(client, lambda _: _clients.pop(place, None))
    if OpenTelemetry._tracer is not None:
        client._begin_tracing(OpenTelemetry._tracer, OpenTelemetry.should_sample)


def open_clients() -> list[ClientBase]:
    """Return the clients that exist now."""
    # A list of a dict's values is made in one go, whatever other threads do.
    return [client for client in (each() for each in list(_clients.values())) if client is not None]


def _check(config: object) -> None:
    if not isinstance(config, OpenTelemetryConfig):
        message = f"OpenTelemetry.init needs an OpenTelemetryConfig, not {type(config).__name__}"
        raise ConfigurationError(message)
    traces, metrics = config.traces, config.metrics
    if traces is None and metrics is None:
        message = "OpenTelemetryConfig: at least one of traces and metrics must be given"
        raise ConfigurationError(message)
    for name, value, kind in (
        ("traces", traces, OpenTelemetryTracesConfig),
        ("metrics", metrics, OpenTelemetryMetricsConfig),
    ):
        if value is not None and not isinstance(value, kind):
            message = f"OpenTelemetryConfig: {name} must be an {kind.__name__}, not {type(value).__name__}"
            raise ConfigurationError(message)
        if value is not None and value.endpoint is not None:
            raise ConfigurationError(_NO_ENDPOINT.format(name=name, endpoint=value.endpoint))
    if config.flush_interval_ms is not None:
        message = (
            "OpenTelemetryConfig: flush_interval_ms is not used: the application's OpenTelemetry SDK exports, and "
            "has intervals of its own"
        )
        raise ConfigurationError(message)
    if traces is not None:
        _need_percentage(traces.sample_percentage)


def _need_percentage(percentage: object) -> None:
    if (
        isinstance(percentage, bool)
        or not isinstance(percentage, (int, float))
        or not 0 <= percentage <= _ALL
    ):
        message = f"OpenTelemetry: sample_percentage must be between 0 and 100, not {percentage!r}"
        raise ConfigurationError(message)


def _warn(text: str) -> None:
    import logging

    logging.getLogger("glidecache").warning("%s", text, extra={"text": text})
