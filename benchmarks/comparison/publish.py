"""The results put into the documents, so that what they say is what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comparison import chart
from comparison.report import machine_lines, significant, verdict
from comparison.rows import OWN

if TYPE_CHECKING:
    from pathlib import Path

    from comparison.rows import Group
    from comparison.run import Results

BEGIN = "<!-- results: written by `benchmarks/bench.py --publish` -->"
END = "<!-- end of results -->"
PICTURE = "![What a GET of 100 bytes costs, ours and the peers'](%s)"

HEADLINES = (
    ("blocking", "valkey-glide-sync, its cache"),
    ("awaited", "valkey-glide async, its cache"),
    ("hash", "valkey-glide-sync, its cache"),
    ("set", "valkey-glide-sync, its cache"),
    ("large", "valkey-glide-sync, its cache"),
    ("many-keys", "LMDB get, new read transaction"),
)
"""The headlines of the README: a group, and the peer it is compared with there."""


def publish(results: Results, root: Path) -> list[Path]:
    """Replace the results in README.md and docs/benchmarks.md under `root`, and the chart; the paths written.

    Raises `ValueError` where a document has lost its two markers.
    """
    readme, document, images = root / "README.md", root / "docs/benchmarks.md", root / "docs/images"
    images.mkdir(exist_ok=True)
    charts = chart.draw(results, images / "benchmark")
    put(readme, f"{headlines(results)}\n{PICTURE % 'docs/images/benchmark.svg'}\n")
    put(document, f"{PICTURE % 'images/benchmark.svg'}\n\n{markdown(results)}")
    return [readme, document, *charts]


def put(document: Path, text: str) -> None:
    """Replace the text between the markers of a document."""
    before, begin, rest = document.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        message = f"{document} must have the lines {BEGIN!r} and {END!r}: the results go between them"
        raise ValueError(message)
    document.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")


def headlines(results: Results) -> str:
    """Return the README's table: ours beside one peer for each group that was measured."""
    lines = ["| | glidecached | | | times |", "|---|--:|---|--:|--:|"]
    for name, peer in HEADLINES:
        rows = {row.name: row for row in results.groups[name].rows} if name in results.groups else {}
        if OWN in rows and peer in rows:
            ours, theirs = rows[OWN], rows[peer]
            lines.append(
                f"| {results.groups[name].title} | {significant(ours.value)} {ours.unit} | {peer} "
                f"| {significant(theirs.value)} {theirs.unit} | {significant(theirs.value / ours.value)} |"
            )
    return "\n".join([*lines, "", f"({machine_lines(results)[0]}; medians of one run.)", ""])


def markdown(results: Results) -> str:
    """Return machine, tables, and what is missing, in Markdown."""
    lines = [f"{line}  " for line in machine_lines(results)]
    lines += ["", f"**{verdict(results)}**", ""]
    for group in results.groups.values():
        lines += [*table(group), ""]
    lines += [f"- left out: {name}: {reason}" for name, reason in results.left_out.items()]
    return "\n".join(lines).rstrip() + "\n"


def table(group: Group) -> list[str]:
    """Return one group as a table."""
    lines = [f"| {group.title} | | {group.ratio_is} | target | |", "|---|--:|--:|---|---|"]
    for row in group.rows:
        ratio = "" if row.ratio is None else significant(row.ratio)
        word = {None: "", True: "met", False: "**missed**"}[row.met]
        name = f"**{row.name}**" if row.name.startswith(OWN) else row.name
        name = f"{name} ({row.note})" if row.note else name
        lines.append(f"| {name} | {significant(row.value)} {row.unit} | {ratio} | {row.target} | {word} |")
    return lines
