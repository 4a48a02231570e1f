"""The guides' examples and figures, as they stand, and the screens that the operator's pages show."""

from __future__ import annotations

import os
import re

import pytest
from click.testing import CliRunner

from glidecache import ClientSideCache, GlideClientConfiguration
from glidecache.sync import GlideClient
from glidecache_shared.pool.store import charge_bytes
from glidecached.cli import operator
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


def shown(name: str, command: str) -> list[str]:
    """What a page shows as the output of a command: up to the next one."""
    (block,) = re.findall(rf"^```\n\$ {command}\n(.*?)^(?:\$ .*)?```", page(name), re.DOTALL | re.MULTILINE)
    return str(block).splitlines()


def written(*command: str) -> list[str]:
    """What the command writes now."""
    return CliRunner().invoke(operator.main, command).stdout.splitlines()


def titles(lines: list[str]) -> list[list[str]]:
    """The words of a report without its numbers: headings of tables, and what stands before them."""
    return [re.split(r"  +", line.strip()) for line in lines if not re.search(r"\d", line)]


def checks(lines: list[str]) -> list[str]:
    """The names of a doctor's checks, in their order."""
    return list(
        dict.fromkeys(re.findall(r"^(?:ok|warn|fail|skipped) +([\w ]+):", "\n".join(lines), re.MULTILINE))
    )


@pytest.mark.usefixtures("embedded_daemon")
def test_the_operators_page_shows_what_the_commands_write() -> None:
    (answered,) = shown("operator", "glidecache ping")
    pattern = re.sub(r"[\d.]+", r"[\\d.]+", re.sub(r"glidecached \S+", r"glidecached \\S+", answered))
    assert re.fullmatch(pattern, *written("ping"))
    cache = ClientSideCache.create(1024, 60_000, enable_metrics=True, name="catalog")
    with GlideClient.create(GlideClientConfiguration(client_side_cache=cache)) as client:
        client.get("k")
        assert titles(written("stats")) == titles(shown("operator", "glidecache stats"))


@pytest.mark.usefixtures("embedded_daemon")
def test_the_doctors_page_has_each_of_its_checks() -> None:
    explained = re.findall(r"^\| ([\w ]+) \| .* \|$", page("doctor").partition("| check |")[2], re.MULTILINE)
    examined = checks(written("doctor", "--runtime-dir", os.environ["GLIDECACHED_RUNTIME_DIR"]))
    assert len(examined) > 10
    for found in (examined, checks(shown("doctor", "glidecache doctor"))):
        assert [check for check in explained if check in found] == found
