"""Our side of the bench `reading`: a CSV file to encoded arrays, or by polars to a frame."""

from __future__ import annotations

import json
import sys

from bench import clock


def main() -> None:
    """`polars FILE`, or `ranvier FILE`: seconds since the process was started, gigabytes held at most."""
    side, file = sys.argv[1:]
    answer = by_polars(file) if side == "polars" else by_ranvier(file)
    print(json.dumps(answer | {"seconds": clock.since_start(), "peak": clock.peak()}))


def by_polars(file: str) -> dict[str, object]:
    """Its own types; strings stay strings."""
    import polars as pl

    frame = pl.read_csv(file)
    return {"rows": frame.height, "frame": frame.estimated_size() / 1e9}


def by_ranvier(file: str) -> dict[str, object]:
    """Reads, recognises, learns from all rows and encodes all."""
    from ranvier.columns.recognise import recognise_all
    from ranvier.core import registry
    from ranvier.core.threads import each
    from ranvier.data.read import read

    frame = read(file).frame
    types = recognise_all(frame, (), {})
    columns = {name: registry.lookup("column", kind)(name) for name, (kind, _) in types.items()}
    each(lambda name: columns[name].learn([frame[name]]), columns)
    encoded = each(lambda name: columns[name].encode(frame[name]), columns)
    size = sum(column.nbytes for column in encoded)
    return {"rows": frame.height, "frame": frame.estimated_size() / 1e9, "encoded": size / 1e9}


if __name__ == "__main__":
    main()
