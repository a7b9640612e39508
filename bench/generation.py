"""generation: what cached keys and values save of the time to write a text, and what a batch costs."""

from __future__ import annotations

import statistics
from typing import Any

from bench import child
from bench.job import Job
from bench.report import table, verdict

OPTIONS = {"rounds": 7, "rows": 32, "prompt": 16, "tokens": 256, "vocabulary": 2_000}
QUICK = {"rounds": 1, "rows": 4, "tokens": 16}
SAVED, COST = 5.0, 4.0


def run(job: Job) -> str:
    """The section."""
    o = job.settings(OPTIONS, QUICK)
    side = child.ours(*(word for name in OPTIONS for word in (f"--{name}", o[name])), script="ours_write")
    seen = side.last
    medians = {name: statistics.median(each) for name, each in seen["seconds"].items()}
    saved, cost = medians["again"] / medians["one"], medians["many"] / medians["one"]
    same = "the same" if seen["same"] else "not the same"
    told = (
        f"{o['tokens']} tokens after a prompt of {o['prompt']}, by the text head at its default size (width "
        f"{seen['width']}, {seen['blocks']} blocks, a vocabulary of {o['vocabulary']:,}: {seen['parameters']:,} "
        f"parameters, random) and in its default manner (drawn, temperature {seen['temperature']}, top_p "
        f"{seen['top_p']}), in fp32. Medians of {o['rounds']} rounds, in each of which the three take turns.\n\n"
    )
    rows = [
        _row("one text", 1, o, seen["seconds"]["one"], medians["one"], side),
        _row("one text, all of it read again for each token", 1, o, seen["seconds"]["again"], medians["one"], side),
        _row(f"{o['rows']} texts at once", o["rows"], o, seen["seconds"]["many"], medians["one"], side),
    ]
    return (
        told
        + table(rows)
        + "\n"
        + verdict(
            saved >= SAVED and seen["same"],
            f"reading all again takes >= {SAVED:.0f} x as long, and writes the same",
            f"{saved:.1f} x, {same} text",
        )
        + "\n"
        + verdict(cost < COST, f"{o['rows']} texts take < {COST:.0f} x the time of one", f"{cost:.2f} x")
    )


def _row(
    name: str, rows: int, o: dict[str, Any], each: list[float], one: float, side: child.Child
) -> dict[str, object]:
    median = statistics.median(each)
    return {
        "written": name,
        "s": f"{median:.3f}",
        "fastest s": f"{min(each):.3f}",
        "slowest s": f"{max(each):.3f}",
        "tokens a second": f"{rows * o['tokens'] / median:,.0f}",
        "x one text": f"{median / one:.2f}",
        "threads": side.last["threads"],
        "load before": f"{side.load:.2f}",
    }
