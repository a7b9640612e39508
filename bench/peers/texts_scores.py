"""Scores of texts that were written, by the packages that others score with; prints one JSON line.

Usage: python texts_scores.py bleu|rouge --file JSON

bleu: sacreBLEU's corpus BLEU at its defaults, 0 to 100, and its signature. rouge: ROUGE-L, the mean F-measure over
rows, without stemming, times 100. The file holds {"said": [...], "true": [...]}.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any


def bleu(said: list[str], true: list[str]) -> dict[str, Any]:
    """BLEU of all rows together."""
    from sacrebleu.metrics import BLEU

    metric = BLEU()
    return {"score": metric.corpus_score(said, [true]).score, "how": str(metric.get_signature())}


def rouge(said: list[str], true: list[str]) -> dict[str, Any]:
    """ROUGE-L, the mean over rows."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    each = [scorer.score(a, b)["rougeL"].fmeasure for a, b in zip(true, said, strict=True)]
    return {"score": 100 * statistics.mean(each), "how": "rougeL, F-measure, use_stemmer=False"}


def main() -> None:
    """Reads the texts and scores them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("score", choices=("bleu", "rouge"))
    parser.add_argument("--file", type=Path, required=True)
    args = parser.parse_args()
    texts = json.loads(args.file.read_text(encoding="utf-8"))
    print(json.dumps({"bleu": bleu, "rouge": rouge}[args.score](texts["said"], texts["true"])))


if __name__ == "__main__":
    main()
