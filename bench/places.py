"""places: masks and boxes of pictures composed of stamps, alone and in one model, beside a tutorial U-Net."""

from __future__ import annotations

from typing import Any

from bench import child
from bench.job import Job
from bench.report import table, verdict

OPTIONS: dict[str, Any] = {"seed": 0, "time": 720.0}
QUICK: dict[str, Any] = {"time": 10.0}
SEEN_MASK, FOUND_MASK, MORE = 0.80, 0.85, 0.03  # validation mean IoU, test foreground IoU, above the tutorial's
SEEN_BOXES, FOUND_BOXES = 0.80, 0.75  # validation mAP@50, test mAP@50 of all classes as one
NEAR, LONGER = 0.03, 1.3  # of both at once


def run(job: Job) -> str:
    """The section: figures of validation and test rows, seconds; the peer has twice the time."""
    o = job.settings(OPTIONS, QUICK, "ours")
    words = job.fit(time=o["time"])
    sides = {
        what: child.ours(what, o["seed"], "--data", job.data, *words, script="ours_places")
        for what in ("mask", "boxes", "both")
    }
    how = ("--data", job.data, "--seconds", 2 * o["time"], "--seed", o["seed"])
    peer = child.attempt(lambda: child.peer("torch", "masks_torch.py", *how))
    rows = [_row(f"ranvier: {what}", side.last) for what, side in sides.items()]
    rows.append({"side": "U-Net", "note": peer.reason} if isinstance(peer, child.Absent) else _row("U-Net", peer.last))
    mask, boxes, both = (sides[what].last for what in ("mask", "boxes", "both"))
    lines = [
        verdict(line[part][figure] >= least, f"{of} >= {least}", f"{line[part][figure]:.3f}")
        for line, part, figure, least, of in (
            (mask, "seen", "mean_iou", SEEN_MASK, "validation mean IoU"),
            (mask, "test", "foreground_iou", FOUND_MASK, "test foreground IoU"),
            (boxes, "seen", "map50", SEEN_BOXES, "validation mAP@50"),
            (boxes, "test", "map50_any", FOUND_BOXES, "test mAP@50 of any class"),
        )
    ]
    if not isinstance(peer, child.Absent):
        lead = mask["test"]["mean_iou"] - peer.last["test"]["mean_iou"]
        lines.append(
            verdict(lead >= MORE, f"test mean IoU >= that of the U-Net + {MORE}, in half its time", f"{lead:+.3f}")
        )
    apart = min(
        both["test"]["mean_iou"] - mask["test"]["mean_iou"], both["test"]["map50_any"] - boxes["test"]["map50_any"]
    )
    lines.append(verdict(apart >= -NEAR, f"both at once within {NEAR} of each alone (test)", f"{apart:+.3f}"))
    pace = both["step"] / max(mask["step"], boxes["step"])
    lines.append(verdict(pace <= LONGER, f"a step of both <= {LONGER} x that of one", f"{pace:.2f} x"))
    return (
        table(rows)
        + "\nThe last tenth of the training pictures validates: new compositions of stamps that were seen; stamps and "
        "backgrounds of the test pictures were not. mAP: at an overlap of 0.5 for each class, and of all as one.\n\n"
        + "\n".join(lines)
    )


def _row(name: str, line: dict[str, Any]) -> dict[str, object]:
    found: dict[str, object] = {"side": name}
    for part in ("seen", "test"):
        for figure in ("mean_iou", "foreground_iou", "map50", "map50_any"):
            if figure in line[part]:
                found[f"{part}: {figure}"] = f"{line[part][figure]:.3f}"
    return found | {
        "s to learn": f"{line['fitted']:.0f}",
        "epochs": f"{line['epochs']:.1f}",
        "parameters": f"{line['parameters']:,}",
        "peak GB": f"{line['rss']:.2f}",
    }
