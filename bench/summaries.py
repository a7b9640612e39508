"""summaries: descriptions of packages to a line each, beside their first sentences."""

from __future__ import annotations

import json
import re
from pathlib import Path

import polars as pl

from bench import child
from bench.job import Job
from bench.report import table, verdict
from bench.sets import chosen
from bench.translation import SMALL, scored, written

OPTIONS = {"time": 480.0, "rows": 500}
QUICK = {"time": 5.0, "rows": 4}
DATASET, SOURCE, TARGET = "summaries", "document", "summary"
BETTER = 8.0
SENTENCE = re.compile(r".*?[.!?](?=\s|\Z)", re.DOTALL)  # to the first of these signs that white space follows


def run(job: Job) -> str:
    """The section: ours and the first sentences, both scored by rouge-score."""
    o = job.settings(OPTIONS, QUICK, "ours")
    words = job.fit(**job.pick({}, SMALL))
    asked = ("--data", job.data, "--source", SOURCE, "--target", TARGET, "--rows", o["rows"], "--time", o["time"])
    kept = written("summaries-ours")
    ours = child.ours("pairs", DATASET, *asked, "--out", kept, *words, script="ours_language")
    said, first = scored("rouge", kept), scored("rouge", _first(job, o["rows"]))
    seen = ours.last
    a, b = said["score"], first["score"]
    return (
        f"{said['how']}, times 100, on {seen['rows']:,} test rows, the same for both. What was written lies in "
        f"`bench/.envs/texts`. ranvier: `{' '.join(['time=' + format(o['time'], 'g'), *words])}`.\n\n"
        + table(
            [
                {
                    "side": "ranvier",
                    "ROUGE-L": f"{a:.1f}",
                    "less the first sentence's": f"{a - b:+.1f}",
                    "s to learn": f"{seen['fit']:.1f}",
                    "s to write": f"{seen['written']:.1f}",
                    "epochs": f"{seen['epochs']:.1f}",
                    "parameters": f"{seen['parameters']:,}",
                    "peak GB": f"{seen['rss']:.2f}",
                    "threads": seen["threads"],
                    "load before": f"{ours.load:.2f}",
                },
                {"side": "the document's first sentence", "ROUGE-L": f"{b:.1f}", "less the first sentence's": "+0.0"},
            ]
        )
        + "\n"
        + verdict(
            a >= b + BETTER, f"ROUGE-L of the first sentence and {BETTER:g} points more", f"{a:.1f} against {b:.1f}"
        )
    )


def first_sentence(text: str) -> str:
    """The first sentence of a text, or its first paragraph if that comes sooner to an end."""
    paragraph = re.split(r"\n\s*\n", text.strip())[0]
    found = SENTENCE.match(paragraph)
    return found.group() if found else paragraph


def _first(job: Job, rows: int) -> Path:
    test = pl.read_parquet(job.data / f"{DATASET}_test.parquet")
    test = test[chosen(test.height, rows)]
    path = written("summaries-first")
    said = {"said": [first_sentence(text) for text in test[SOURCE]], "true": test[TARGET].to_list()}
    path.write_text(json.dumps(said), encoding="utf-8")
    return path
