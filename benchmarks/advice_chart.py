"""The picture of a run of `make bench-advice`: hit rates over the bound, as predicted and as replayed."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = 4
COLOURS = {"LRU": "#3f7ea6", "LFU": "#c8402f"}
UNBOUNDED_FACTOR = 8
"""The place of a pool without a bound, in multiples of today's."""


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Write a small chart of each workload, for its first seed. Nothing is drawn without matplotlib."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        print(f"no chart: matplotlib is not installed ({error})", file=sys.stderr)
        return
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    # The same numbers give the same file: no date, no random names inside.
    mpl.rcParams["svg.hashsalt"] = "glidecached"
    mpl.rcParams["font.size"] = 8
    names = list(dict.fromkeys(result["workload"] for result in results))
    rows = math.ceil(len(names) / COLUMNS)
    figure, grid = plt.subplots(
        rows, COLUMNS, figsize=(10, 2.1 * rows), sharex=True, sharey=True, layout="constrained", squeeze=False
    )
    for axes, name in zip(grid.flat, names, strict=False):
        drawn = set()
        for result in results:
            if result["workload"] != name or result["policy"] in drawn:
                continue
            drawn.add(result["policy"])
            colour = COLOURS[result["policy"]]
            factors = [
                (size or result["bound_kb"] * UNBOUNDED_FACTOR) / result["bound_kb"]
                for size, _, _ in result["sizes"]
            ]
            axes.plot(factors, [true for _, _, true in result["sizes"]], color=colour, linewidth=1)
            axes.plot(factors, [rate for _, rate, _ in result["sizes"]], "o", color=colour, markersize=3.5)
        axes.set_title(name, loc="left", fontweight="bold", fontsize=8)
        axes.set_xscale("log", base=2)
        axes.set_ylim(0, 1)
        axes.set_xticks([0.25, 0.5, 1, 2, 4, UNBOUNDED_FACTOR], ["¼", "½", "1", "2", "4", "none"])
        axes.grid(color="#e3e6ea")
        axes.axvline(1, color="#a9b4c0", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid.flat[len(names) :]:
        axes.set_visible(False)
    for policy, colour in COLOURS.items():
        grid.flat[0].plot([], [], "o-", color=colour, markersize=3.5, label=policy)
    grid.flat[0].legend(loc="lower right", frameon=False)
    figure.supxlabel(
        "bound, in multiples of today's; lines: replays of all lookups, dots: predicted from the sample"
    )
    figure.supylabel("hit rate")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, facecolor="white")
    plt.close(figure)
    print(f"chart: {path}")
