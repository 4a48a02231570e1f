"""Manual pages: nothing wrong with their form, and no option that they leave out."""

from __future__ import annotations

import shutil
import subprocess

import click
import pytest

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
