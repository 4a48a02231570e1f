"""Manual pages: nothing wrong with their form, and no option that they leave out."""

from __future__ import annotations

import re
import shutil
import subprocess

import click
import pytest

from glidecached.cli import operator
from glidecached.cli.daemon import main
from support.process import ROOT

PAGES = sorted((ROOT / "man").glob("*.[1-9]"))


def page_text(name: str) -> str:
    return (ROOT / "man" / name).read_text().replace("\\-", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_form_is_right(page: object) -> None:
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    done = subprocess.run(
        ["groff", "-man", "-ww", "-z", "-Tutf8", str(page)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


def test_glidecached_8_has_every_option() -> None:
    text = page_text("glidecached.8")
    options = [name for option in main.params if isinstance(option, click.Option) for name in option.opts]
    assert "--config" in options
    assert [option for option in options if option not in text] == []


@pytest.mark.parametrize("name", sorted(operator.main.commands))
def test_glidecache_1_has_every_command_with_all_of_its_options(name: str) -> None:
    command = operator.main.commands[name]
    text = page_text("glidecache.1")
    synopsis = text.partition(".SH SYNOPSIS")[2].partition(".SH DESCRIPTION")[0].split(".br")
    (own,) = [usage for usage in synopsis if f".B glidecache {name}\n" in usage]
    explained = text.partition(".SH OPTIONS")[2].partition(".SH EXIT STATUS")[0]
    options = [option for option in command.params if isinstance(option, click.Option)]
    assert "--runtime-dir" in [opt for option in options for opt in option.opts]
    for option in options:
        assert any(opt in own for opt in option.opts), option.opts
        for opt in option.opts:
            assert opt in explained, opt
    given = set(re.findall(r"--[a-z-]+", own))
    assert given <= {opt for option in options for opt in option.opts}, "an option that there is not"
