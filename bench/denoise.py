"""denoise: noisy pictures made clean, beside total-variation denoising of scikit-image."""

from __future__ import annotations

from typing import Any

from bench import child
from bench.job import Job
from bench.report import table, verdict

OPTIONS: dict[str, Any] = {"seed": 0, "rows": 20_000, "sigma": 0.3, "time": 300.0}
QUICK: dict[str, Any] = {"rows": 500, "time": 8.0}
MORE = 3.0  # decibels


def run(job: Job) -> str:
    """The section: signal-to-noise ratio and structural similarity of the test pictures."""
    o = job.settings(OPTIONS, QUICK, "ours")
    file = child.KEPT / "noisy.npz"
    file.parent.mkdir(parents=True, exist_ok=True)
    how = ("--data", job.data, "--out", file, "--rows", o["rows"], "--sigma", o["sigma"], *job.fit(time=o["time"]))
    ours = child.ours(o["seed"], *how, script="ours_denoise")
    seen = ours.last
    peer = child.attempt(lambda: child.peer("skimage", "denoise_skimage.py", "--file", file))
    rows: list[dict[str, object]] = [_row("ranvier", seen)]
    told = (
        f"Fashion-MNIST, {o['rows']:,} training pictures; noise of deviation {o['sigma']:g} on intensities between "
        f"0 and 1, cut off there. {seen['epochs']:.1f} epochs in {seen['fitted']:.0f} s, {seen['parameters']:,} "
        f"parameters, peak {seen['rss']:.2f} GB, load before {ours.load:.2f}. PSNR: of the mean error of all test "
        "pictures.\n\n"
    )
    if isinstance(peer, child.Absent):
        return f"{told}{table(rows)}\ntotal variation: {peer.reason}\n"
    other = peer.last
    rows += [
        _row(f"total variation, weight {other['weight']:g}", other),
        {"side": "as given", **_figures(other["input"])},
    ]
    lead = seen["psnr"] - other["psnr"]
    said = f"PSNR >= that of total variation, its weight chosen on training pictures, + {MORE:g} dB"
    return f"{told}{table(rows)}\n{verdict(lead >= MORE, said, f'{lead:+.2f} dB')}"


def _row(name: str, line: dict[str, Any]) -> dict[str, object]:
    return {"side": name, **_figures(line), "ms a picture": f"{1000 * line['each']:.2f}"}


def _figures(line: dict[str, Any]) -> dict[str, object]:
    return {"PSNR (dB)": f"{line['psnr']:.2f}", "SSIM": f"{line['ssim']:.3f}"}
