"""The status page's colours: text that can be read in light and dark (WCAG 2.2, 1.4.3 and 1.4.11)."""

from __future__ import annotations

import re
from importlib import resources

import pytest

STYLE = (resources.files("glidecached.metrics") / "page" / "status.css").read_text()
LIGHT, DARK = (
    dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", part))
    for part in STYLE.split("@media (prefers-color-scheme: dark)")
)


def luminance(colour: str) -> float:
    channels = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (
        channel / 12.92 if channel <= 0.040_45 else ((channel + 0.055) / 1.055) ** 2.4 for channel in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(colours: dict[str, str]) -> None:
    for text in ("ink", "muted", "accent", "second"):
        for behind in ("ground", "card"):
            assert contrast(colours[text], colours[behind]) >= 4.5, (text, behind)
    for behind in ("alert-ground", "ground", "card"):
        assert contrast(colours["alert-ink"], colours[behind]) >= 4.5, behind


def test_nothing_is_made_pale() -> None:
    """What stands out by its colours does so no more when it is half transparent."""
    assert not re.search(r"\bopacity:", STYLE)
