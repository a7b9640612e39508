"""bf16: what a training step costs beside peers, and which share of the machine's measured peak it is."""

from __future__ import annotations

import statistics

from bench import child
from bench.job import Job
from bench.report import table, verdict

OPTIONS = {"rounds": 5, "steps": 10}
QUICK = {"rounds": 1, "steps": 2}
PEERS = {
    "transformer": {
        "nn.TransformerEncoder": ("torch", "plain"),
        "x-transformers": ("xtransformers", "xtransformers"),
    },
    "cnn": {"plain PyTorch": ("torch", "plain")},
}
MARKS = {"transformer": 0.35, "cnn": 0.25}
WHAT = {
    "transformer": "width 512, 6 blocks, 8 heads, 256 tokens, batch 16",
    "cnn": "`nets.ResNet(1, [64, 128, 256], 10)`, 28 x 28 pixels, batch 512",
}


def run(job: Job) -> str:
    """The section: both networks, the sides interleaved by round."""
    o = job.settings(OPTIONS, QUICK)
    how = ["--steps", o["steps"], *(["--quick"] if job.quick else [])]
    told = (
        "A step gathers its rows from memory, goes forward under autocast and back, and takes a step of fused AdamW. "
        f"Medians over {o['rounds']} rounds of the median of {o['steps']} steps. The peak is the fastest bf16 product "
        "of two matrices of 2,048 x 2,048 in any of these processes; the share counts the operations of matrix "
        "products and convolutions alone, backward as twice forward, the same for every side.\n\n"
    )
    return told + "\n".join(_net(net, o["rounds"], how) for net in PEERS)


def _net(net: str, rounds: int, how: list[object]) -> str:
    sides: dict[str, list[child.Child]] = {"ranvier": [], **{name: [] for name in PEERS[net]}}
    absent: dict[str, str] = {}
    for _ in range(rounds):
        sides["ranvier"].append(child.ours(net, *how, script="ours_steps"))
        for name, (environment, kind) in PEERS[net].items():
            side = child.attempt(lambda e=environment, k=kind: child.peer(e, "steps_torch.py", net, k, *how))
            if isinstance(side, child.Absent):
                absent[name] = side.reason
            else:
                sides[name].append(side)
    ms = {name: statistics.median(s.last["ms"] for s in runs) for name, runs in sides.items() if runs}
    lines = [side.last for runs in sides.values() for side in runs]
    peak = max(line["peak"] for line in lines)
    shares = {name: lines[0]["operations"] / (value / 1e3) / peak for name, value in ms.items()}
    peers = {name: value for name, value in ms.items() if name != "ranvier"}
    told = f"### {net}\n\n{WHAT[net]}. Peak: {peak:.2f} TFLOP/s.\n\n"
    told += table([_row(name, sides[name], ms, shares[name]) for name in ms]) + "\n"
    told += "".join(f"{name}: no answer ({reason}).\n\n" for name, reason in absent.items())
    if peers:
        best = min(peers, key=lambda name: peers[name])
        met, seen = ms["ranvier"] <= peers[best], f"{ms['ranvier']:.0f} ms against {peers[best]:.0f} ms ({best})"
        told += verdict(met, "a step takes no longer than the best peer's", seen) + "\n"
    return told + verdict(
        shares["ranvier"] >= MARKS[net], f"mark {MARKS[net]:.0%} of the measured peak", f"{shares['ranvier']:.0%}"
    )


def _row(name: str, runs: list[child.Child], ms: dict[str, float], share: float) -> dict[str, object]:
    lines = [side.last for side in runs]
    return {
        "side": name,
        "ms a step": f"{ms[name]:.1f}",
        "ours / it": "" if name == "ranvier" else f"{ms['ranvier'] / ms[name]:.2f}",
        "share of the peak": f"{share:.1%}",
        "threads": lines[0]["threads"],
        "load before": f"{min(s.load for s in runs):.2f} to {max(s.load for s in runs):.2f}",
    }
