#!/usr/bin/env python3
"""tables.py RESULTS.json          prints results (of the demo, scripts/bench_cpu, scripts/gpu_check peers) as Markdown tables
tables.py --write PAGE.md...   puts them anew between <!-- NAME table: scripts/tables.py RESULTS.json --> and
                               <!-- end of NAME table -->"""
import json
import pathlib
import re
import sys

TOPICS = ["colour", "texture", "class", "count"]
HEADINGS = {"scenes": "Scenes", "pictures": "Real pictures"}


def cell(text):
    return " ".join(str(text).split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def percent(value):
    return "–" if value is None else f"{100 * value:.1f}"


def ordered(rows):
    """Every row of its own, followed by its further evaluations."""
    known = {(row["name"], row["seed"]) for row in rows}
    for row in rows:
        if (row.get("evaluation_of"), row["seed"]) in known:
            continue
        yield row, ""
        for other in rows:
            if (other.get("evaluation_of"), other["seed"]) == (row["name"], row["seed"]):
                yield other, "↳ "


def table(kind, rows):
    found = {topic for row in rows for topic in row["by_topic"]} - {"text"}
    topics = [topic for topic in TOPICS if topic in found] + sorted(found - set(TOPICS))
    head = [HEADINGS.get(kind, kind), "image questions, % [95%]", "text", "all", *topics, "s"]
    out = ["| " + " | ".join(map(cell, head)) + " |", "|---" + "|--:" * (len(head) - 1) + "|"]
    for row, mark in ordered(rows):
        title = mark + row["title"]
        image = f"{percent(row['accuracy_image'])} [{percent(row['low95'])}, {percent(row['high95'])}]"
        numbers = [percent(row[key]) for key in ("accuracy_text", "accuracy_all")]
        numbers += [percent(row["by_topic"].get(topic)) for topic in topics] + [f"{row['seconds']:.1f}"]
        out.append("| " + " | ".join(map(cell, [title, image, *numbers])) + " |")
    return "\n".join(out)


def by_seed(rows):
    """Several seeds: image accuracies only, one column for each data set and seed."""
    columns = list(dict.fromkeys((row["data"], row["seed"]) for row in rows))
    heads = [f"{HEADINGS.get(data, data)}, seed {seed}" for data, seed in columns]
    out = ["| image questions, % [95%] | " + " | ".join(map(cell, heads)) + " |", "|---" + "|--:" * len(columns) + "|"]
    first = [row for row in rows if (row["data"], row["seed"]) == columns[0]]
    for row, mark in ordered(first):
        found = {(other["data"], other["seed"]): other for other in rows if other["name"] == row["name"]}
        cells = [f"{percent(found[at]['accuracy_image'])} [{percent(found[at]['low95'])}, {percent(found[at]['high95'])}]"
                 for at in columns]
        out.append("| " + " | ".join([mark + cell(row["title"]), *cells]) + " |")
    return "\n".join(out)


def times(results):
    """Of scripts/bench_cpu: the training step against PyTorch."""
    def peer(row, key):
        if "step" not in row[key]:
            return "–", "–"
        suffix = key.removeprefix("torch")
        predicted = row[f"ratio{suffix}_predicted"]
        return f"{row[key]['step']['median_ms']:.1f}", f"{row['ratio' + suffix]:.2f} ({predicted:.1f})"
    head = ["threads", "dehvf, ms", "PyTorch, ms", "ratio (predicted)", "compiled, ms", "ratio (predicted)",
            "products, %", "attention, %", "visual rows, %", "loader / step, %"]
    out = ["| " + " | ".join(head) + " |", "|--:" * len(head) + "|"]
    for row in results["rows"]:
        own = row["dehvf"]
        kinds = [percent(own["shares"]["kinds"][kind]) for kind in ("products", "attention", "visual rows")]
        cells = [row["threads"], f"{own['step']['median_ms']:.1f}", *peer(row, "torch"), *peer(row, "torch_compiled"),
                 *kinds, percent(own["loader_per_step"])]
        out.append("| " + " | ".join(map(cell, cells)) + " |")
    torch = results["rows"][0]["torch"]
    out.append(f"\n{cell(results['device'])}, commit {results['commit']}, {results['date']}, PyTorch {torch['torch']}.")
    return "\n".join(out)


def peers(results):
    """Of scripts/gpu_check peers: training steps against PyTorch's, and where memory was counted, its peak. Times of
    rounds that differ by more than half are not shown: something else ran."""
    steady = lambda spread: spread["high"] <= 1.5 * spread["low"]
    milliseconds = lambda spread: f"{1e3 * spread['median']:.1f}" if steady(spread) else "unsteady"

    def form(row, name):
        if "failed" in row.get(name, {"failed": ""}):
            return ["–", "–"]
        ratio = row[name]["ratio"]
        if not steady(ratio):
            return ["unsteady", "unsteady"]
        return [milliseconds(row[name]["seconds"]), f"{ratio['median']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"]
    head = ["shape", "method", "tokens", "trained", "dehvf, ms", "PyTorch, ms", "ratio", "compiled, ms", "ratio",
            "FLOPs, theirs / ours"]
    counted = any(row["eager"].get("peak_bytes") for shape in results["shapes"] for row in shape["rows"])
    head += ["GB: dehvf (planned), PyTorch, compiled"] if counted else []
    out = ["| " + " | ".join(head) + " |", "|---|---" + "|--:" * (len(head) - 2) + "|"]
    for shape in results["shapes"]:
        for row in shape["rows"]:
            name = row["method"] + (", recomputing" if row["recompute"] else "")
            cells = [shape["shape"], name, row["length"], f"{row['trained']:,}",
                     milliseconds(row["ours"]["seconds"]), *form(row, "eager"), *form(row, "compile"),
                     f"{row['flops']['theirs'] / row['flops']['ours']:.2f}"]
            if counted:
                bytes_of = [row["ours"]["peak_bytes_planned"], *(row[f].get("peak_bytes") for f in ("eager", "compile"))]
                cells.append(", ".join(f"{1e-9 * count:.1f}" if count else "–" for count in bytes_of))
            out.append("| " + " | ".join(map(cell, cells)) + " |")
    first = results["shapes"][0]
    on = f"{cell(first['device'])}, {first['threads']} threads" if results["device"] == "cpu" else cell(first["device"])
    versions = ", ".join(f"{name} {version}" for name, version in first["versions"].items())
    out.append(f"\n{on}, commit {results['commit']}, {results['date']}, {versions}; {first['samples']} samples, "
               f"{first['supervised']} labelled tokens each; medians of {first['rounds']} rounds of {first['steps']} steps.")
    return "\n".join(out)


def rates(results):
    """Of scripts/demo_rates: image accuracy by peak rate, the best of each row in bold."""
    rows = results["rows"]
    tried = sorted({row["rate"] for row in rows})
    head = ["row", "data", *(f"{rate:g}" for rate in tried)]
    out = ["| " + " | ".join(head) + " |", "|---|---" + "|--:" * len(tried) + "|"]
    for name, data in sorted({(row["name"], row["data"]) for row in rows}):
        found = {row["rate"]: row["accuracy_image"] for row in rows if (row["name"], row["data"]) == (name, data)}
        best = max(found, key=found.get)
        cells = [f"**{percent(found[rate])}**" if rate == best else percent(found.get(rate)) for rate in tried]
        out.append("| " + " | ".join([cell(name), HEADINGS.get(data, data), *cells]) + " |")
    return "\n".join(out)


def tables_of(path):
    if path.endswith(".md"):  # tables that were written as such
        return pathlib.Path(path).read_text(encoding="utf-8").strip()
    results = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    if results.get("what") == "demo_rates":
        return rates(results)
    if results.get("what") == "compare":  # its caption and first table, as `dehvf compare` wrote them beside it
        return "\n\n".join(pathlib.Path(path).with_suffix(".md").read_text(encoding="utf-8").split("\n\n")[:2]).strip()
    if results.get("what") == "peers":
        return peers(results)
    if results.get("what") == "toy_step":
        return times(results)
    rows = results["rows"]
    if len({row["seed"] for row in rows}) > 1:
        return by_seed(rows)
    kinds = list(dict.fromkeys(row["data"] for row in rows))
    return "\n\n".join(table(kind, [row for row in rows if row["data"] == kind]) for kind in kinds)


BLOCK = re.compile(r"(<!-- (\w+) table: scripts/tables.py (\S+) -->\n).*?(<!-- end of \2 table -->)", re.S)


def main():
    pages = sys.argv[2:] if sys.argv[1:2] == ["--write"] else []
    if not pages and len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    at = None
    try:
        for page in map(pathlib.Path, pages):
            at = page
            text = page.read_text(encoding="utf-8")
            page.write_text(BLOCK.sub(lambda m: m[1] + tables_of(m[3]) + "\n" + m[4], text), encoding="utf-8")
        if not pages:
            at = sys.argv[1]
            print(tables_of(at))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        print(f"tables.py: {at}: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
