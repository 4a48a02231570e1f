"""The lines of docs/tracing.md, run as they stand, with an exporter of the test's own in the place of OTLP's."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

from support.process import ROOT, child_environment

if TYPE_CHECKING:
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

PAGE = (ROOT / "docs" / "tracing.md").read_text()

BEFORE = """
import sys, types
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExporter, MetricExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

names = set()
spans = InMemorySpanExporter()

class Metrics(MetricExporter):
    def export(self, data, **_options):
        names.update(m.name for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics)
        return MetricExportResult.SUCCESS
    def force_flush(self, timeout_millis=0):
        return True
    def shutdown(self, timeout_millis=0, **_options):
        pass

home = "opentelemetry.exporter.otlp.proto.http"
for name in ("opentelemetry.exporter", "opentelemetry.exporter.otlp", "opentelemetry.exporter.otlp.proto", home):
    sys.modules[name] = types.ModuleType(name)
for name, exporter, make in (("trace", "OTLPSpanExporter", lambda: spans), ("metric", "OTLPMetricExporter", Metrics)):
    sys.modules[f"{home}.{name}_exporter"] = module = types.ModuleType(name)
    setattr(module, exporter, make)
"""

AFTER = """
from glidecache import ClientSideCache, GlideClientConfiguration, NodeAddress
from glidecache.sync import GlideClient
cache = ClientSideCache.create(1024, 0, enable_metrics=True)
client = GlideClient.create(GlideClientConfiguration(
    [NodeAddress("127.0.0.1", int(sys.argv[1]))], runtime_dir=sys.argv[2], client_side_cache=cache,
    request_timeout=5000))
client.set("k", "v")
for _ in range(10):
    client.get("k")
trace.get_tracer_provider().force_flush()
metrics.get_meter_provider().force_flush()
print(",".join(span.name for span in spans.get_finished_spans()))
print(",".join(sorted(names)))
"""


def test_the_pages_lines_give_spans_and_metrics(daemon: Daemon, valkey: ValkeyServer) -> None:
    first, second = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    compile(second, "docs/tracing.md", "exec")
    program = BEFORE + first + AFTER
    finished = subprocess.run(
        [sys.executable, "-c", program, str(valkey.port), str(daemon.runtime_dir)],
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    spans, metrics = finished.stdout.splitlines()
    assert spans == "SET,GET"
    documented = set(re.findall(r"`(glidecache\.cache\.\w+)`", PAGE.partition("## Metrics")[2])) - {
        "glidecache.cache.name"
    }
    assert documented == set(metrics.split(","))


def test_the_page_has_each_attribute() -> None:
    sources = [
        (ROOT / "client" / "glidecache" / "core" / name).read_text()
        for name in ("tracing.py", "cache_instruments.py")
    ]
    attributes = set(re.findall(r'"((?:db|server|error|glidecache)\.[\w.]+\w)"', "".join(sources)))
    assert {"db.system.name", "error.type"} <= attributes
    assert attributes - set(re.findall(r"`([\w.]+)`", PAGE)) == set()
