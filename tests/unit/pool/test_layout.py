"""The drawings in layout.h: each is what the compiled structure is, bit by bit."""

from __future__ import annotations

import math
import os
import re
import shlex
import subprocess
import sysconfig
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support.process import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEADER = ROOT / "shared" / "glidecache_shared" / "pool" / "layout.h"

READERS = {
    "gpool_slot": ("gpool_slot_hash(word)", "gpool_slot_granule(word)"),
    "gpool_link": ("gpool_link_single(word)", "gpool_link_next(word)"),
    "gpool_tag_kind": (
        "gpool_entry_tag(&(gpool_entry){.tag_kind = word})",
        "gpool_entry_kind(&(gpool_entry){.tag_kind = word})",
    ),
    "gpool_owner": (
        "gpool_owner_tag(word)",
        "gpool_owner_record(word)",
        "gpool_owner_owned(word)",
    ),
    "gpool_event": ("gpool_event_time(word)", "gpool_event_what(word)"),
    "gpool_tag_count": ("gpool_record_tag(word)", "gpool_record_count(word)"),
}
"""Of each word: how its fields are read, in the order of the drawing."""

REGIONS = {
    "header": "GPOOL_HEADER_BYTES",
    "primary buckets": "GPOOL_BUCKET_BYTES",
    "overflow buckets": "GPOOL_BUCKET_BYTES",
    "arena of granules": "GPOOL_GRANULE_BYTES",
    "counter shards": "GPOOL_BOARD_HEADER_BYTES",
    "access records": "GPOOL_RECORD_BYTES",
    "ring head": "GPOOL_RING_HEAD_BYTES",
    "samples": "GPOOL_SAMPLE_BYTES",
}

_DRAWING = re.compile(r"/\* (gpool_\w+)(?:\(([\w, ]+)\))?:(.*?)\*/", re.DOTALL)
_ROW = re.compile(r"^ \* +(\d*) │(.*)│", re.MULTILINE)
_CELL = re.compile(r" *([a-z_0-9]+) (\d+) *")
_STRUCT = re.compile(r"^\} (gpool_\w+);", re.MULTILINE)


class Cell(NamedTuple):
    """A field as it is drawn: its place and its width, in bits."""

    name: str
    at: int
    width: int


class Word(NamedTuple):
    """A drawn word: its fields from the highest bit on."""

    name: str
    fields: list[Cell]


def cells(row: str) -> Iterator[tuple[str, int]]:
    for text in row.split("│"):
        match = _CELL.fullmatch(text)
        assert match, f"no cell of a name and a width: {text!r}"
        yield match[1], int(match[2])


def drawn(source: str) -> tuple[dict[str, list[Cell]], list[Word]]:
    """Return the structures and the words that are drawn."""
    structs: dict[str, list[Cell]] = {}
    words = []
    for name, arguments, body in _DRAWING.findall(source):
        found: list[Cell] = []
        at = 0
        for offset, row in _ROW.findall(body):
            assert not offset or int(offset) * 8 == at, f"{name}: the row at {offset} begins at {at // 8}"
            for field, width in cells(row):
                found.append(Cell(field, at, width))
                at += width
        if arguments:
            assert [cell.name for cell in found] == arguments.split(", "), name
            words.append(Word(name, [cell._replace(at=at - cell.at - cell.width) for cell in found]))
        else:
            structs[name] = found
    return structs, words


def compiled(source: str, statements: list[str], directory: Path) -> list[str]:
    """Compile the header with statements, and return the lines that these print."""
    (directory / "layout.h").write_text(source)
    program = directory / "program.c"
    program.write_text(
        '#include <stdio.h>\n#include "layout.h"\nint main(void) {\n'
        + "\n".join(statements)
        + "\nreturn 0;\n}\n"
    )
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    subprocess.run(
        [*compiler, "-std=c11", "-w", str(program), "-o", str(directory / "program")],
        check=True,
        capture_output=True,
        text=True,
    )
    done = subprocess.run([directory / "program"], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def differences(source: str, directory: Path) -> list[str]:
    """Return where the drawings and the compiled code disagree."""
    structs, words = drawn(source)
    wanted = []
    statements = []
    for struct, fields in structs.items():
        wanted.append(f"{struct}: {sum(cell.width for cell in fields)} bits")
        statements.append(f'printf("{struct}: %zu bits\\n", 8 * sizeof({struct}));')
        for cell in fields:
            member = f"(({struct} *)0)->{cell.name}"
            wanted.append(f"{struct}.{cell.name}: {cell.width} bits at {cell.at}")
            statements.append(
                f'printf("{struct}.{cell.name}: %zu bits at %zu\\n", '
                f"8 * sizeof({member}), 8 * offsetof({struct}, {cell.name}));"
            )
    for name, fields in words:
        for index, cell in enumerate(fields):
            mask = (1 << cell.width) - 1
            values = [f"UINT64_C({mask if other == index else 0})" for other in range(len(fields))]
            wanted.append(f"{name}.{cell.name}: {mask << cell.at:x}, read as {mask:x}")
            statements.append(
                f"{{ uint64_t word = {name}({', '.join(values)}); "
                f'printf("{name}.{cell.name}: %lx, read as %lx\\n", word, (uint64_t){READERS[name][index]}); }}'
            )
    for region, constant in REGIONS.items():
        width = re.search(rf"│ {region} (\d+) +│", source)
        assert width, f"{region} is not drawn"
        wanted.append(f"{region}: {width[1]} bytes")
        statements.append(f'printf("{region}: %d bytes\\n", {constant});')
    found = compiled(source, statements, directory)
    return [
        f"drawn: {mine}; compiled: {theirs}"
        for mine, theirs in zip(wanted, found, strict=True)
        if mine != theirs
    ]


def test_the_drawings_are_the_compiled_structures(tmp_path: Path) -> None:
    assert differences(HEADER.read_text(), tmp_path) == []


def test_each_structure_and_each_word_is_drawn() -> None:
    source = HEADER.read_text()
    structs, words = drawn(source)
    assert sorted(structs) == sorted(_STRUCT.findall(source))
    assert {word.name for word in words} == READERS.keys()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "    uint64_t last_access_ns;\n    uint64_t tag_count;",
            "    uint64_t tag_count;\n    uint64_t last_access_ns;",
        ),
        (
            "    uint64_t daemon_hits;\n    uint64_t misses;",
            "    uint64_t misses;\n    uint64_t daemon_hits;",
        ),
        ("    uint64_t secret[2];\n    uint64_t ttl_ns;", "    uint64_t ttl_ns;\n    uint64_t secret[2];"),
        ("    uint64_t claims;", "    uint64_t claims[2];"),
        ("    uint32_t record;\n", "    uint64_t record;\n"),
        ("(uint64_t)hash << 32", "(uint64_t)hash << 31"),
        ("return single << 31", "return single << 30"),
        ("(uint32_t)(tag_count >> GPOOL_COUNT_BITS)", "(uint32_t)(tag_count >> 32)"),
        ("#define GPOOL_KIND_MASK UINT32_C(0xff)", "#define GPOOL_KIND_MASK UINT32_C(0x7f)"),
        ("#define GPOOL_SHARDS 64", "#define GPOOL_SHARDS 32"),
        (
            "│ tag 24                                    │ kind 8 ",
            "│ tag 25                                    │ kind 7 ",
        ),
    ],
)
def test_what_moves_or_changes_its_width_is_found(before: str, after: str, tmp_path: Path) -> None:
    source = re.sub(r"^_Static_assert.*\n", "", HEADER.read_text(), flags=re.MULTILINE)
    changed = source.replace(before, after)
    assert changed != source
    assert differences(changed, tmp_path)


def _overflow_buckets(load: float) -> float:
    """Return the overflow buckets behind one primary bucket, on average, with that mean number of entries."""
    chance = math.exp(-load)
    total = 0.0
    for entries in range(80):
        total += chance * math.ceil(max(0, entries - 6) / 6)
        chance *= load / (entries + 1)
    return total


def _overflow_bytes(split: float) -> float:
    """Return the bytes of overflow buckets per entry, with that part of a round's buckets split.

    Split buckets and their new halves have half the load of the others; four entries per bucket on average.
    """
    load = 4 * (1 + split)
    buckets = (1 - split) * _overflow_buckets(load) + 2 * split * _overflow_buckets(load / 2)
    return 64 * buckets / load


def test_the_index_share_of_a_charge_covers_the_worst_point_of_a_doubling_round() -> None:
    worst, split = max((_overflow_bytes(part / 10_000), part / 10_000) for part in range(10_001))
    assert (f"{worst:.2f}", f"{split:.2f}") == ("2.52", "0.43"), "as layout.h and pool-layout.md have it"
    assert 64 / 4 + worst <= 20
    for path in (HEADER, ROOT / "docs" / "design" / "pool-layout.md"):
        text = " ".join(path.read_text().replace(" * ", " ").split())
        assert "2.52 bytes" in text, path
        assert "43 %" in text, path
