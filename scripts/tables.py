#!/usr/bin/env python3
"""tables.py RUN/results.json: prints a run's results as the Markdown tables of the README."""
import json
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
    seeds = len({row["seed"] for row in rows}) > 1
    head = [HEADINGS.get(kind, kind), "image questions, % [95%]", "text", "all", *topics, "s"]
    out = ["| " + " | ".join(map(cell, head)) + " |", "|---" + "|--:" * (len(head) - 1) + "|"]
    for row, mark in ordered(rows):
        title = mark + row["title"] + (f" (seed {row['seed']})" if seeds else "")
        image = f"{percent(row['accuracy_image'])} [{percent(row['low95'])}, {percent(row['high95'])}]"
        numbers = [percent(row[key]) for key in ("accuracy_text", "accuracy_all")]
        numbers += [percent(row["by_topic"].get(topic)) for topic in topics] + [f"{row['seconds']:.1f}"]
        out.append("| " + " | ".join(map(cell, [title, image, *numbers])) + " |")
    return "\n".join(out)


def main():
    if len(sys.argv) != 2:
        print("usage: tables.py RUN/results.json", file=sys.stderr)
        sys.exit(2)
    try:
        with open(sys.argv[1], encoding="utf-8") as file:
            rows = json.load(file)["rows"]
        kinds = list(dict.fromkeys(row["data"] for row in rows))
        print("\n\n".join(table(kind, [row for row in rows if row["data"] == kind]) for kind in kinds))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        print(f"tables.py: {sys.argv[1]}: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
