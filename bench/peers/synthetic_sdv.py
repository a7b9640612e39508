"""Rows of a table drawn by SDV's CTGAN or TVAE (Xu et al. 2019) at their defaults; prints one JSON line.

Usage: python synthetic_sdv.py MODEL --known FILE --out FILE [--epochs N], with MODEL one of ctgan, tvae. As many rows
as FILE holds are drawn, into the CSV file --out. Columns of numbers are told as numerical, all others as categorical.
--epochs: only to see that it runs. Seconds are those of fit, without imports.
"""

from __future__ import annotations

import argparse
import json
import time

import pandas as pd
import torch
from sdv.metadata import Metadata
from sdv.single_table import CTGANSynthesizer, TVAESynthesizer

MODELS = {"ctgan": CTGANSynthesizer, "tvae": TVAESynthesizer}


def kind(column: pd.Series) -> str:
    """What the column is, in SDV's words."""
    numbers = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    return "numerical" if numbers else "categorical"


def main() -> None:
    """Draws, and prints the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=[*MODELS])
    parser.add_argument("--known", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--epochs", type=int)
    args = parser.parse_args()
    known = pd.read_csv(args.known)
    columns = {name: {"sdtype": kind(known[name])} for name in known}
    told = Metadata.load_from_dict({"tables": {"rows": {"columns": columns}}})
    torch.manual_seed(0)
    model = MODELS[args.model](told, **({"epochs": args.epochs} if args.epochs else {}))
    begun = time.perf_counter()
    model.fit({"rows": known})
    fitted = time.perf_counter() - begun
    model.sample(len(known))["rows"].to_csv(args.out, index=False)
    print(json.dumps({"fitted": fitted, "epochs": args.epochs or 300}), flush=True)


if __name__ == "__main__":
    main()
