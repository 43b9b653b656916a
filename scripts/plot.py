#!/usr/bin/env python3
"""plot.py RESULTS.json FOLDER: draws the plots of a run as SVG files into FOLDER.

Of a demo, for data kind number i (in order of appearance): loss_i, weights_i, slots_i, ratio_i; and ablations. Of a
comparison: ratio, parts, memory. Exit code 3: no matplotlib.
"""
import json
import math
import os
import sys

try:
    import matplotlib
except ImportError:
    sys.exit(3)
matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import MaxNLocator  # noqa: E402

COLOURS = ["#0b62a4", "#c8501e", "#2b8a4b", "#7b4fa3", "#a8862a", "#1f8f96", "#b03a6a", "#666666"]
plt.rcParams.update({
    "font.family": "DejaVu Sans", "font.size": 10, "axes.titlesize": 10, "axes.titlelocation": "left",
    "axes.edgecolor": "#888888", "axes.linewidth": 0.7, "axes.spines.top": False, "axes.spines.right": False,
    "xtick.color": "#333333", "ytick.color": "#333333", "legend.frameon": False, "legend.fontsize": 9,
    "svg.hashsalt": "dehvf", "svg.fonttype": "path", "savefig.transparent": False})


def plain(text):
    """No mathematics in names, which come from a file."""
    text = "".join(c if c.isprintable() else "?" for c in str(text)).replace("$", r"\$")
    return text if len(text) <= 44 else text[:43] + "…"


def label(row, many_seeds):
    return plain(row["title"] + (f", seed {row['seed']}" if many_seeds else ""))


def save(figure, folder, name):
    figure.savefig(os.path.join(folder, name + ".svg"), metadata={"Date": None}, bbox_inches="tight", pad_inches=0.06)
    plt.close(figure)


def lines(rows, key, x_name, y_name, colour, many_seeds):
    figure, axes = plt.subplots(figsize=(5.6, 3.2))
    values = []
    for row in rows:
        points = row[key]
        if key == "row_ratio":
            points = list(enumerate(points, 1))
        values += [y for _, y in points]
        axes.plot(*zip(*points), color=colour[row["name"]], linewidth=1.5, label=label(row, many_seeds),
                  linestyle="--" if row["seed"] % 2 else "-", marker="o" if key == "row_ratio" else None, markersize=3.5)
    if min(values) > 0 and max(values) > 20 * min(values):
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlabel(x_name)
    axes.set_ylabel(y_name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncol=1 if len(rows) < 3 else 2)
    return figure


def weights(rows, many_seeds):
    """Two heat maps a row: LLM layers downwards, tower levels to the right; empty where a layer has no such level."""
    figure, axes = plt.subplots(len(rows), 2, figsize=(5.6, 2.7 * len(rows)), squeeze=False, layout="constrained")
    for row, pair in zip(rows, axes):
        table, levels = row["fuser_weights"], row["fuser_levels"]
        for side, axis in enumerate(pair):
            grid = [[math.nan] * levels for _ in table]
            for layer, positions in enumerate(table):
                for i, weight in enumerate(positions[min(side, len(positions) - 1)]):
                    grid[layer][row["fuser_first_level"][layer] + i] = weight
            image = axis.imshow(grid, cmap="Blues", vmin=0, vmax=1, aspect="auto",
                                extent=(0.5, levels + 0.5, len(table) + 0.5, 0.5))
            axis.set_facecolor("#f1f1f1")
            axis.set_xlabel("tower level, " + ("keys" if side == 0 else "values"))
            for ticks in (axis.xaxis, axis.yaxis):
                ticks.set_major_locator(MaxNLocator(integer=True, nbins=9))
        pair[0].set_ylabel("LLM layer")
        pair[0].set_title(label(row, many_seeds))
        figure.colorbar(image, ax=list(pair), fraction=0.04, pad=0.02).outline.set_visible(False)
    return figure


def slots(rows, colour, many_seeds):
    figure, axes = plt.subplots(len(rows), 1, figsize=(5.6, 1.45 * len(rows) + 0.3), squeeze=False, layout="constrained")
    for row, (axis,) in zip(rows, axes):
        axis.bar(range(1, len(row["slot_use"]) + 1), row["slot_use"], color=colour[row["name"]], width=0.75)
        axis.set_title(label(row, many_seeds))
        axis.set_xlim(0.3, len(row["slot_use"]) + 0.7)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.yaxis.set_major_locator(MaxNLocator(nbins=3))
    axes[-1][0].set_xlabel("slot")
    figure.supylabel("mean |activation|", fontsize=10)
    return figure


def ablations(rows, kinds):
    """A forest plot: a line a row, a point a seed with its interval, a panel a kind of data, groups set apart."""
    names = list(dict.fromkeys(row["name"] for row in rows))
    groups = {row["name"]: row["group"] for row in rows}
    titles = {row["name"]: plain(row["title"]) for row in rows}
    place, at = {}, 0.0
    for i, name in enumerate(names):
        at += 1.0 if i == 0 or groups[name] == groups[names[i - 1]] else 1.5
        place[name] = at
    seeds = sorted({row["seed"] for row in rows})
    figure, axes = plt.subplots(1, len(kinds), figsize=(3.4 + 2.9 * len(kinds), 0.27 * at + 1), squeeze=False,
                                sharey=True, layout="constrained")
    for kind, axis in zip(kinds, axes[0]):
        base = [row for row in rows if row["data"] == kind and row["name"] == names[0]]
        axis.axvspan(100 * min(row["low95"] for row in base), 100 * max(row["high95"] for row in base),
                     color="#e7eef5", linewidth=0)
        for row in (row for row in rows if row["data"] == kind):
            y = place[row["name"]] + 0.28 * (seeds.index(row["seed"]) - (len(seeds) - 1) / 2)
            colour = COLOURS[list(dict.fromkeys(groups.values())).index(row["group"]) % len(COLOURS)]
            axis.plot([100 * row["low95"], 100 * row["high95"]], [y, y], color=colour, linewidth=1.2)
            axis.plot(100 * row["accuracy_image"], y, color=colour, marker="o" if row["seed"] % 2 == 0 else "s", markersize=4)
        axis.set_title(plain(kind))
        axis.set_xlabel("questions with a picture, %")
        axis.grid(axis="x", color="#e4e4e4", linewidth=0.6)
        axis.set_axisbelow(True)
    axes[0][0].set_yticks([place[name] for name in names], [titles[name] for name in names])
    axes[0][0].set_ylim(at + 0.7, 0.3)
    return figure


def ratio(results):
    """Times as fast as the reference, over the length of the texts."""
    figure, axes = plt.subplots(figsize=(5.6, 3.2))
    for i, row in enumerate(row for row in results["rows"] if "failed" not in row):
        measured = all("ratio_measured" in at["train"] for at in row["lengths"])
        key = "ratio_measured" if measured else "ratio_forecast"
        points = [(at["length"], at["train"][key]) for at in row["lengths"] if key in at["train"]]
        if points:
            axes.plot(*zip(*points), color=COLOURS[i % len(COLOURS)], linewidth=1.5, marker="o", markersize=3,
                      linestyle="--" if i >= len(COLOURS) else "-", label=plain(row["name"]))
    axes.axhline(1, color="#888888", linewidth=0.7)
    axes.set_xscale("log", base=2)
    axes.set_xticks(results["lengths"], [str(length) for length in results["lengths"]])
    axes.set_xlabel("text tokens")
    axes.set_ylabel("times as fast as LLaVA-LoRA")
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncol=2)
    return figure


def stacked(results, what, scale, x_name):
    """One bar a method, at the length in the middle, of parts that add up."""
    at = len(results["lengths"]) // 2
    rows = [row for row in results["rows"] if "failed" not in row][::-1]
    tables = [row["lengths"][at]["train"][what] for row in rows]
    parts = [part for part in dict.fromkeys(part for table in tables for part in table)
             if any(table.get(part, 0) for table in tables)]
    figure, axes = plt.subplots(figsize=(5.6, 0.26 * len(rows) + 1.2))
    left = [0.0] * len(rows)
    for i, part in enumerate(parts):
        widths = [scale * table.get(part, 0) for table in tables]
        axes.barh([plain(row["name"]) for row in rows], widths, left=left, height=0.7, label=plain(part),
                  color=COLOURS[i % len(COLOURS)])
        left = [a + b for a, b in zip(left, widths)]
    axes.set_xlabel(f"{x_name}, {results['lengths'][at]} text tokens")
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.9 / (0.26 * len(rows) + 0.6)), ncol=3)
    return figure


def draw_comparison(results, folder):
    if any("ratio_floor" in at["train"] for row in results["rows"] for at in row.get("lengths", [])):
        save(ratio(results), folder, "ratio")
    save(stacked(results, "parts", 1e3, "ms"), folder, "parts")
    save(stacked(results, "memory", 1e-9, "GB"), folder, "memory")


def draw(results, folder):
    if results.get("what") == "compare":
        draw_comparison(results, folder)
        return
    kinds = list(dict.fromkeys(row["data"] for row in results["rows"]))
    grouped = [row for row in results["rows"] if row.get("group")]
    if len({row["name"] for row in grouped}) > 1 and grouped[0]["name"] == "dehvf":
        save(ablations(grouped, kinds), folder, "ablations")
    names = list(dict.fromkeys(row["name"] for row in results["rows"] if row.get("loss")))
    shown = names[:5]  # more lines or pictures than that are not read
    colour = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    for i, kind in enumerate(kinds):
        rows = [row for row in results["rows"] if row["data"] == kind and row.get("loss") and row["name"] in shown]
        many = len({row["seed"] for row in rows}) > 1
        first = [row for row in rows if row["seed"] == rows[0]["seed"]]  # what is seen inside: one seed
        having = lambda key, among: [row for row in among if row.get(key)]  # noqa: E731
        if rows:
            save(lines(rows, "loss", "step", "loss, mean of 10 steps", colour, many), folder, f"loss_{i}")
        if having("fuser_first_level", first):
            save(weights(having("fuser_weights", first), many), folder, f"weights_{i}")
        if having("slot_use", first):
            save(slots(having("slot_use", first), colour, many), folder, f"slots_{i}")
        if having("row_ratio", rows):
            save(lines(having("row_ratio", rows), "row_ratio", "LLM layer", "‖row branch‖ / ‖FFN‖", colour, many),
                 folder, f"ratio_{i}")


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: plot.py RESULTS.json FOLDER")
    try:
        with open(sys.argv[1], encoding="utf-8") as file:
            draw(json.load(file), sys.argv[2])
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        sys.exit(f"plot.py: {sys.argv[1]}: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
