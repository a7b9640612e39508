"""pretrain: fits with few labels that start from a network pretrained on the same texts without labels, or anew."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from bench import child
from bench.job import Job
from bench.report import table, verdict

OPTIONS = {"time": 600, "draws": 3, "tested": 500}
QUICK = {"time": 5, "draws": 1, "tested": 20}
LABELS, FEW = (100, 1_000), (100, 300)


@dataclass(frozen=True)
class Task:
    """What is pretrained on, and what is learnt with few labels. figure: the one that is compared."""

    dataset: str
    column: str
    target: str
    figure: str
    kind: str = "masked"
    input: str = ""
    tested: bool = False  # whether test rows are few, since each has to be written


TASKS = (
    Task("snippets", "text", "sentiment", "accuracy"),
    Task("newsgroups", "text", "label", "accuracy"),
    Task("summaries", "summary", "summary", "rouge_l", kind="next", input="document", tested=True),
)


def run(job: Job) -> str:
    """The section: a table of the pretrainings, and one of the fits."""
    o = job.settings(OPTIONS, QUICK, "ours")
    labels = job.pick(LABELS, FEW)
    sides = {each: _side(job, each, o, labels) for each in TASKS}
    rows = [_row(each, count, side) for each, side in sides.items() for count in labels]
    gains = [row.pop("gain") for row in rows]
    return (
        table([_base(each, side) for each, side in sides.items()])
        + f"\nAll training texts, none of their labels; at most {o['time']} s each; figures of the test texts.\n\n"
        + table(rows)
        + f"\nMean test figure over {o['draws']} draws of labelled rows, the same for all (± half the range). Anew: "
        "the same encoder or decoder from random weights. Default: what `fit` takes by itself. "
        f"ROUGE-L of {o['tested']} test rows; bits per character of the same in brackets.\n\n"
        + verdict(
            all(gain > 0 for gain in gains),
            "the pretrained start better than the one anew with any number of labels",
            ", ".join(f"{100 * gain:+.1f}" for gain in gains),
        )
    )


def _side(job: Job, each: Task, o: dict[str, Any], labels: tuple[int, ...]) -> child.Child:
    asked = ["--column", each.column, "--target", each.target, "--kind", each.kind, "--time", o["time"]]
    asked += ["--input", each.input] if each.input else []
    asked += ["--tested", o["tested"]] if each.tested else []
    much = ["--labels", *labels, "--draws", o["draws"], *job.fit()]
    return child.ours(each.dataset, "--data", job.data, *asked, *much, script="ours_pretrain")


def _base(each: Task, side: child.Child) -> dict[str, object]:
    told = side.lines[0]
    return {
        "texts": f"{each.dataset}: {each.column}",
        "kind": each.kind,
        "rows": f"{told['rows']:,}",
        "seconds": f"{told['seconds']:.0f}",
        "perplexity": f"{told['perplexity']:.1f}",
        "found": f"{told['accuracy']:.1%}" if "accuracy" in told else "",
        "peak GB": f"{told['rss']:.2f}",
        "load before": f"{side.load:.2f}",
    }


def _row(each: Task, labels: int, side: child.Child) -> dict[str, Any]:
    mine = [line for line in side.lines[1:] if line["labels"] == labels]
    by_start = {start: [line for line in mine if line["start"] == start] for start in ("pretrained", "anew", "default")}
    means = {s: statistics.mean(line[each.figure] for line in own) for s, own in by_start.items() if own}
    told = {start: _told(own, each.figure) if own else "" for start, own in by_start.items()}
    seconds = {s: statistics.mean(line["seconds"] for line in own) for s, own in by_start.items() if own}
    gain = means["pretrained"] - means["anew"]
    return {
        "data": each.dataset,
        "labels": f"{labels:,}",
        **told,
        "less anew": f"{100 * gain:+.1f}",
        "pretrained s": f"{seconds['pretrained']:.0f}",
        "anew s": f"{seconds['anew']:.0f}",
        "gain": gain,
    }


def _told(own: list[dict[str, Any]], figure: str) -> str:
    values = [100 * line[figure] for line in own]
    half = (max(values) - min(values)) / 2
    bits = [line["bits_per_character"] for line in own if "bits_per_character" in line]
    return f"{statistics.mean(values):.1f} ± {half:.1f}" + (f" ({statistics.mean(bits):.2f})" if bits else "")
