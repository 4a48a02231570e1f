"""The results as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comparison.rows import Row
    from comparison.run import Results


def table(results: Results) -> str:
    """Return the whole report as text."""
    lines = [*machine_lines(results), ""]
    for group in results.groups.values():
        lines += [f"{group.title}   (ratio: {group.ratio_is})"]
        lines += [line(row) for row in group.rows]
        lines += [""]
    lines += [f"left out: {name}: {reason}" for name, reason in results.left_out.items()]
    lines.append(verdict(results))
    return "\n".join(lines)


def machine_lines(results: Results) -> list[str]:
    """Return the lines for machine and versions."""
    environment = results.environment
    packages = [f"{name} {version}" for name, version in environment["packages"].items()]
    servers = [f"{name} {version}" for name, version in environment["servers"].items()]
    machine = (
        f"{environment['processor']}, {environment['processors']} processors ({environment['topology']})"
    )
    return [
        f"{machine}, {environment['system']}, Python {environment['python']}",
        ", ".join(servers + packages),
        f"medians of {results.scale.rounds} interleaved rounds; {results.seconds:.0f} s in all; {busy(environment)}",
    ]


def busy(environment: dict[str, Any]) -> str:
    """Return the load before the run, with a warning if the machine was busy.

    On a busy machine everything is slower, and what needs two processors is not measured well.
    """
    load = environment["load_before"]
    text = f"load before the run {load:.2f}"
    return text if load < environment["processors"] / 4 else f"{text}: THE MACHINE WAS BUSY, measure again"


def line(row: Row) -> str:
    """Return one row, in columns."""
    ratio = "" if row.ratio is None else significant(row.ratio)
    word = {None: "", True: "met", False: "MISSED"}[row.met]
    text = f"  {row.name:52} {significant(row.value):>10} {row.unit:14} {ratio:>8}  {row.target:20} {word:6}"
    return f"{text} {row.note}".rstrip()


def significant(number: float) -> str:
    """Return three significant digits, without an exponent."""
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if abs(number) >= 10 else f"{number:.2f}" if abs(number) >= 1 else f"{number:.3f}"


def verdict(results: Results) -> str:
    """Return how many targets were met, and which were not."""
    judged = [
        (name, row) for name, group in results.groups.items() for row in group.rows if row.met is not None
    ]
    missed = [f"{name}: {row.name}" for name, row in judged if not row.met]
    text = f"{len(judged) - len(missed)} of {len(judged)} targets met"
    return text if not missed else f"{text}; missed: " + "; ".join(missed)


def to_json(results: Results) -> str:
    """Return everything, quartiles of the rounds included."""
    return json.dumps(asdict(results), indent=2, ensure_ascii=False) + "\n"
