"""translation: English to French, beside the Transformer of PyTorch's tutorial with three times as long to learn."""

from __future__ import annotations

from pathlib import Path

from bench import child
from bench.job import Job
from bench.report import table, verdict

OPTIONS = {"time": 420.0, "times": 3.0, "rows": 1_000, "bf16": 0}
QUICK = {"time": 5.0, "times": 1.0, "rows": 4}
# a network so small that it trains and writes at once
SMALL = {
    "head": {"layer_width": 64, "depth": 1, "heads": 1, "longest": 8},
    "encoder": {"name": "transformer", "width": 32, "depth": 1, "heads": 1, "limit": 32},
    "batch": 16,
}
DATASET, SOURCE, TARGET = "ddtp_en_fr", "source", "target"


def run(job: Job) -> str:
    """The section: ours, the peer, both scored by sacreBLEU."""
    o = job.settings(OPTIONS, QUICK, "ours")
    words = job.fit(**job.pick({}, SMALL))
    asked = ("--data", job.data, "--source", SOURCE, "--target", TARGET, "--rows", o["rows"])
    kept = [written(f"translation-{side}") for side in ("ours", "peer")]
    ours = child.ours("pairs", DATASET, *asked, "--time", o["time"], "--out", kept[0], *words, script="ours_language")
    limit = o["times"] * ours.last["fit"]
    how = (
        *asked,
        "--limit",
        f"{limit:.1f}",
        "--out",
        kept[1],
        *(["--bf16"] if o["bf16"] else []),
        *job.pick((), ("--batch", 4, "--most", 8)),
    )
    peer = child.attempt(lambda: child.peer("translation", "translation_torch.py", DATASET, *how))
    a = scored("bleu", kept[0])
    told = (
        f"sacreBLEU on {ours.last['rows']:,} test rows, the same for both (`{a['how']}`). Seconds to learn are those "
        f"since the process was started, reading included; the peer has {o['times']:g} times ours. What was written "
        f"lies in `bench/.envs/texts`. ranvier: `{' '.join(['time=' + format(o['time'], 'g'), *words])}`.\n\n"
    )
    rows = [_row("ranvier", ours, a["score"])]
    if isinstance(peer, child.Absent):
        return told + table(rows) + f"\n**not judged**: the peer gave no answer ({peer.reason}).\n"
    b = scored("bleu", kept[1])
    rows.append(_row("nn.Transformer, tutorial" + (", bf16" if o["bf16"] else ""), peer, b["score"]))
    bar = f"BLEU of the tutorial's model or more, in 1/{o['times']:g} of its time"
    return (
        told + table(rows) + "\n" + verdict(a["score"] >= b["score"], bar, f"{a['score']:.1f} against {b['score']:.1f}")
    )


def written(name: str) -> Path:
    """Where the texts that a side writes are kept."""
    folder = child.KEPT / "texts"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.json"


def scored(score: str, file: Path) -> dict[str, object]:
    """What `texts_scores.py` says of them."""
    return child.peer("scores", "texts_scores.py", score, "--file", file).last


def _row(name: str, side: child.Child, score: object) -> dict[str, object]:
    seen = side.last
    return {
        "side": name,
        "BLEU": f"{score:.1f}",
        "s to learn": f"{seen['fit']:.1f}",
        "s to write": f"{seen['written']:.1f}",
        "epochs": f"{seen['epochs']:.1f}",
        "parameters": f"{seen['parameters']:,}",
        "peak GB": f"{seen['rss']:.2f}",
        "threads": seen["threads"],
        "load before": f"{side.load:.2f}",
    }
