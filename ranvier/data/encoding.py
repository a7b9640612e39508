"""The bytes of a text file as UTF-8: marks, UTF-16, UTF-32, GB18030, Big5, Thai and Western code pages, zero bytes."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from mmap import mmap

import numpy as np

from ranvier.core.errors import DataError
from ranvier.core.room import let_go

Bytes = bytes | mmap
_SAMPLE = 1 << 16
_CHUNK = 1 << 22
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it starts with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_FOREIGN = {
    b"PK\x03\x04": "a zip archive or Excel workbook",
    b"\xd0\xcf\x11\xe0": "an Excel workbook of old (.xls)",
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
}
_ZEROS = 0.01  # of the bytes that may be zero in a text
_DAMAGED = 2  # times as many signs that are UTF-8 as bytes that are not: it is that, and was damaged
_NEIGHBOURS = 0.9  # of the runs of high bytes that must look like an encoding for it to be taken
_BIG5S = ("cp950", "big5hkscs")
_CALLED = {**dict.fromkeys(_BIG5S, "Big5"), "cp874": "Thai"}
_BIG5 = re.compile(rb"(?:[\x81-\xfe][\x40-\x7e\xa1-\xfe])+")  # characters side by side
_OFTEN = {"gb18030": rb"[\xa1\xa3\xb0-\xd7]", "cp950": rb"[\xa1-\xc6]"}  # lead bytes of what texts are mostly made of
# Thai: vowels written before their consonant, that one, marks above and below it, and what stands after it
_THAI = re.compile(rb"(?:[\xe0-\xe4]*[\xa1-\xce][\xd1\xd4-\xda\xe7-\xee]*[\xcf\xd0\xd2\xd3\xdf\xe5\xe6\xef-\xfb]*)+")
_THAI_LONG = 32  # bytes, by which no other text looks so by chance
_LONG = 16  # characters, of which in Big5 some have a second byte that is one of ASCII


def as_utf8(data: Bytes, where: str, notes: list[str]) -> Bytes:
    """The same text in UTF-8 without byte order mark; itself where it is that already.

    What is no UTF-8 is read as GB18030, Big5, Thai or Western (cp1252) if its bytes look like that, and told. Raises
    DataError naming the first byte that fits no encoding, or for another kind of file.
    """
    foreign = next((kind for start, kind in _FOREIGN.items() if data[: len(start)] == start), "")
    if foreign:
        raise DataError(f"{where} is no text, but {foreign}: give it the ending of its kind, or name another file")
    bom, encoding = next((pair for pair in _BOMS if data[: len(pair[0])] == pair[0]), (b"", ""))
    if not encoding:
        encoding = _guess_utf16(data[:_SAMPLE]) or "utf-8"
        if encoding != "utf-8":
            notes.append(f"{where} has no byte order mark; read as {encoding}")
    if encoding != "utf-8":
        try:
            return data[len(bom) :].decode(encoding).encode()
        except UnicodeError as error:
            raise DataError(f"{where} starts as {encoding} but goes wrong: {error}; save it as UTF-8") from None
    data = data[len(bom) :] if bom else data
    wrong = _first_wrong(data)
    if wrong is not None:
        data = _decoded(bytes(data), wrong, where, notes)
    return _without_zeros(data, where, notes)


def _guess_utf16(head: bytes) -> str | None:
    """UTF-16 without a mark has zero bytes, and at every other place only."""
    half = len(head) // 2
    if half < 2:
        return None
    odd, even = head[1::2].count(0), head[::2].count(0)
    few = max(2, 0.02 * half)
    if odd >= few and even <= 0.02 * odd:
        return "utf-16-le"
    return "utf-16-be" if even >= few and odd <= 0.02 * even else None


def blocks(data: Bytes) -> Iterator[np.ndarray]:
    """The bytes as arrays of a size that stays in the processor's cache, without a copy; mapped ones are let go."""
    whole = np.frombuffer(data, np.uint8)
    for start in range(0, len(whole), _CHUNK):
        yield whole[start : start + _CHUNK]
        let_go(whole)


def _first_wrong(data: Bytes) -> int | None:
    """The place of the first byte that is no UTF-8."""
    decoder, seen = codecs.getincrementaldecoder("utf-8")(), 0
    for block in blocks(data):
        pending = len(decoder.getstate()[0])
        if pending or block.max() >= 128:
            try:
                decoder.decode(block.tobytes())
            except UnicodeDecodeError as error:
                return seen - pending + error.start
        seen += len(block)
    return seen - len(decoder.getstate()[0]) if decoder.getstate()[0] else None


def _decoded(data: bytes, wrong: int, where: str, notes: list[str]) -> bytes:
    """Bytes of another encoding, that the runs of bytes above 127 tell, as UTF-8. Raises DataError."""
    sample = data[max(0, wrong - _SAMPLE) : wrong + 16 * _SAMPLE]
    if _mostly_utf8(sample):
        raise _damaged(data, wrong, where, "UTF-8")
    place, bad = _place(data, wrong), (0, "")
    for encoding in _likely(sample):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError as error:
            if encoding != "cp1252":
                bad = max(bad, (error.start, encoding))
                continue
            text = data.decode("latin-1")  # which takes the five bytes that cp1252 leaves open for control characters
        called = f"{_CALLED[encoding]} ({encoding})" if encoding in _CALLED else encoding
        notes.append(
            f"{where} is not UTF-8 ({place}); read as {called}, as its bytes look; if letters are wrong, save it "
            "as UTF-8 in the program it came from"
        )
        return text.encode()
    if bad[1]:
        raise _damaged(data, bad[0], where, bad[1])
    raise DataError(
        f"{where} is not UTF-8: {place}, and looks like none of GB18030, Big5, Thai (cp874) and Western (cp1252); with "
        "the encoding it has, iconv -f ENCODING -t utf-8 FILE > NEW, or save it as UTF-8 in the program it came from"
    )


def _place(data: bytes, byte: int) -> str:
    line = data.count(b"\n", 0, byte) + 1
    return f"byte 0x{data[byte]:02x} at position {byte:,} (line {line:,})"


def _damaged(data: bytes, byte: int, where: str, encoding: str) -> DataError:
    return DataError(
        f"{where} is {encoding}, but for some bytes, the first of which is {_place(data, byte)}; mend it there, or "
        f"leave all such bytes out by iconv -c -f {encoding.lower()} -t utf-8 FILE > NEW"
    )


def _likely(sample: bytes) -> list[str]:
    """The encodings that the bytes look like, the likeliest first; nothing Western that looks Chinese."""
    if _like_thai(sample):
        return ["cp874"]
    chains = _BIG5.findall(sample)
    simplified, traditional = _like_chinese(sample) >= _NEIGHBOURS, _like_big5(sample, chains) >= _NEIGHBOURS
    if not traditional:
        western = ["cp1252"] if _like_western(sample) >= _NEIGHBOURS else []
        return ["gb18030", *western] if simplified else western
    if not simplified:
        return [*_BIG5S]
    leads = b"".join(chain[::2] for chain in chains)
    often = {encoding: len(re.findall(those, leads)) for encoding, those in _OFTEN.items()}
    return [*_BIG5S, "gb18030"] if often["cp950"] > often["gb18030"] else ["gb18030", *_BIG5S]


def _mostly_utf8(sample: bytes) -> bool:
    """Whether nearly all that is beyond ASCII is UTF-8, as other encodings hardly ever are by chance."""
    text = sample.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    return sum(sign >= "\x80" for sign in text) - bad > _DAMAGED * bad


def _runs(sample: bytes) -> np.ndarray:
    """The lengths of the runs of bytes above 127."""
    high = np.frombuffer(b"\0" + sample + b"\0", np.uint8) >= 128
    edges = np.flatnonzero(high[1:] != high[:-1])
    return edges[1::2] - edges[::2]


def _like_chinese(sample: bytes) -> float:
    """Which share of the runs are pairs of GB2312's two high bytes, lead bytes being those of characters and signs.

    One pair in the midst of small letters is two letters with accents: the öß of größe.
    """
    runs = _runs(sample)
    values = np.frombuffer(b"\0" + sample + b"\0\0", np.uint8)
    starts = np.flatnonzero((values[1:] >= 128) & (values[:-1] < 128)) + 1
    lead, second = values[starts], values[starts + 1]
    small = (values >= ord("a")) & (values <= ord("z"))
    within = (runs == 2) & small[starts - 1] & small[np.minimum(starts + 2, len(values) - 1)]
    pairs = (second >= 0xA1) & (((lead >= 0xA1) & (lead <= 0xA9)) | ((lead >= 0xB0) & (lead <= 0xF7)))
    return float((pairs & (runs % 2 == 0) & ~within).mean()) if len(runs) else 0.0


def _like_thai(sample: bytes) -> bool:
    """Whether nearly all is spelled as Thai is, and enough of it, each run once, for pairs of bytes are by chance."""
    runs = set(re.findall(rb"[\xa1-\xff]+", sample))
    spelled = sum(len(run) for run in runs if _THAI.fullmatch(run))
    return spelled >= max(_THAI_LONG, _NEIGHBOURS * sum(map(len, runs)))


def _like_big5(sample: bytes, chains: list[bytes]) -> float:
    """Which share of the characters is frequent in Big5, a byte beyond ASCII that is of none being one, too.

    0 where most stand alone, as letters with accents do: the °C of 20 °C is a character. And where no second byte is
    one of ASCII, though there are many, as in the Japanese and Korean of EUC.
    """
    leads, seconds = b"".join(chain[::2] for chain in chains), b"".join(chain[1::2] for chain in chains)
    alone = sum(len(chain) == 2 for chain in chains)
    if 2 * alone > len(leads) or (len(leads) >= _LONG and min(seconds) >= 128):
        return 0.0
    stray = _beyond(sample) - len(leads) - _beyond(seconds)
    return len(re.findall(_OFTEN["cp950"], leads)) / max(1, len(leads) + stray)


def _beyond(data: bytes) -> int:
    """How many bytes are none of ASCII."""
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) >= 128))


def _like_western(sample: bytes) -> float:
    """Which share of the runs has at most two bytes: letters with accents stand among plain ones."""
    runs = _runs(sample)
    return float((runs <= 2).mean()) if len(runs) else 0.0


def _without_zeros(data: Bytes, where: str, notes: list[str]) -> Bytes:
    """A few zero bytes, which programs in C leave in texts, are taken out. Raises DataError where they are many."""
    count = sum(0 if block.min() else len(block) - int(np.count_nonzero(block)) for block in blocks(data))
    if not count:
        return data
    if count > _ZEROS * len(data):
        raise DataError(f"{where} holds zero bytes ({count:,}), so it is no text file; is it another format, misnamed?")
    notes.append(f"{where}: {count:,} zero bytes taken out")
    return bytes(data).replace(b"\0", b"")
