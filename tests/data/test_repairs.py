"""What real files have wrong with them: each is repaired and told, or refused with where and why."""

from __future__ import annotations

import bz2
import io
import lzma
import sys
import zipfile
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest

from ranvier.core.errors import DataError, MissingExtra
from ranvier.data.encoding import as_utf8
from ranvier.data.read import read


def table(folder: Path, data: bytes | str, name: str = "t.csv"):
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return read(folder / name)


@pytest.mark.parametrize(
    ("data", "expected", "told"),
    [
        ("名,x\n张三,1\n".encode("gb18030"), {"名": ["张三"], "x": [1]}, "read as gb18030"),
        ("nom,x\ncafé,1\n".encode("cp1252"), {"nom": ["café"], "x": [1]}, "read as cp1252"),
        ("größe,x\nFüße,1\n".encode("latin-1"), {"größe": ["Füße"], "x": [1]}, "read as cp1252"),
        ("品牌,x\niPhone手机,1\n".encode("gb18030"), {"品牌": ["iPhone手机"], "x": [1]}, "read as gb18030"),
        ("名,x\n張三,1\n".encode("big5"), {"名": ["張三"], "x": [1]}, "read as Big5 (cp950)"),
        ("品牌,x\niPhone手機,1\n".encode("big5"), {"品牌": ["iPhone手機"], "x": [1]}, "read as Big5 (cp950)"),
        (
            "名,x\n他住在香港九龍的深水埗附近的一條小街上已經十年了,1\n".encode("big5hkscs"),
            {"名": ["他住在香港九龍的深水埗附近的一條小街上已經十年了"], "x": [1]},
            "Big5 (big5hkscs)",
        ),
        ("名,值\n张三,1\n".encode("utf-16-le"), {"名": ["张三"], "值": [1]}, "read as utf-16-le"),
        ("名,值\n张三,1\n".encode("utf-32"), {"名": ["张三"], "值": [1]}, ""),
        (
            b"a,b\n" + b"1,x\n" * 30 + b"2,y\0\n",
            {"a": [1] * 30 + [2], "b": ["x"] * 30 + ["y"]},
            "1 zero bytes taken out",
        ),
        (b"a,b\r\n1,x\n2,y\r3,z\r\n", {"a": [1, 2, 3], "b": ["x", "y", "z"]}, "carriage returns"),
        (b"sep=;\na;b\n1;2\n", {"a": [1], "b": [2]}, "names the delimiter"),
        (
            b"Report\n\nid,n,v\n1,x,2\n3,y,4\n",
            {"id": [1, 3], "n": ["x", "y"], "v": [2, 4]},
            "1 line before the header",
        ),
        (b"# by me\nid,n\n1,x\n3,y\n", {"id": [1, 3], "n": ["x", "y"]}, "('# by me')"),
        (b"#id,n\n1,x\n", {"#id": [1], "n": ["x"]}, ""),
        (b"5.1,x\n4.9,y\n", {"column_1": [5.1, 4.9], "column_2": ["x", "y"]}, "holds values, not names"),
        (b"1,m\n0,f\n2,m\n", {"column_1": [1, 0, 2], "column_2": ["m", "f", "m"]}, "holds values, not names"),
        (b"id,1.0\n7,2\n", {"id": [7], "1.0": [2]}, ""),
        (b"the\t311\nof\t200\n", {"the": ["of"], "311": [200]}, "though '311' there looks like a value"),
        (b"8,307\n9,350\n", {"8": [9], "307": [350]}, "though '8' there looks like a value"),
        (b"ham\tHi\nspam\tBuy\nham\tYo\n", {"ham": ["spam", "ham"], "Hi": ["Buy", "Yo"]}, "though 'ham' there"),
        (b"town,2019,2020\nRome,1,2\n", {"town": ["Rome"], "2019": [1], "2020": [2]}, ""),
        (b"0\n7\n", {"0": [7]}, ""),
        (b"a,b,\n1,2,\n3,4,\n", {"a": [1, 3], "b": [2, 4]}, "each line ends in a delimiter"),
        (b"a,b\n1,2,\n3,4,\n", {"a": [1, 3], "b": [2, 4]}, "each line ends in a delimiter"),
        (b"a,b,\n1,2\n3,4\n", {"a": [1, 3], "b": [2, 4]}, "the header ends in a delimiter"),
        (b"a,b\nr,1,2\ns,3,4\nt,5,6\n", {"column_1": ["r", "s", "t"], "a": [1, 3, 5], "b": [2, 4, 6]}, "no name"),
        (b"a,b\n1,x\na,b\n2,y\n", {"a": [1, 2], "b": ["x", "y"]}, "the header comes 1 time more"),
        (b'a,b\n5" pipe,1\n6" tube,2\n', {"a": ['5" pipe', '6" tube'], "b": [1, 2]}, ""),
        (
            b'a, b, y\n0, 1.5, "b"\n7, 2.5,   "c, d"  \n',
            {"a": [0, 7], "b": [1.5, 2.5], "y": ["b", "c, d"]},
            "6 spaces between quotes and what is around them are left out",
        ),
        (
            b' "a", "b" \r\n"x, ""y"", z" ,1\r\n "l\nm, ""n", 2 \r\n',
            {"a": ['x, "y", z', 'l\nm, "n'], "b": [1, 2]},
            "2 spaces between",
        ),
        (b'a;b\n1; "x;y"\n2; "z"\n', {"a": [1, 2], "b": ["x;y", "z"]}, "2 spaces between"),
        (b'a,b\n1, "x" and y\n2, z\n', {"a": [1, 2], "b": [' "x" and y', " z"]}, ""),
        (b"a,b\nx,1\ny,2\nTotal,3\n", {"a": ["x", "y"], "b": [1, 2]}, "sums up those above"),
        (b"a,a,A, \n1,2,3,4\n", {"a": [1], "a_2": [2], "A": [3], "column_4": [4]}, "'a' (column 2) is called 'a_2'"),
        (b"x,f\n1,yes\n2,Yes\n3,NO\n", {"x": [1, 2, 3], "f": [True, True, False]}, "'Yes', 'yes' are taken as true"),
        (b"x,f\n1,yes\n2,no\n", {"x": [1, 2], "f": ["yes", "no"]}, ""),
    ],
)
def test_repairs(tmp_path, data, expected, told):
    made = table(tmp_path, data)
    assert made.frame.to_dict(as_series=False) == expected
    assert told in "\n".join(made.notes)
    assert bool(told) == bool(made.notes)


@pytest.mark.parametrize(
    ("encoding", "texts"),
    [
        (
            "cp950",
            [
                "這本書很好看，我非常喜歡。",
                "服務態度很差，等了一個小時才上菜。",
                "臺北市政府表示，明年將興建三座新的圖書館。",
                "學而時習之，不亦說乎？有朋自遠方來，不亦樂乎？",
                "資料庫管理系統使用說明書",
                "姓名,年齡\n陳小明,23\n林美麗,31",
                "好,壞\n台灣,香港",
                "中文",
                "我愛你",
            ],
        ),
        (
            "gb18030",
            [
                "这本书很好看，我非常喜欢。",
                "服务态度很差，等了一个小时才上菜。",
                "学而时习之，不亦说乎？有朋自远方来，不亦乐乎？",
                "姓名,年龄\n陈小明,23\n林美丽,31",
                "价格,好\n高,坏",
                "你好," * 20,
                "噢哦呃咦嗯啊哈嘿嘻嗨哎呀哇喔呵呸啐嘘",
                "中文",
                "我爱你",
            ],
        ),
        (
            "cp874",
            [
                "สวัสดีครับ วันนี้อากาศดีมาก ร้านนี้อร่อย",
                "ร้านอาหารนี้อร่อยมากและราคาไม่แพง บริการดีเยี่ยม",
                "ชื่อ,อายุ,จังหวัด\nสมชาย,23,เชียงใหม่\nสมหญิง,31,ขอนแก่น",
            ],
        ),
        (
            "cp1252",
            [
                "20 °C\n21 °C",
                "ÄRGER,ÜBER\nÄPFEL,ÖL",
                "São Paulo\nCORAÇÃO\nNÃO",
                "À LA CARTE\nÇA VA",
                "¿Qué tal? ¡Hola!",
                "«À bientôt» – “déjà”",
                "£5\n3 ½",
            ],
        ),
    ],
)
def test_encodings_are_told_from_one_another(tmp_path, encoding, texts):
    for text in texts:
        notes: list[str] = []
        assert as_utf8(text.encode(encoding), "t.csv", notes).decode() == text
        assert encoding in notes[0]


@pytest.mark.parametrize(("encoding", "text"), [("cp1251", "Привет, как дела?"), ("shift_jis", "とても良い本でした。")])
def test_an_encoding_that_is_not_known_is_refused(encoding, text):
    with pytest.raises(DataError, match=r"looks like none of GB18030, Big5, Thai \(cp874\) and Western"):
        as_utf8(text.encode(encoding), "t.csv", [])


@pytest.mark.parametrize("line", ["un café très cher", "一本很贵的书", "كتاب غالي"])
def test_a_damaged_byte_does_not_make_another_encoding_of_a_file(tmp_path, line):
    lines = [*[line] * 20, *["plain"] * 20]
    damaged = b"said\n" + "\n".join(lines).encode() + b"\n\xc3( bad\n"
    with pytest.raises(DataError, match=r"is UTF-8, but for some bytes, .*byte 0xc3 at position [\d,]+ \(line 42\)"):
        table(tmp_path, damaged)


@pytest.mark.parametrize("encoding", ["gb18030", "cp950"])
def test_a_damaged_byte_in_chinese_is_named(encoding):
    lines = "字\n" + "他每天去学校的路上都在唱歌\n".replace("学", "中") * 20
    data = lines.encode(encoding) + b"\xff\xff\n"
    with pytest.raises(DataError, match=rf"is {encoding}, but for .*byte 0xff .*line 22.*iconv -c -f {encoding} "):
        as_utf8(data, "t.csv", [])


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"PK\x03\x04", "zip archive or Excel"), (b"PAR1", "Parquet"), (b"%PDF-1.7", "PDF"), (b"\x89PNG", "picture")],
)
def test_another_kind_of_file_named_as_a_table(tmp_path, start, kind):
    with pytest.raises(DataError, match=rf"t\.csv is no text, but an? {kind}.*ending of its kind"):
        table(tmp_path, start + b"\x00\xe0\n" * 40)


def test_few_rows_that_do_not_fit_are_missing_and_named(tmp_path):
    rows = "".join(f"{i},x,y\n" for i in range(400))
    made = table(tmp_path, f"a,b,c\n{rows}1,2\n1,2,3,4\n5,6,7,,\n")
    assert made.frame.tail(3).rows() == [(1, "2", None), (None, None, None), (5, "6", "7")]
    assert len(made.notes) == 3
    assert "too few fields; the last are missing (line 402)" in "\n".join(made.notes)
    assert "too many fields" in "\n".join(made.notes)
    with pytest.raises(DataError, match=r"line 402 \(row 400\): 2 fields.*5 of 405 rows do not fit"):
        table(tmp_path, f"a,b,c\n{rows}" + "1,2\n" * 5)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("  x    why\n 1.5   2\n10.5  NA\n", {"x": [1.5, 10.5], "why": [2, None]}),
        (" 1.5   2\r\n10.5  -3 \r\n", {"column_1": [1.5, 10.5], "column_2": [2, -3]}),
        ("1 2\n3 4\n5 6", {"column_1": [1, 3, 5], "column_2": [2, 4, 6]}),
        ("x y\n1 2\n3 4\n   ", {"x": [1, 3], "y": [2, 4]}),
        ("# of 1999\nx y\n1 2\n\n3 400\n", {"x": [1, 3], "y": [2, 400]}),
        ("x\t y\n1   2\n3\t4\n", {"x": [1, 3], "y": [2, 4]}),
        ("x\ty\tz\n1\t2\t3\n4\t5\t6\n7\t8 9\n", {"x": [1, 4, 7], "y": [2, 5, 8], "z": [3, 6, 9]}),
        (" 1 \t2\n3 4\n", {"column_1": [1, 3], "column_2": [2, 4]}),
        ("x y\n1,5  2,75\n3 4,25\n", {"x": [1.5, 3], "y": [2.75, 4.25]}),
        ("1,5 2,75\n3,5 4,25\n", {"column_1": [1.5, 3.5], "column_2": [2.75, 4.25]}),
        ("x y\n1,5\t2,75\n3,5 -0,25\n", {"x": [1.5, 3.5], "y": [2.75, -0.25]}),
        ("n x y\na 1,5 2\nb 2,5 3\n", {"n": ["a", "b"], "x": [1.5, 2.5], "y": [2, 3]}),
        ('n t\n5 "x\ty"\n6\t"z"\n', {"n": [5, 6], "t": ["x\ty", "z"]}),
        (
            '"n" "t"\n"1" 5 "x  y"\n"2" 6 "say ""z  z"""\n"3" 7 "a\n  b"\n',
            {"column_1": [1, 2, 3], "n": [5, 6, 7], "t": ["x  y", 'say "z  z"', "a\n  b"]},
        ),
    ],
)
@pytest.mark.parametrize("name", ["t.csv", "t.dat", "t.txt"])
def test_columns_set_apart_by_spaces(tmp_path, monkeypatch, data, expected, name):
    for size in (12, 1 << 24):
        monkeypatch.setattr("ranvier.data.delimited.CHUNK", size)
        made = table(tmp_path, data, name)
        assert made.frame.to_dict(as_series=False) == expected
        assert any("set apart by spaces" in note for note in made.notes)


@pytest.mark.parametrize("odd", ["1,0 2", "7", "1,5 2 b c"])
@pytest.mark.parametrize("name", ["t.csv", "t.dat", "t.txt"])
def test_a_row_that_does_not_fit_makes_no_single_column_of_a_table_in_spaces(tmp_path, odd, name):
    rows = [f"{i},5 {i} {'ab'[i % 2]}" for i in range(300)]
    for place in (3, 250):
        text = "x y c\n" + "\n".join([*rows[:place], odd, *rows[place:]]) + "\n"
        made = table(tmp_path, text, name)
        assert made.frame.columns == ["x", "y", "c"]
        assert made.frame.height == 301
        assert any(f"(line {place + 2})" in note for note in made.notes)
    with pytest.raises(DataError, match=r"line 5 \(row 3\): \d fields?, but the header has 3"):
        table(tmp_path, "x y c\n" + "\n".join([*rows[:3], odd, *rows[3:9]]) + "\n", name)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("name      price\nNew York  1.5\nRome      2\n", True),
        ("unit price\n1 234\n2 345\n", True),
        ("v\n0.1 0.2\n0.3 0.4\n", False),
        ("when\n2020-01-01 12:00\n2020-01-02 13:00\n", False),
        ("I have 2 dogs\nYou have 3 cats\n", False),
        ("price\n1 234\n2 345\n", False),
        ("x  y\n1\t 2\n3  4 5\n", True),
    ],
)
@pytest.mark.parametrize("name", ["t.csv", "t.txt"])
def test_spaces_that_may_stand_within_a_value_set_none_apart(tmp_path, data, told, name):
    made = table(tmp_path, data, name)
    assert made.frame.width == 1
    assert any("pandas.read_fwf" in note for note in made.notes) == told


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("x;y\n1,5;2,75\n3,5;4\n", {"x": [1.5, 3.5], "y": [2.75, 4.0]}),
        ("1,5;2,75\n3,5;4,0\n", {"column_1": [1.5, 3.5], "column_2": [2.75, 4.0]}),
        ("a; 1,5\nb; 2,75\n", {"column_1": ["a", "b"], "column_2": [1.5, 2.75]}),
        ("x\ty\n1,5\t2,75\n3,5\t4\n", {"x": [1.5, 3.5], "y": [2.75, 4.0]}),
        ("1.5,2;3\n1.5,4;5\n", {"column_1": [1.5, 1.5], "column_2": ["2;3", "4;5"]}),
        ("a,b\n1 2,3 4\n5 6,7 8\n", {"a": ["1 2", "5 6"], "b": ["3 4", "7 8"]}),
        ("id,screen size\n1,15 inch\n2,17 inch\n", {"id": [1, 2], "screen size": ["15 inch", "17 inch"]}),
        ("user,watched\n1,12|drama\n2,15|comedy\n", {"user": [1, 2], "watched": ["12|drama", "15|comedy"]}),
        ("no,street\n0,5 Avenue\n1,6 Avenue\n", {"no": [0, 1], "street": ["5 Avenue", "6 Avenue"]}),
        ("x,y\n1,2;\n3,4;\n", {"x": [1, 3], "y": ["2;", "4;"]}),
        ("Sales, 2024\nname;price\na;1,5\nb;2,5\n", {"name": ["a", "b"], "price": [1.5, 2.5]}),
        ("a, EUR;b, kg\n1,5;2,5\n3,5;4,5\n", {"a, EUR": [1.5, 3.5], "b, kg": [2.5, 4.5]}),
        ("a b\n1,5 2,75\n3,5 4,25\n", {"a": [1.5, 3.5], "b": [2.75, 4.25]}),
        ("1 2,3 4\n5 6,7 8\n", None),
    ],
)
def test_commas_within_numbers_set_no_columns_apart(tmp_path, data, expected):
    made = table(tmp_path, data).frame.to_dict(as_series=False)
    assert list(made.values()) == ([["5 6"], ["7 8"]] if expected is None else list(expected.values()))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("name,x,y\nRome,1,2.5\nOslo,3,4\n", {"name": ["Rome", "Oslo"], "x": [1, 3], "y": [2.5, 4]}),
        ("name\tx\nRome\t1\nNew York\tNA\nBonn\t2\n", {"name": ["Rome", "New York", "Bonn"], "x": [1, None, 2]}),
        ("x;y\n1,5;2\n3;4\n", {"x": [1.5, 3], "y": [2, 4]}),
        ("5.1|x\n4.9|y\n", {"column_1": [5.1, 4.9], "column_2": ["x", "y"]}),
    ],
)
def test_lines_of_text_that_surely_are_a_table_are_read_as_one(tmp_path, data, expected):
    made = table(tmp_path, data, "t.txt")
    assert made.frame.to_dict(as_series=False) == expected
    assert "t.txt: the lines are those of a table, and read as one" in made.notes[0]


@pytest.mark.parametrize(
    ("lines", "sign"),
    [
        (["name,town,street", "Ada,Rome,Via Appia", "Bob,Oslo,Karl Johan"], ","),
        (["Go.\tVa !", "Run!\tCours !"], "\t"),
        (["the\t1061396", "of\t593677"], "\t"),
        (["x,y", "1,2", "3,4"], ""),
        (["I came on May 5, 1990", "I left on May 6, 1991"], ""),
        (["Well, yes, it was good.", "No; it was bad, I think.", "Nothing to say."], ""),
        (["apple", "pear", "plum"], ""),
        (["1,5", "2,75"], ""),
        (['"Go," he said, "now."', '"No," she said, "later."'], ""),
        (["apple;", "pear;", "plum;"], ";"),
        (["x = 1;", "y = x + 2;"], ";"),
        (["\tOnce upon a time", "\tthere was", "\ta king."], "\t"),
        (["- milk", "- eggs", "- bread"], ""),
    ],
)
def test_lines_that_may_be_a_table_stay_lines_and_are_told(tmp_path, lines, sign):
    made = table(tmp_path, "\n".join(lines) + "\n", "t.txt")
    assert made.frame["text"].to_list() == lines
    assert len(made.notes) == bool(sign)
    assert not sign or f"all hold {sign!r} equally often; if it sets columns apart" in made.notes[0]


@pytest.mark.parametrize("space", ["", "  "])
def test_chunks_give_what_the_whole_gives(tmp_path, monkeypatch, space):
    lines = [f'{i},{i / 4},{space}"t, {i % 3}\nü",{"" if i % 5 else i},{"N/A" if i == 70 else i}' for i in range(90)]
    data = "i,f,t,m,n\n" + "\n".join(lines) + "\n"
    whole = table(tmp_path, data)
    assert whole.frame["t"][:2].to_list() == ["t, 0\nü", "t, 1\nü"]
    assert whole.frame.schema == {"i": pl.Int64, "f": pl.Float64, "t": pl.String, "m": pl.Int64, "n": pl.Int64}
    for size in (8, 64, 500):
        monkeypatch.setattr("ranvier.data.delimited.CHUNK", size)
        made = table(tmp_path, data)
        assert made.frame.equals(whole.frame)
        assert made.notes == whole.notes


@pytest.mark.parametrize(
    ("last", "dtype", "told"),
    [
        ("7.5", pl.Float64, ""),
        ("007", pl.String, "leading zeros"),
        ("99999999999999999999", pl.String, "beyond 64 bits"),
        ("seven", pl.String, "1 of 501 values is no number,"),
        (" 7 ", pl.Int64, ""),
        ("?", pl.Int64, "1 of '?'"),
    ],
)
def test_a_late_value_of_another_kind_decides_for_all_rows(tmp_path, monkeypatch, last, dtype, told):
    monkeypatch.setattr("ranvier.data.delimited.CHUNK", 512)
    made = table(tmp_path, "a,b\n" + "".join(f"{i + 1},x\n" for i in range(500)) + f"{last},y\n")
    assert made.frame["a"].dtype == dtype
    assert made.frame.height == 501
    assert str(made.frame["a"][0]) in ("1", "1.0")
    assert told in "\n".join(made.notes)


def test_packed_files(tmp_path):
    plain = b"a,b\n1,x\n"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("inner.csv", plain)
    packed = {"t.csv.bz2": bz2.compress(plain), "t.csv.xz": lzma.compress(plain), "t.zip": archive.getvalue()}
    for name, data in packed.items():
        assert table(tmp_path, data, name).frame.rows() == [(1, "x")]
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as file:
        file.writestr("a.csv", plain)
        file.writestr("b.csv", plain)
    with pytest.raises(DataError, match=r"holds 2 files \(a\.csv, b\.csv\)"):
        read(tmp_path / "two.zip")


def test_zstandard(tmp_path, monkeypatch):
    zstandard = pytest.importorskip("zstandard")
    assert table(tmp_path, zstandard.compress(b"a,b\n1,x\n"), "t.csv.zst").frame.rows() == [(1, "x")]
    with pytest.raises(DataError, match="damaged zst file"):
        table(tmp_path, b"nonsense", "t.csv.zst")
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingExtra, match=r"ranvier\[zstd\]"):
        read(tmp_path / "t.csv.zst")


def test_json_with_its_rows_under_a_key(tmp_path):
    made = table(tmp_path, '{"meta": {"n": 2}, "data": [{"a": 1}, {"a": 2, "b": {"c": [1]}}]}', "t.json")
    assert made.frame.to_dict(as_series=False) == {"a": [1, 2], "b.c": [None, [1]]}
    assert "under 'data'; 'meta' left out" in made.notes[0]


def test_many_columns(tmp_path):
    names, rows = [f"c{i}" for i in range(2000)], [[str(i + j) for i in range(2000)] for j in range(3)]
    made = table(tmp_path, "\n".join(map(",".join, [names, *rows])))
    assert made.frame.shape == (3, 2000)
    assert set(made.frame.dtypes) == {pl.Int64}


def workbook(path: Path, rows, merge=(), others=()):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for region in merge:
        book.active.merge_cells(region)
    for name in others:
        book.create_sheet(name).append(["x"])
    book.save(path)


def test_a_workbook(tmp_path):
    rows = [
        ["Sales 2024"],
        ["id", "zip", "day", "at", "amount", "sure", "group", "mixed"],
        [1, "00501", date(2024, 1, 2), datetime(2024, 1, 2, 3, 4), 1.5, True, "x", 1],
        [],
        [2, "10001", date(2024, 1, 3), datetime(2024, 1, 3, 3, 4), "#DIV/0!", False, None, "two"],
        [3, "10002", None, None, "=A1*2", None, "y", 3],
    ]
    workbook(tmp_path / "t.xlsx", rows, merge=["G3:G5"], others=["second"])
    made = read(tmp_path / "t.xlsx")
    assert made.frame.to_dict(as_series=False) == {
        "id": [1, None, 2, 3],
        "zip": ["00501", None, "10001", "10002"],
        "day": [date(2024, 1, 2), None, date(2024, 1, 3), None],
        "at": [datetime(2024, 1, 2, 3, 4), None, datetime(2024, 1, 3, 3, 4), None],
        "amount": [1.5, None, None, None],
        "sure": [True, None, False, None],
        "group": ["x", "x", "x", "y"],
        "mixed": ["1", None, "two", "3"],
    }
    told = "\n".join(made.notes)
    for part in (
        "'second' too have values",
        "1 of #DIV/0!",
        "1 cell is merged",
        "1 row above the header",
        "1 formulas have no value",
        "mixes int and str",
    ):
        assert part in told


def test_a_format_in_the_last_row_of_a_sheet_is_no_row(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["x", "y"], [1, 2], [3, 4]):
        book.active.append(row)
    book.active.cell(1_048_576, 16_384).number_format = "0%"
    book.save(tmp_path / "t.xlsx")
    made = read(tmp_path / "t.xlsx")
    assert made.frame.rows() == [(1, 2), (3, 4)]
    assert made.notes == []


def test_nothing_of_a_workbook_is_told_twice(tmp_path):
    workbook(tmp_path / "t.xlsx", [["x", "y"], *([i, i / 4] for i in range(300)), ["n.d.", 2]])
    notes = read(tmp_path / "t.xlsx").notes
    assert [note.split(":")[0] for note in notes] == [
        "column 'x' comes as text",
        "column 'x' mixes int and str; taken as text",
    ]


def test_a_workbook_that_openpyxl_stumbles_over(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["x"])
    book.create_chartsheet("no chart")
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(DataError, match="no readable Excel workbook"):
        read(tmp_path / "t.xlsx")


@pytest.mark.parametrize("damage", ["no workbook", "bytes"])
def test_a_damaged_workbook(tmp_path, damage):
    workbook(tmp_path / "whole.xlsx", [["x", "y"], *([i, i * i] for i in range(99))])
    with zipfile.ZipFile(tmp_path / "whole.xlsx") as whole, zipfile.ZipFile(tmp_path / "t.xlsx", "w") as made:
        for name in whole.namelist():
            part = whole.read(name)
            if damage == "no workbook" and name == "[Content_Types].xml":
                part = part.replace(b"sheet.main", b"sheet.other")
            made.writestr(name, part)
    if damage == "bytes":
        content = (tmp_path / "whole.xlsx").read_bytes()
        with zipfile.ZipFile(tmp_path / "whole.xlsx") as whole:
            place = whole.getinfo("xl/worksheets/sheet1.xml").header_offset + 60
        (tmp_path / "t.xlsx").write_bytes(content[:place] + b"\xff" * 20 + content[place + 20 :])
    with pytest.raises(DataError, match="no readable Excel workbook"):
        read(tmp_path / "t.xlsx")


def test_workbooks_that_hold_no_table(tmp_path, monkeypatch):
    workbook(tmp_path / "t.xlsx", [])
    with pytest.raises(DataError, match="no visible sheet with values"):
        read(tmp_path / "t.xlsx")
    workbook(tmp_path / "t.xlsx", [["#N/A", " "]])
    with pytest.raises(DataError, match="holds errors and blanks only"):
        read(tmp_path / "t.xlsx")
    workbook(tmp_path / "t.xlsx", [["a", "b"]])
    with pytest.raises(DataError, match=r"a header \(a, b\) but no rows"):
        read(tmp_path / "t.xlsx")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingExtra, match=r"ranvier\[excel\]"):
        read(tmp_path / "t.xlsx")
