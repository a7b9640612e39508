"""python -m bench [names ...]: ours beside its peers; writes a section each to bench/RESULTS.md."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from bench import (
    bf16,
    bound,
    chat,
    child,
    crf,
    denoise,
    drawn,
    fashion93,
    fewshot,
    generation,
    images,
    kills,
    labels,
    language_model,
    loops,
    machine,
    memory,
    minilm,
    music,
    onerow,
    places,
    predicting,
    pretrain,
    reading,
    report,
    scaling,
    sequence,
    startup,
    style,
    summaries,
    tables,
    texts,
    translation,
    tuned,
    tutorials,
    uncertainty,
)
from bench.job import Job, OptionError, small

BENCHES: dict[str, Callable[[Job], str]] = {
    "startup": startup.run,
    "kills": kills.run,
    "onerow": onerow.run,
    "predicting": predicting.run,
    "engine": loops.run,
    "fashion": images.run,
    "newsgroups": texts.newsgroups,
    "snippets": texts.snippets,
    "tables": tables.run,
    "airbench": fashion93.airbench,
    "fashion93": fashion93.race,
    "keras_cnn": tutorials.keras_cnn,
    "mlp": tutorials.mlp,
    "sequence": sequence.run,
    "fasttext": tuned.run,
    "pretrain": pretrain.run,
    "minilm": minilm.run,
    "bf16": bf16.run,
    "memory": memory.run,
    "scaling": scaling.run,
    "crf": crf.run,
    "language_model": language_model.run,
    "translation": translation.run,
    "summaries": summaries.run,
    "generation": generation.run,
    "music": music.run,
    "chat": chat.run,
    "uncertainty": uncertainty.run,
    "restored": drawn.restored,
    "anomalies": drawn.anomalies,
    "drawn": drawn.drawn,
    "synthetic": drawn.synthetic,
    "denoise": denoise.run,
    "style": style.run,
    "bound": bound.run,
    "places": places.run,
    "fewshot": fewshot.run,
    "labels": labels.run,
    "reading": reading.run,
}
PLAIN = ("startup", "onerow", "engine", "newsgroups", "snippets")  # those that take no --set
SETTABLE = [name for name in BENCHES if name not in PLAIN]
NOTE = "Quick: only to see that it runs; the figures mean nothing.\n\n"
HELP = "an option of the bench; one with a dot, such as ours.epochs=3, is a setting of ranvier's own side"
WHOLE, QUICK = child.BENCH / "RESULTS.md", child.KEPT / "quick.md"


def main() -> int:
    """Runs the benches named, or all. 1 if one of them could not run; a bar that is missed is no error."""
    args = _arguments()
    out: Path = args.out or (QUICK if args.quick else WHOLE)
    data = small(args.data) if args.quick else args.data.resolve()
    command = f"python -m bench {' '.join(sys.argv[1:])}".strip()
    broken = 0
    for name in args.names or BENCHES:
        child.say(f"== {name}")
        stamp = machine.stamp(command)
        try:
            body = BENCHES[name](Job(data, args.quick, args.set))
        except OptionError as error:
            child.say(f"{name}: {error}")
            return 2
        except child.ChildError as error:
            broken += 1
            child.say(f"{name} could not run: {error}")
            continue
        told = f"{NOTE if args.quick else ''}{stamp}\n{body}"
        page = out.read_text(encoding="utf-8") if out.exists() else ""
        out.write_text(report.replace(page, name, told), encoding="utf-8")
        print(f"## {name}\n\n{told}", flush=True)
    child.say(f"results: {out}")
    return 1 if broken else 0


def _arguments() -> argparse.Namespace:
    default = Path(os.environ.get("RANVIER_DATA", "data"))
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *BENCHES], metavar="names", help=", ".join(BENCHES))
    parser.add_argument("--quick", action="store_true", help="tiny data and budgets: only to see that it runs")
    parser.add_argument("--data", type=Path, default=default, help="folder of the data sets (RANVIER_DATA)")
    parser.add_argument("--out", type=Path, help="the page to write (bench/RESULTS.md; with --quick, one aside)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help=HELP)
    args = parser.parse_args()
    if args.set and (len(args.names) != 1 or args.names[0] not in SETTABLE):
        parser.error(f"--set belongs to one bench, one of {', '.join(SETTABLE)}; name that alone")
    if bad := [word for word in args.set if "=" not in word]:
        parser.error(f"--set {bad[0]}: expected NAME=VALUE")
    args.set = dict(word.split("=", 1) for word in args.set)
    if not (args.data / "tabular.json").exists():
        parser.error(f"no tabular.json in {args.data}: give the folder of the data sets by --data or RANVIER_DATA")
    return args


if __name__ == "__main__":
    sys.exit(main())
