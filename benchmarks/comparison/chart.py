"""The picture of a run: what one small read costs, ours and the peers', on a logarithmic scale."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from comparison.groups.string_hits import AWAITED, BLOCKING
from comparison.peers import IN_PROCESS, ON_HOST, SERVER
from comparison.report import significant
from comparison.rows import OWN

if TYPE_CHECKING:
    from pathlib import Path

    from comparison.run import Results

FORMATS = ("svg", "png")
COLOURS = {OWN: "#c8402f", IN_PROCESS: "#a9b4c0", ON_HOST: "#3f7ea6", SERVER: "#d9a441"}
LEGEND = {
    OWN: "glidecached: shared by the host's processes",
    ON_HOST: "shared by the host's processes",
    IN_PROCESS: "each process has its own",
    SERVER: "asks a server each time",
}
WIDTH_INCHES = 9.0
BAR_INCHES = 0.34
DOTS_PER_INCH = 160


def draw(results: Results, stem: Path) -> list[Path]:
    """Write `stem`.svg and `stem`.png; their paths. Nothing is drawn where no string hits were measured."""
    bars = bars_of(results)
    if not bars:
        return []
    try:
        import matplotlib as mpl
    except ImportError as error:
        print(f"no chart: matplotlib is not installed ({error})", file=sys.stderr)
        return []
    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.patches import Patch

    # The same numbers give the same file: no date, no random names inside.
    mpl.rcParams["svg.hashsalt"] = "glidecached"
    mpl.rcParams["font.size"] = 10
    figure, axes = plt.subplots(
        figsize=(WIDTH_INCHES, 1.5 + BAR_INCHES * len(bars)), layout="constrained", facecolor="white"
    )
    names, values, kinds = zip(*bars, strict=True)
    drawn = axes.barh(names, values, color=[COLOURS[kind] for kind in kinds], height=0.72)
    axes.bar_label(drawn, [f"{significant(value)} µs" for value in values], padding=4)
    for label, kind in zip(axes.get_yticklabels(), kinds, strict=True):
        label.set_fontweight("bold" if kind == OWN else "normal")
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlim(min(values) / 2, max(values) * 4)
    axes.set_xlabel("microseconds per call, logarithmic; shorter is faster")
    axes.set_title("One GET of 100 bytes, from the cache where there is one", loc="left", fontweight="bold")
    axes.grid(axis="x", which="major", color="#e3e6ea")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.legend(
        handles=[Patch(color=COLOURS[kind], label=LEGEND[kind]) for kind in COLOURS if kind in kinds],
        loc="upper right",
        frameon=False,
    )
    figure.supxlabel(caption(results), fontsize=8, color="#5a6572", x=0.01, ha="left")
    written = []
    for suffix in FORMATS:
        path = stem.with_suffix(f".{suffix}")
        metadata = {"Date": None} if suffix == "svg" else None
        figure.savefig(path, dpi=DOTS_PER_INCH, metadata=metadata, facecolor="white")
        written.append(path)
    plt.close(figure)
    return written


def bars_of(results: Results) -> list[tuple[str, float, str]]:
    """Return name, microseconds and kind of each bar, the fastest first."""
    bars = []
    for group in results.groups.values():
        if group.title not in (BLOCKING, AWAITED):
            continue
        way = "awaited" if group.title == AWAITED else "blocking"
        for row in group.rows:
            if row.name == OWN:
                bars.append((f"{OWN}, {way}", row.value, OWN))
            else:
                bars.append((row.name, row.value, row.reach))
    return sorted(bars, key=lambda bar: bar[1])


def caption(results: Results) -> str:
    """Return in one line where, and with which versions, it was measured."""
    environment = results.environment
    return (
        f"{environment['processor']}, {environment['system']}, Python {environment['python']}, "
        f"Valkey {environment['servers']['Valkey']}; one thread, medians of one run"
    )
