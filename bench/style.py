"""style: what one picture shows, painted as another is; seconds, and distances told by what has not painted."""

from __future__ import annotations

from typing import Any

from bench import child
from bench.job import Job
from bench.report import table, verdict

OPTIONS: dict[str, Any] = {
    "seed": 0,
    "size": 256,
    "epochs": 4.0,
    "pairs": "eveningglow:autumn,colorfulcups:onestandsout,flyingkonqui:altai",
}
QUICK: dict[str, Any] = {"size": 32, "epochs": 0.1, "pairs": "eveningglow:autumn"}
MOST, HALF = 60.0, 0.5  # seconds; of the distance to the style before


def run(job: Job) -> str:
    """The section: a row for each pair."""
    o = job.settings(OPTIONS, QUICK)
    folder = child.KEPT / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    how = ("--data", job.data, "--out", folder, "--size", o["size"])
    ours = child.ours(o["seed"], *how, "--pairs", o["pairs"], "--epochs", o["epochs"], script="ours_style")
    rows = [_row(line) for line in ours.lines]
    slowest = max(line["seconds"] for line in ours.lines)
    left = max(line["filters"]["after"]["style"] / line["filters"]["before"]["style"] for line in ours.lines)
    kept = all(line["filters"]["after"]["content"] < line["filters"]["other"]["content"] for line in ours.lines)
    return (
        table(rows)
        + f"\nAt {o['size']} pixels, peak {ours.last['rss']:.2f} GB, load before {ours.load:.2f}. Distances by random "
        "filters of another seed, and by the encoder of a model of masks (scenes): of the content itself to the style "
        "and of what was painted; to the content of what was painted, and of the style itself. The pictures lie in "
        "`bench/.envs/pictures`.\n\n"
        + verdict(slowest <= MOST, f"each within {MOST:g} s", f"{slowest:.0f} s")
        + "\n"
        + verdict(left <= HALF, f"distance to the style <= {HALF} of that before", f"{left:.2f}")
        + "\n"
        + verdict(kept, "nearer to the content than the style itself is", "each" if kept else "not each")
    )


def _row(line: dict[str, Any]) -> dict[str, object]:
    row: dict[str, object] = {"content": line["pair"].split(":")[0], "style": line["pair"].split(":")[1]}
    row |= {"s": f"{line['seconds']:.0f}", "processor s": f"{line['processor']:.0f}"}
    for judge in ("filters", "scenes"):
        seen = line[judge]
        row[f"{judge}: style"] = f"{seen['before']['style']:.2f} -> {seen['after']['style']:.2f}"
        row[f"{judge}: content"] = f"{seen['after']['content']:.2f} ({seen['other']['content']:.2f})"
    return row
