#!/usr/bin/env python3
"""Write the reference of the configuration, from the schema and from `glidecached.config.key_reference`.

    tools/generate_configuration.py           writes docs/configuration.md and man/glidecached.toml.5
    tools/generate_configuration.py --check   writes nothing; exits 1 when one of them is not up to date

A new key needs its place in the schema, its meaning in `KEYS`, its line in glidecached.toml.example, and a run of this.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "daemon"), str(ROOT / "shared")]

from glidecached.config.key_reference import KEYS  # noqa: E402 - found by the line above
from glidecached.config.schema import File  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "configuration.md"
MANUAL = ROOT / "man" / "glidecached.toml.5"
_COLUMNS = 100

INTRODUCTION = """
The daemon reads one TOML file: the one that `--config` names, else `/etc/glidecached/glidecached.toml` if it
exists. Without a file all defaults apply. The daemon refuses a key that is not listed here, and a value of another
type or out of its range. `glidecached --check-config` lists every fault of a file: the file, the key, the value, and
what is allowed.

All keys are optional, except those with the default "required". Times, sizes and counts are integers in the unit at
the end of the key's name. Text and lists of text are quoted.
"""
RELOAD = """
At SIGHUP, or `systemctl reload glidecached`, the daemon reads the file again, with the same checks. If anything in
it is wrong, nothing changes, and the log has each fault. Otherwise the keys marked *changes* take effect while the
daemon serves. Those marked *kept* stay as they were until a restart. The log lists both. The command line's
`--log-level` still overrides the file's. A daemon without a file, or with `--embedded`, has nothing to reload.

Tables may be added and removed. Clients can use a new cache or a new upstream at once. A removed cache ends: the
daemon frees its memory, and its clients get a `ConfigurationError` at their next request, with the names of the
remaining caches. Clients of a removed upstream are refused in the same way.

A cache whose size limit, policy, metrics or users change keeps its entries. With a lower limit it keeps those that
fit, in the policy's order. Entries keep their times to live, their accesses and their order. The daemon copies the
cache to new files, in slices between requests; that takes about a second for a million entries. Meanwhile the file
system of `pool_dir` needs room for both. Without that room, the cache stays as it was, or at the lower limit, and the
log says so. Only a cache whose users change then starts empty, because users that may no longer read it still have
its old files mapped. `systemctl reload` returns when all of this is done.
"""
SEE_ALSO = """
[glidecached.toml.example](../glidecached.toml.example) is a complete file with every key. [Design
decision 13](design/0013-resizing.md) describes how a pool changes its size. [security.md](security.md) says who is
trusted with what.
"""
SECTIONS = {
    "daemon": ("[daemon]", "The daemon itself."),
    "metrics": (
        "[metrics]",
        "Metrics for Prometheus, health, and a status page, over HTTP: see docs/monitoring.md.",
    ),
    "advice": (
        "[advice]",
        "Advice on size, TTL and policy of each cache, from a sample of its traffic: see docs/advice.md.",
    ),
    "upstreams": (
        "[upstreams.NAME]",
        (
            "One table for each upstream. Clients select it by its name; the name `default` is their default. "
            "Without any table, `default` is `127.0.0.1:6379`. A name has 1 to 200 printable characters."
        ),
    ),
    "caches": (
        "[caches.NAME]",
        "One table for each cache that clients attach to with `ClientSideCache.named(NAME)`.",
    ),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One key, as a reader needs it; its texts have their code in backquotes."""

    name: str
    meaning: str
    values: str
    default: str
    at_reload: str


def main() -> int:
    """Write the files, or check them. Return the exit status."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--check", action="store_true")
    check = options.parse_args().check
    stale = 0
    for path, text in ((PAGE, page()), (MANUAL, manual())):
        if path.exists() and path.read_text() == text:
            continue
        stale += 1
        if check:
            print(
                f"{path.relative_to(ROOT)} is out of date: run tools/generate_configuration.py",
                file=sys.stderr,
            )
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    return int(check and stale > 0)


def entries(section: str) -> Iterator[Entry]:
    """Yield the keys of one section, in the schema's order. Raises `KeyError` for one without a description."""
    schema = TypeAdapter(File).json_schema()
    reference = schema["properties"][section]
    while "$ref" not in reference:  # a table of tables says it of what is in it
        reference = reference.get("additionalProperties") or reference["allOf"][0]
    form = schema["$defs"][reference["$ref"].rpartition("/")[2]]
    for name, told in form["properties"].items():
        key = KEYS[section][name]
        default = key.default or _default(told, required=name in form.get("required", ()))
        yield Entry(name, key.meaning, _values(told), default, key.at_reload)


def page() -> str:
    """Return docs/configuration.md."""
    lines = ["# Configuration", "", "<!-- Written by tools/generate_configuration.py. -->", ""]
    lines += [line for text in (INTRODUCTION, SEE_ALSO) for line in _wrapped(text)]
    lines += ["## Reload", ""]
    lines += _wrapped(RELOAD)
    for section, (heading, about) in SECTIONS.items():
        lines += [f"## `{heading}`", "", *_wrapped(about)]
        lines += ["| key | meaning | values | default | at reload |", "|---|---|---|---|---|"]
        for each in entries(section):
            cells = (f"`{each.name}`", each.meaning, each.values, each.default, _emphasised(each.at_reload))
            lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
        lines.append("")
    return "\n".join(lines[:-1]) + "\n"


def manual() -> str:
    """Return man/glidecached.toml.5."""
    lines = [
        '.\\" Written by tools/generate_configuration.py.',
        '.TH GLIDECACHED.TOML 5 "" glidecached "File formats"',
        ".SH NAME",
        "glidecached.toml \\- configuration of the glidecached daemon",
        ".SH DESCRIPTION",
    ]
    lines += _paragraphs(INTRODUCTION)
    for section, (heading, about) in SECTIONS.items():
        lines += [f'.SH "{_roff(heading)}"', _roff(about)]
        for each in entries(section):
            lines += [
                ".TP",
                f".B {_roff(each.name)}",
                _roff(each.meaning),
                ".br",
                f"Values: {_roff(each.values)}. Default: {_roff(each.default)}.",
                ".br",
                f"At reload: {_roff(each.at_reload)}.",
            ]
    lines += [".SH RELOAD", *_paragraphs(RELOAD)]
    lines += [
        ".SH FILES",
        ".TP",
        ".I /etc/glidecached/glidecached.toml",
        "The default file.",
        '.SH "SEE ALSO"',
        ".BR glidecached (8),",
        ".BR glidecache (1)",
    ]
    return "\n".join(lines) + "\n"


def _values(told: dict[str, Any]) -> str:
    """Return a key's type and range, in the words of TOML."""
    if "anyOf" in told:
        told = next(each for each in told["anyOf"] if each.get("type") != "null")
    if "$ref" in told:
        return "text"  # an address
    if "enum" in told:
        return ", ".join(f"`{value}`" for value in told["enum"])
    if told["type"] == "integer":
        least = told.get("minimum", told.get("exclusiveMinimum", -1) + 1)
        return f"{least} to {told['maximum']}" if "maximum" in told else f"{least} or more"
    return {"boolean": "`true`, `false`", "string": "text", "array": "list of text"}[told["type"]]


def _default(told: dict[str, Any], *, required: bool) -> str:
    if required:
        return "required"
    value = told["default"]
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`"


def _emphasised(at_reload: str) -> str:
    word, colon, note = at_reload.partition(":")
    return f"*{word}*{colon}{note}"


def _split(text: str) -> list[str]:
    """Return paragraphs, each in one line."""
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]


def _wrapped(text: str) -> list[str]:
    """Return paragraphs in lines of at most 100 columns, an empty line after each. Code and links are not broken."""
    lines = []
    for paragraph in _split(text):
        kept = re.sub(r"`[^`]*`|\[[^\]]*\]", lambda found: found[0].replace(" ", "\0"), paragraph)
        broken = textwrap.wrap(kept, _COLUMNS, break_long_words=False, break_on_hyphens=False)
        lines += [*(line.replace("\0", " ") for line in broken), ""]
    return lines


def _paragraphs(text: str) -> list[str]:
    return [line for paragraph in _split(text) for line in (_roff(paragraph), ".PP")][:-1]


def _roff(text: str) -> str:
    """Return text as roff reads it: code in bold, emphasis in italics, hyphens as they are typed."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    text = re.sub(r"`([^`]*)`", r"\\fB\1\\fR", text)
    text = re.sub(r"\*([a-z]+)\*", r"\\fI\1\\fR", text)
    return f"\\&{text}" if text.startswith((".", "'")) else text


if __name__ == "__main__":
    sys.exit(main())
