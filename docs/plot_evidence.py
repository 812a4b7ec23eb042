"""Draws docs/images/evidence.svg, the gains of both toy worlds with their intervals, from the tables of the pages.

python docs/plot_evidence.py
"""

import re
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

DOCS = Path(__file__).parent
OUT = DOCS / "images" / "evidence.svg"
PAGES = ("evidence.md", "evidence_tables.md")
SECOND = "second world"
# Colours of Okabe and Ito, which the colour-blind can tell apart; a marker each besides.
STYLES = {
    "difficulty alone": ("#999999", "x"),
    "naive sum": ("#E69F00", "s"),
    "gdpo": ("#D55E00", "D"),
    "ratio": ("#0072B2", "o"),
    "signal": ("#009E73", "^"),
    "reliability": ("#000000", "P"),
}
JUDGES = ("good", "weak", "useless", "good, gameable", "weak, gameable", "flattered", "wrong")
Cells = dict[str, tuple[float, float]]  # estimator -> gain over outcome-only in points, half of its 95 % interval
Tables = dict[str, dict[str, Cells]]  # world -> row -> cells


def read_tables() -> Tables:
    """Every table of gains, by the world that the text above it names."""
    found: Tables = {}
    for page in PAGES:
        world, names = "", []
        for line in (DOCS / page).read_text(encoding="utf-8").splitlines():
            cells = [cell.strip() for cell in line.strip("| ").split("|")]
            if line.startswith("| judge | outcome only"):
                names = cells[2:]
            elif not line.startswith("|"):  # the table is over, or one is announced
                named = re.search(r"`--worlds (\w+)", line)
                world, names = named[1] if named else SECOND if line.startswith("## Second world") else world, []
            elif line.startswith("| ") and names:
                gains = {name: _gain(cell) for name, cell in zip(names, cells[2:], strict=True)}
                known = {name: gain for name, gain in gains.items() if gain and name in STYLES}
                found.setdefault(world, {}).setdefault(cells[0], known)  # of judges that turn, the first
    return found


def _gain(cell: str) -> tuple[float, float] | None:
    """
    >>> _gain("**-1.3** ± 0.8"), _gain("20, 24")
    ((-1.3, 0.8), None)
    """
    number = re.fullmatch(r"\**([+-][\d.]+)\** ± ([\d.]+)", cell)
    return (float(number[1]), float(number[2])) if number else None


def draw_places(axes: Any, title: str, rows: dict[str, Cells]) -> None:
    """One line a row, the estimators beside each other on it, intervals as bars."""
    for offset, (name, (colour, marker)) in enumerate(STYLES.items()):
        points = [(gain, place) for place, cells in enumerate(rows.values()) if (gain := cells.get(name))]
        if points:
            axes.errorbar(
                [mean for (mean, _), _ in points],
                [place + 0.13 * (offset - 2.5) for _, place in points],
                xerr=[half for (_, half), _ in points],
                fmt=marker, color=colour, markersize=5, elinewidth=1.5, capsize=2, label=name,
            )  # fmt: skip
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.45, -0.55)
    for place in range(1, len(rows)):
        axes.axhline(place - 0.5, color="0.85", linewidth=0.8)
    axes.set_title(title, loc="left", fontsize=10)


def draw_sizes(axes: Any, title: str, by_size: dict[int, Cells]) -> None:
    """Gains by the size of the groups."""
    for name, (colour, marker) in STYLES.items():
        sizes = [size for size, cells in by_size.items() if name in cells]
        means, halves = zip(*(by_size[size][name] for size in sizes), strict=True)
        axes.errorbar(
            sizes, means, yerr=halves, fmt=f"{marker}-", color=colour, markersize=5, linewidth=1, capsize=2, label=name
        )
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(by_size), [str(size) for size in by_size])
    axes.set_xlabel("rollouts a prompt")
    axes.set_ylabel("gain, points")
    axes.axhline(0, color="0.3", linewidth=1)
    axes.set_title(title, loc="left", fontsize=10)


def variants(tables: Tables, judge: str) -> dict[str, Cells]:
    """One judge in the worlds that change one thing."""
    named = {
        "base": "base",
        "outcomes 0 or 1": "zero_one",
        "judge says 0 or 1": "sparse",
        "judge sees half of the steps": "blind_half",
        "+ a useless judge": "second_useless",
        "+ a flattered judge": "second_flattered",
        "half the step size": "slow",
        "twice the step size": "fast",
    }
    return {title: tables[world][f"{judge}, hard"] for title, world in named.items() if world in tables}


def main() -> None:
    plt.rcParams.update({"svg.hashsalt": "awpo", "svg.fonttype": "none"})  # the same file each time, text as text
    tables = read_tables()
    figure, panels = plt.subplots(4, 2, figsize=(12, 17), layout="constrained", height_ratios=(5, 5, 3, 3.6))
    for axes, (world, title) in zip(
        panels[0], (("base", "ToolRL's range"), ("zero_one", "outcomes 0 or 1")), strict=True
    ):
        hard = {judge: tables[world][f"{judge}, hard"] for judge in JUDGES}
        draw_places(axes, f"First world, hard, {title}: by judge", hard)
    for axes, judge in zip(panels[1], ("good", "flattered"), strict=True):
        draw_places(axes, f"First world, hard, a {judge} judge: one thing changed", variants(tables, judge))
    sizes = {
        size: world
        for size, world in {2: "group_2", 4: "base", 8: "group_8", 16: "group_16"}.items()
        if world in tables
    }
    for axes, judge in zip(panels[2], ("good", "flattered"), strict=True):
        draw_sizes(
            axes, f"First world, hard, a {judge} judge", {n: tables[w][f"{judge}, hard"] for n, w in sizes.items()}
        )
    second = {re.sub(r", at half time.*", ", turns to filler", row): cells for row, cells in tables[SECOND].items()}
    draw_places(panels[3][0], "Second world, a tiny language model: by judge", second)
    for axes in (*panels[0], *panels[1], panels[3][0]):
        axes.axvline(0, color="0.3", linewidth=1)
        axes.set_xlabel("gain over outcome-only, points, with its 95 % interval")
        axes.grid(axis="x", alpha=0.3)
    panels[3][1].axis("off")
    panels[3][1].legend(*panels[0][0].get_legend_handles_labels(), loc="center left", fontsize=11, title="estimator")
    OUT.parent.mkdir(exist_ok=True)
    figure.savefig(OUT, metadata={"Date": None})
    print(OUT.relative_to(Path.cwd()) if OUT.is_relative_to(Path.cwd()) else OUT)


if __name__ == "__main__":
    main()
