"""What the pages tell people to type is there: commands, options, make's targets and variables, programs."""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple

import click
import pytest

from glidecached.cli import daemon, operator
from support.process import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
OWN = {"glidecache": operator.main, "glidecached": daemon.main}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SHELLS_ENDS = r"\s*(?:&&|\|\||[;|<>]).*"
"""Where what is typed for one of our programs is over."""


class Shown(NamedTuple):
    """One command of one page, in words."""

    page: str
    words: tuple[str, ...]


def commands(text: str) -> set[str]:
    """What a page shows as typed: lines of its blocks, those with a prompt if there are such, and words in a sentence.

    Summaries of a syntax, with what may be left out in brackets, are no commands, and names alone say nothing.
    """
    lines = set(re.findall(r"`([^`\n]+)`", re.sub(BLOCK, "", text)))
    for language, block in re.findall(BLOCK, text):
        typed = block.splitlines() if language in {"", "sh"} else []
        lines |= {line[2:] for line in typed if line.startswith("$ ")} or set(typed)
    found = {line.removeprefix(".venv/bin/").partition("  #")[0] for line in lines if "[" not in line}
    return {
        re.sub(SHELLS_ENDS, "", line)
        for line in found
        if re.match(rf"(?:{'|'.join([*OWN, 'make'])}) (?!->)", line)
    }


SHOWN = sorted(
    Shown(str(page.relative_to(ROOT)), tuple(shlex.split(line)))
    for page in PAGES
    for line in commands(page.read_text())
)


def parse(command: click.Command, words: tuple[str, ...]) -> None:
    """Take the words as the program would, without doing anything. Raises `click.UsageError`."""
    name, *arguments = words
    try:
        if isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
            subcommand = command.commands.get(arguments[0])
            assert subcommand is not None, f"there is no {name} {arguments[0]}"
            parse(subcommand, tuple(arguments))
        elif arguments:
            command.make_context(name, arguments)
    except click.exceptions.Exit:  # --version, --help
        pass


def test_there_is_something_to_look_at() -> None:
    assert {words[0] for _, words in SHOWN} == {"glidecache", "glidecached", "make"}
    assert ("docs/operations.md", ("glidecached", "--check-config")) in SHOWN


@pytest.mark.parametrize("shown", [each for each in SHOWN if each.words[0] in OWN], ids=str)
def test_our_programs_take_what_is_shown(shown: Shown) -> None:
    parse(OWN[shown.words[0]], shown.words)


@pytest.mark.parametrize("shown", [each for each in SHOWN if each.words[0] == "make"], ids=str)
def test_make_has_what_is_shown(shown: Shown) -> None:
    for word in shown.words[1:]:
        variable, given, _ = word.partition("=")
        kind = rf"^{variable}\s*\?=" if given else rf"^{word}:"
        assert re.search(kind, MAKEFILE, re.MULTILINE), word


def test_programs_of_the_tree_are_there() -> None:
    named = {
        (page.name, path)
        for page in PAGES
        for path in re.findall(r"(?<![\w/.-])(?:scripts|tools|benchmarks)/[\w./-]*\w", page.read_text())
    }
    assert named
    assert [(page, path) for page, path in sorted(named) if not (ROOT / path).exists()] == []
