"""restored, anomalies, drawn, synthetic: pictures through few numbers, strange ones found, drawn ones; drawn rows."""

from __future__ import annotations

import statistics
from typing import Any

from bench import child
from bench.job import Job
from bench.report import table, verdict

SHARE, AUC, RATIO = 0.6, 0.92, 0.9
TABLES = "cancer,penguins,scorecard"
RIVALS = ("ctgan", "tvae")  # of rows, both of SDV
KNOWN = 0.9  # of the pictures drawn for a class, recognised as of it
PICTURES = child.KEPT / "pictures"


def restored(job: Job) -> str:
    """The section of autoencoders."""
    o = job.settings({"seed": 0, "code": 32}, {}, "ours")
    how = ("--data", job.data, "--code", o["code"], *job.fit(**({"epochs": 0.2} if job.quick else {})))
    ours = child.ours("restored", o["seed"], *how, script="ours_drawn")
    seen = ours.last
    ratio = seen["squared"] / seen["components"]
    return (
        f"Fashion-MNIST, all training pictures, {o['code']} numbers for each; {seen['epochs']:g} epochs in "
        f"{seen['fitted']:.0f} s, {seen['parameters']:,} parameters, peak {seen['rss']:.2f} GB, load before "
        f"{ours.load:.2f}. Squared error of the test pictures' intensities, between 0 and 1: {seen['squared']:.5f}, of "
        f"{o['code']} principal components {seen['components']:.5f}.\n\n"
        + table([{name: f"{value:.4g}" for name, value in line.items()} for line in seen["bits"]])
        + "\n"
        + verdict(ratio <= SHARE, f"squared error <= {SHARE} of that of principal components", f"{ratio:.3f}")
    )


def anomalies(job: Job) -> str:
    """The section of what is strange."""
    o = job.settings({"seed": 0, "classes": 10}, {"classes": 1}, "ours")
    how = ("--data", job.data, "--classes", o["classes"], *job.fit(**({"epochs": 0.5} if job.quick else {})))
    ours = child.ours("anomalies", o["seed"], *how, script="ours_drawn")
    rows = [
        {"clean": line["class"], "AUC": f"{line['auc']:.4f}", "components": f"{line['components']:.4f}"}
        | {"s to learn": f"{line['fitted']:.0f}"}
        for line in ours.lines
    ]
    mine, theirs = (statistics.mean(line[side] for line in ours.lines) for side in ("auc", "components"))
    return (
        table(rows)
        + "\nOne class of Fashion-MNIST is clean: an autoencoder of its training pictures alone; the area under the "
        "curve of the squared error at the test pictures of all classes, beside that of 32 principal components.\n\n"
        + verdict(mine >= max(AUC, theirs), f"mean AUC >= {AUC} and the components'", f"{mine:.4f}, {theirs:.4f}")
    )


def drawn(job: Job) -> str:
    """The section of pictures that are drawn."""
    o = job.settings({"seed": 0, "count": 10_000, "epochs": 4.0}, {"count": 300, "epochs": 0.3}, "ours")
    PICTURES.mkdir(parents=True, exist_ok=True)
    how = ["--data", job.data, "--count", o["count"], "--epochs", o["epochs"], "--out", PICTURES]
    usual: dict[str, Any] = {"time": 600}
    ours = child.ours(
        "drawn", o["seed"], *how, *job.fit(**(usual if not job.quick else {"time": 8})), script="ours_drawn"
    )
    judges, lines = ours.lines[0], {line["head"]: line for line in ours.lines[1:]}
    rows = [
        {"head": head, "FID": f"{line['fid']:.2f}", "precision": f"{line['precision']:.3f}"}
        | {"recall": f"{line['recall']:.3f}", "recognised": f"{line['recognised']:.1%}"}
        | {"s to learn": f"{line['fitted']:.0f}", "ms a picture": f"{1000 * line['drawing']:.1f}"}
        | {"epochs": f"{line['epochs']:.1f}", "parameters": f"{line['parameters']:,}", "peak GB": f"{line['rss']:.2f}"}
        for head, line in lines.items()
    ]
    fid = {head: line["fid"] for head, line in lines.items()}
    known = min(lines[head]["recognised"] for head in ("gan", "diffusion"))
    return (
        table(rows)
        + f"\n{o['count']:,} pictures for classes of test rows. FID, precision, recall: against the test pictures, in "
        f"the vectors of a classifier trained by Ranvier ({judges['accuracy'][0]:.1%} of test rows right); training "
        f"pictures have {judges['self']['fid']:.2f}. Recognised: by another ({judges['accuracy'][1]:.1%}). Grids lie "
        "in `bench/.envs/pictures`.\n\n"
        + verdict(
            fid["gan"] <= 0.6 * fid["vae"], "FID of the GAN <= 0.6 of the VAE's", f"{fid['gan'] / fid['vae']:.2f}"
        )
        + "\n"
        + verdict(fid["diffusion"] <= fid["gan"], "FID of diffusion <= the GAN's", f"{fid['diffusion']:.2f}")
        + "\n"
        + verdict(known >= KNOWN, f"pictures of GAN and diffusion recognised >= {KNOWN:.0%}", f"at least {known:.1%}")
    )


def synthetic(job: Job) -> str:
    """The section of rows that are drawn."""
    o = job.settings({"seed": 0, "tables": TABLES}, {"tables": "penguins"}, "ours")
    folder = child.KEPT / "rows"
    folder.mkdir(parents=True, exist_ok=True)
    rows, ratios, nearer, absent = [], [], [], []
    for name in o["tables"].split(","):
        how = ("--data", job.data, "--table", name, "--out", folder, *job.fit(**({"epochs": 3} if job.quick else {})))
        ours = child.ours("rows", o["seed"], *how, script="ours_drawn")
        seen = ours.last
        files = {part: folder / f"{name}_{part}.csv" for part in ("known", "held", "drawn", *RIVALS)}
        sides: dict[str, child.Child] = {"drawn": ours}
        for rival in RIVALS:
            asked = (rival, "--known", files["known"], "--out", files[rival], *job.pick((), ("--epochs", 3)))
            side = child.attempt(lambda asked=asked: child.peer("sdv", "synthetic_sdv.py", *asked))
            if isinstance(side, child.Absent):
                absent.append(f"{rival} of {name}: {side.reason}")
            else:
                sides[rival] = side
        asked = ("--target", seen["target"], "--classes", int(seen["classes"]))
        told = ("--known", files["known"], "--held", files["held"], "--drawn", *(files[side] for side in sides))
        judged = child.peer("sklearn", "synthetic_sklearn.py", *told, *asked).lines
        for (side, run), line in zip(sides.items(), judged, strict=True):
            ratio = line["synthetic"] / line["true"]
            apart = {n: f"{line['apart'][n]['median']:.3f} ({line['apart'][n]['least']:.3f})" for n in line["apart"]}
            if side == "drawn":
                ratios.append(ratio)
                nearer.append(line["apart"]["drawn"]["median"] / line["apart"]["held"]["median"])
            rows.append(
                {"table": name, "rows": f"{seen['rows']:,}", "columns": seen["columns"]}
                | {"drawn by": "ranvier" if side == "drawn" else side}
                | {"learnt from true rows": f"{line['true']:.4f}", "from drawn ones": f"{line['synthetic']:.4f}"}
                | {"ratio": f"{ratio:.3f}", "closest, held": apart["held"], "closest, drawn": apart["drawn"]}
                | {"s to learn": f"{run.last['fitted']:.0f}", "epochs": f"{run.last['epochs']:g}"}
                | {"load before": f"{run.load:.2f}"}
            )
    return (
        table(rows)
        + "\nA quarter of the rows is held out; as many as the others are drawn. Score: accuracy or R² at the rows "
        "held out, of random forests (scikit-learn, 300 trees, three seeds). Closest: distance to the closest row "
        "learnt from, median (5 %). CTGAN and TVAE are SDV's, at their defaults.\n\n"
        + "".join(f"{line}\n\n" for line in absent)
        + verdict(
            min(ratios) >= RATIO, f"score from drawn rows >= {RATIO:.0%} of that from true ones", f"{min(ratios):.3f}"
        )
        + "\n"
        + verdict(
            min(nearer) >= 1, "drawn rows are no nearer to rows learnt from than rows held out", f"{min(nearer):.2f} x"
        )
    )
