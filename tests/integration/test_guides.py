"""The guides' examples and figures, as they stand."""

from __future__ import annotations

import re

import pytest

from glidecache_shared.pool.store import charge_bytes
from integration.test_documents import embedded_daemon, promised, run
from support.process import ROOT

__all__ = ["embedded_daemon"]

GUIDES = ("getting-started", "choosing-size-and-ttl", "staleness")


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text()


@pytest.mark.usefixtures("embedded_daemon")
@pytest.mark.parametrize("name", GUIDES)
def test_the_examples_print_what_they_promise(name: str) -> None:
    examples = re.findall(r"```python\n(.*?)```", page(name), re.DOTALL)
    assert examples
    for example in examples:
        assert promised(example)
        assert run(example) == promised(example)


def test_the_table_of_charges_is_what_the_pool_charges() -> None:
    rows = re.findall(
        r"^\|[^|]+\| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$",
        page("choosing-size-and-ttl"),
        re.MULTILINE,
    )
    assert len(rows) > 5
    for row in rows:
        key, payload, charge, fit = (int(figure.replace(",", "")) for figure in row)
        assert charge == charge_bytes(key, payload)
        assert fit == 65_536 * 1024 // charge
