"""Which text format a scraper gets, whatever its `Accept` says."""

from __future__ import annotations

import pytest

from glidecached.metrics.prometheus import OPENMETRICS, TEXT, preferred

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)


@pytest.mark.parametrize(
    "accept",
    [
        PROMETHEUS_2,
        PROMETHEUS_3,
        "application/openmetrics-text",
        'Application/OpenMetrics-Text ; Version="1.0.0"',
        "application/openmetrics-text, */*",
    ],
)
def test_openmetrics_for_those_who_ask_for_it(accept: str) -> None:
    assert preferred(accept) is OPENMETRICS


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/html,application/xhtml+xml,*/*;q=0.8",
        "text/plain;version=0.0.4",
        "text/plain, application/openmetrics-text;q=0.5",
        "application/openmetrics-text;q=0",
        "application/openmetrics-text;version=0.0.1",
        "application/openmetrics-text;version=2.0.0",
        "application/openmetrics-text;version=nonsense",
        "application/openmetrics-text;q=nonsense",
        "application/openmetrics-text;q=nan",
        ";;,=,q=;",
    ],
)
def test_text_for_all_others(accept: str) -> None:
    assert preferred(accept) is TEXT
