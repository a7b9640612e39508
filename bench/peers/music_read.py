"""What music21 reads in tunes in ABC notation; prints a JSON line for each.

Usage: python music_read.py --file JSON

The file holds a list of texts. A line: the pitches of the notes in their order (MIDI numbers; of a chord all, lowest
first, as one text), or the error that music21 ended with. A tune has no number and no title of its own: the lines `X:1`
and `T:tune`, without which it is none in ABC, are put before it.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

from music21 import converter
from music21.exceptions21 import Music21Exception

TROUBLES = (Music21Exception, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
HEAD = "X:1\nT:tune\n"


def pitches(text: str) -> list[str]:
    """Of every note or chord, grace notes among them; repeats are read once."""
    tune = converter.parseData(HEAD + text + "\n", format="abc")
    return ["+".join(str(p.midi) for p in sorted(note.pitches)) for note in tune.flatten().notes]


def read(text: str) -> dict[str, object]:
    """{"pitches": ...}, or {"error": ...}: the reader has no kind of error of its own for text that is no music."""
    try:
        return {"pitches": pitches(text)}
    except TROUBLES as error:
        return {"error": f"{type(error).__name__}: {error}"[:200]}


def main() -> None:
    """Reads the texts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path, required=True)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    for text in json.loads(args.file.read_text(encoding="utf-8")):
        print(json.dumps(read(text)), flush=True)


if __name__ == "__main__":
    main()
