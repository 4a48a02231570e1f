"""The result of a group of measurements: rows, each perhaps with a ratio and a target."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from comparison.timing import P10, P50

if TYPE_CHECKING:
    from collections.abc import Mapping

    from comparison.timing import Sample, Singles

OWN = "glidecached"


class LeftOut(Exception):  # noqa: N818 - not an error: the report names it
    """The error for something that cannot be measured here; the text is the reason, for people."""


def reason(error: Exception) -> str:
    """Return why a peer is missing, for the report, from the error of opening it or its first use."""
    if isinstance(error, LeftOut):
        return str(error)
    if isinstance(error, ImportError):
        return f"not installed ({error})"
    return f"{type(error).__name__}: {error}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The target that the project sets for a ratio, or for a value where there is no ratio."""

    text: str
    at_least: float | None = None
    at_most: float | None = None

    def met_by(self, number: float) -> bool:
        """Return whether `number` keeps both bounds."""
        return (self.at_least is None or number >= self.at_least) and (
            self.at_most is None or number <= self.at_most
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    name: str
    value: float
    unit: str
    ratio: float | None = None
    """The ratio to the reference that the group's `ratio_is` names."""
    target: str = ""
    met: bool | None = None
    """None where there is no target, or where this run was too small to judge it."""
    reach: str = ""
    """The processes that share what is read, for the chart (`Peer.reach`)."""
    quartiles: tuple[float, float] | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of rows that belong together."""

    title: str
    ratio_is: str
    rows: list[Row]
    left_out: dict[str, str] = field(default_factory=dict)
    """Names of peers that are missing here, with the reason."""


def row(
    name: str,
    value: float,
    unit: str,
    *,
    ratio: float | None = None,
    target: Target | None = None,
    judged: bool = True,
    note: str = "",
) -> Row:
    """Return one figure, compared with its target unless this run cannot judge it."""
    met = target.met_by(value if ratio is None else ratio) if target and judged else None
    return Row(
        name=name,
        value=value,
        unit=unit,
        ratio=ratio,
        target=target.text if target else "",
        met=met,
        note=note,
    )


def against_own(
    samples: Mapping[str, Singles],
    targets: Mapping[str, Target],
    prefix: str = "",
    *,
    shares: Mapping[str, float] = {"p10": P10, "median": P50},
) -> list[Row]:
    """Return rows per candidate, ours first; each ratio is ours to theirs, of the same quantile.

    Targets are judged by the first quantile, and every row says the machine's load.
    """
    rows = []
    load = f"load {os.getloadavg()[0]:.1f}"
    for word, share in shares.items():
        own_us = samples[OWN].quantile_us(share)
        rows.append(row(f"{prefix}{OWN}, {word}", own_us, "µs", note=load))
        for name, sample in samples.items():
            if name == OWN:
                continue
            time_us = sample.quantile_us(share)
            target = targets.get(name) if word == next(iter(shares)) else None
            rows.append(row(f"{prefix}{name}, {word}", time_us, "µs", ratio=own_us / time_us, target=target))
    return rows


def beside_own(
    samples: Mapping[str, Sample],
    targets: Mapping[str, Target],
    reaches: Mapping[str, str] | None = None,
    *,
    judged: bool = True,
) -> list[Row]:
    """Return a row per sample in µs, the fastest first; each ratio is how many times `OWN`'s time it took."""
    own = samples[OWN].median_us
    rows = []
    for name, sample in sorted(samples.items(), key=lambda item: item[1].median_us):
        ratio = None if name == OWN else sample.median_us / own
        target = targets.get(name)
        rows.append(
            Row(
                name=name,
                value=sample.median_us,
                unit="µs",
                ratio=ratio,
                target=target.text if target else "",
                met=target.met_by(ratio) if target and ratio is not None and judged else None,
                reach=(reaches or {}).get(name, ""),
                quartiles=sample.quartiles_us,
            )
        )
    return rows
