"""Spaces in delimited files that are no part of a value: in runs between columns, or around quotes."""

from __future__ import annotations

import re

_QUOTED = rb'((?<![^ \t\r\n])"(?:[^"]++|"")*+")'
_TABS = re.compile(_QUOTED + rb"|\t")
# what is quoted, which stays; spaces at the start and at the end of a line; several, of which one stays
_RUNS = re.compile(_QUOTED + rb"|^ +| +(?=\r?$)|( ) +", re.MULTILINE)


def tight(block: bytes, delimiter: str) -> bytes:
    """The block without spaces between quotes around whole fields and what stands before and after these.

    Where spaces are the delimiter, tabs are too; one space stays between two columns, and none at the start and the end
    of a line. Quotes that stand within a field, and spaces within quotes, stay. The ends of lines stay, every one. The
    last field of the block may be torn.
    """
    if delimiter == " ":
        if b"\t" in block:
            block = _TABS.sub(lambda found: found[1] or b" ", block)
        return _RUNS.sub(rb"\1\2", block)
    sign = delimiter.encode()
    ends = rb"[\r\n" + re.escape(sign) + rb"]"
    if b'"' not in block or not _has_spaces(block, sign, ends):
        return block
    field = rb"(" + ends + rb') *+("(?:[^"]++|"")*+(?:\Z|"(?= *+(?:' + ends + rb"|\Z)))) *+"
    return re.sub(field, rb"\1\2", b"\n" + block)[1:]


def _has_spaces(block: bytes, sign: bytes, ends: bytes) -> bool:
    """Whether there may be such; looked for first, in a fraction of the time, as nearly all files have none."""
    if block[:1] == b" " or any(it in block for it in (sign + b"  ", b"\n  ", b'" ' + sign, b'"  ', b'" \r', b'" \n')):
        return True
    opening = rb' "(?!' + ends + rb'|"(?!' + ends + rb"))"  # others are those of a quoted text, at its end or doubled
    return any(re.search(re.escape(before) + opening, block) for before in (sign, b"\n"))
