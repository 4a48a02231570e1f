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
PICTURE = "![What a GET of 100 bytes costs, ours and the peers'](images/benchmark.svg)"


def publish(results: Results, docs: Path) -> list[Path]:
    """Replace the results in `docs`/benchmarks.md and the chart in `docs`/images; the paths written.

    Raises `ValueError` where the document has lost its two markers.
    """
    document = docs / "benchmarks.md"
    text = document.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        message = f"{document} must have the lines {BEGIN!r} and {END!r}: the results go between them"
        raise ValueError(message)
    images = docs / "images"
    images.mkdir(exist_ok=True)
    charts = chart.draw(results, images / "benchmark")
    document.write_text(f"{before}{BEGIN}\n\n{PICTURE}\n\n{markdown(results)}\n{END}{after}")
    return [document, *charts]


def markdown(results: Results) -> str:
    """Machine, tables, and what is missing."""
    lines = [f"{line}  " for line in machine_lines(results)]
    lines += ["", f"**{verdict(results)}**", ""]
    for group in results.groups.values():
        lines += [*table(group), ""]
    lines += [f"- left out: {name}: {reason}" for name, reason in results.left_out.items()]
    return "\n".join(lines).rstrip() + "\n"


def table(group: Group) -> list[str]:
    """One group as a table."""
    lines = [f"| {group.title} | | {group.ratio_is} | target | |", "|---|--:|--:|---|---|"]
    for row in group.rows:
        ratio = "" if row.ratio is None else significant(row.ratio)
        word = {None: "", True: "met", False: "**missed**"}[row.met]
        name = f"**{row.name}**" if row.name.startswith(OWN) else row.name
        name = f"{name} ({row.note})" if row.note else name
        lines.append(f"| {name} | {significant(row.value)} {row.unit} | {ratio} | {row.target} | {word} |")
    return lines
