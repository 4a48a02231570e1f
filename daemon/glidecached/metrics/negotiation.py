"""The choice of a scraper's text format by its `Accept`: Prometheus' own, or OpenMetrics. Its text is never echoed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry

_OPENMETRICS_VERSION = "1.0.0"


class Form(NamedTuple):
    """A text format: its encoder, and its content type."""

    encode: Callable[[CollectorRegistry], bytes]
    content_type: str


TEXT = Form(generate_latest, "text/plain; version=0.0.4; charset=utf-8")
OPENMETRICS = Form(
    openmetrics.generate_latest,
    f"application/openmetrics-text; version={_OPENMETRICS_VERSION}; charset=utf-8",
)


def preferred(accept: str) -> Form:
    """Return OpenMetrics if the scraper accepts this version and does not prefer the text format; else that."""
    wishes = {OPENMETRICS: 0.0, TEXT: 0.0}
    for media_range in accept.lower().split(","):
        media, *parameters = (part.strip() for part in media_range.split(";"))
        given = dict(parameter.partition("=")[::2] for parameter in parameters)
        if media == "application/openmetrics-text":
            if given.get("version", _OPENMETRICS_VERSION).strip('"') != _OPENMETRICS_VERSION:
                continue
            form = OPENMETRICS
        elif media in {"text/plain", "text/*", "*/*"}:
            form = TEXT
        else:
            continue
        wishes[form] = max(wishes[form], _quality(given.get("q", "1")))
    return OPENMETRICS if 0 < wishes[OPENMETRICS] >= wishes[TEXT] else TEXT


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
