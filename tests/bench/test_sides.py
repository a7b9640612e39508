"""What the sides of a bench share: the held-out rows, words, the clock, options, and the tables of runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # bench is no part of the installed package

from bench import chat, child, clock, music
from bench.figures import runs
from bench.job import Job, OptionError
from bench.ours_reach import settings
from bench.picture import Panel, svg, ticks
from bench.reach import Runs, judged, ratio, summary
from bench.sets import chosen, encoded, hold_out, pictures, texts, vocabulary
from bench.steps import operations


def test_hold_out_parts_all_rows_and_depends_on_its_arguments_alone():
    train, held = hold_out(1_000, 100)
    assert sorted([*train, *held]) == list(range(1_000))
    assert len(held) == 100
    assert np.array_equal(held, np.sort(held))
    assert np.array_equal(held, hold_out(1_000, 100)[1])
    assert not np.array_equal(held, np.arange(900, 1_000))
    with pytest.raises(ValueError, match="1 to 9"):
        hold_out(10, 10)


def test_chosen_rows_are_the_same_for_every_side_and_all_where_there_are_no_more():
    assert len(chosen(1_000, 100)) == 100
    assert np.array_equal(chosen(1_000, 100), chosen(1_000, 100))
    assert chosen(5, 0).tolist() == chosen(5, 5).tolist() == chosen(5, 9).tolist() == [0, 1, 2, 3, 4]


def test_pictures_and_texts_hold_the_same_rows_out(tmp_path: Path):
    x = np.arange(20, dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x=x, y=x * 2, x_test=x[:3], y_test=x[:3])
    found = pictures(tmp_path / "a.npz", 5)
    part = {"texts": [f"text {k}" for k in range(20)], "labels": (x * 2).tolist()}
    (tmp_path / "a.json").write_text(json.dumps({"classes": ["one"], "train": part, "test": part}))
    train, held, test = texts(tmp_path / "a.json", 5)
    assert np.array_equal(found.y_val, found.x_val * 2)
    assert held.texts == [f"text {k}" for k in found.x_val]
    assert np.array_equal(train.labels, found.y)
    assert len(test.texts) == 20


def test_words_are_numbered_by_frequency_and_the_last_are_kept():
    words = vocabulary(["b a a", "a b c"], 4)
    assert words == {"a": 2, "b": 3}  # 0 is padding, 1 any other
    assert encoded(["c b", "a b a b", ""], words, 3).tolist() == [[0, 1, 3], [3, 2, 3], [0, 0, 0]]


def test_a_curve_stops_at_the_target_and_after_the_limit(monkeypatch: pytest.MonkeyPatch):
    now = 10.0
    monkeypatch.setattr(clock, "since_start", lambda: now)
    curve = clock.Curve(target=0.9, limit=20.0)
    assert not curve.add(0.8)
    assert curve.answer()["reached"] is None
    assert curve.add(0.9)
    assert curve.answer() == {"curve": [(10.0, 0.8), (10.0, 0.9)], "reached": 10.0, "target": 0.9}
    now = 20.0
    late = clock.Curve(limit=20.0)
    assert late.add(0.1)
    assert late.answer()["reached"] is None


def test_options_are_read_as_their_defaults_are_and_unknown_ones_are_refused(tmp_path: Path):
    job = Job(tmp_path, options={"seeds": "4", "cap": "2", "ours.epochs": "3", "ours.encoder": "lstm"})
    assert job.settings({"seeds": 3, "cap": 4.5, "held": 10}, {"held": 1}, "ours") == {
        "seeds": 4,
        "cap": 2.0,
        "held": 10,
    }
    assert job.fit(epochs=1, rate=0.1) == ["--fit", "epochs=3", "--fit", "rate=0.1", "--fit", "encoder=lstm"]
    assert settings(["epochs=3", "encoder=lstm", 'fuse={"name": "mlp"}']) == {
        "epochs": 3,
        "encoder": "lstm",
        "fuse": {"name": "mlp"},
    }
    with pytest.raises(OptionError, match=r"ours\.epochs"):
        job.settings({"seeds": 3, "cap": 4.5}, {})
    with pytest.raises(OptionError, match="type int"):
        Job(tmp_path, options={"seeds": "many"}).settings({"seeds": 3}, {})
    with pytest.raises(ValueError, match="NAME=VALUE"):
        settings(["epochs"])
    assert Job(tmp_path, quick=True).settings({"seeds": 3}, {"seeds": 1}) == {"seeds": 1}


def _runs(name: str, *seconds: float | None, limit: float = 0.0) -> Runs:
    return Runs(name, list(seconds), [limit] * len(seconds))


def test_a_peer_that_was_given_up_counts_with_its_limit():
    ours, slow = _runs("ours", 10.0, 12.0, 11.0), _runs("slow", None, None, 40.0, limit=44.0)
    assert ratio(ours, slow) == (0.25, "< 0.25")
    assert "**met**" in judged(ours, {"slow": 0.25}, [slow])
    assert "**MISSED**" in judged(ours, {"slow": 0.2}, [slow])
    assert "| slow | not reached in 44 | 1 of 3 | < 0.25 |" in summary(ours, [slow])


def test_limits_that_differ_count_by_the_one_in_the_middle():
    slow = Runs("slow", [None, None, None], [44.0, 90.0, 80.0])
    assert ratio(_runs("ours", 10.0, 20.0, 18.0), slow) == (18 / 80, "< 0.23")


def test_ours_that_was_not_reached_misses_every_bar():
    ours, peer = _runs("ours", None, None, 1.0), _runs("peer", 5.0, 5.0, 5.0)
    assert ratio(ours, peer) is None
    assert "**MISSED**" in judged(ours, {"peer": 1.0}, [peer])


def test_an_absent_peer_is_named_with_its_reason():
    gone = _runs("gone")
    gone.add(child.Absent("not installed: no wheel"), 0, None)
    told = judged(_runs("ours", 1.0), {"gone": 1.0}, [gone])
    assert "not judged" in told
    assert "no wheel" in told


def test_an_environment_that_cannot_be_made_is_absent():
    def side() -> child.Child:
        raise child.NotInstalled("pip could not make it:\nsomething\nERROR: No matching distribution\n")

    found = child.attempt(side)
    assert found == child.Absent("not installed: ERROR: No matching distribution")


def test_remembered_asks_once_a_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(child, "KEPT", tmp_path)
    script = tmp_path / "script.py"
    script.write_text("1")
    asked = []

    def make() -> list[dict[str, object]]:
        asked.append(1)
        return [{"n": len(asked)}]

    assert child.remembered("a", [script], "how", make) == ([{"n": 1}], False)
    assert child.remembered("a", [script], "how", make) == ([{"n": 1}], True)
    assert child.remembered("a", [script], "else", make) == ([{"n": 2}], False)
    script.write_text("2")
    assert child.remembered("a", [script], "how", make) == ([{"n": 3}], False)


def test_operations_by_hand():
    tokens, width = 256, 512
    block = 4 * width**2 + 2 * 4 * width**2 + 2 * tokens * width  # projections, feed-forward, scores and their sums
    assert operations("transformer", 3) == 3 * 2 * 3 * tokens * 6 * block
    macs = 9 * (14 * 14 * (4 * 64 + 64 * 64) + 7 * 7 * (64 * 128 + 128 * 128) + 4 * 4 * (128 * 256 + 256 * 256))
    assert operations("cnn", 2) == 3 * 2 * 2 * macs


def test_ticks_are_round_and_reach_the_largest():
    assert ticks(4_000) == [0, 1_000, 2_000, 3_000, 4_000]
    assert ticks(0.159) == [0, 0.05, 0.1, 0.15, 0.2]
    assert ticks(7.1) == [0, 2, 4, 6, 8]
    with pytest.raises(ValueError, match="above 0"):
        ticks(0)


def test_a_picture_is_well_formed_and_scaled():
    from xml.etree import ElementTree

    text = svg([Panel("a < b", "x", "y", {"points": [(0, 0), (4, 8)]}, {"line": [(0, 0), (4, 4)]})])
    tree = ElementTree.fromstring(text)
    circles = [element for element in tree.iter() if element.tag.endswith("circle")]
    (x0, y0), (x1, y1) = ((float(c.attrib["cx"]), float(c.attrib["cy"])) for c in circles)
    (ends,) = (element.attrib["d"] for element in tree.iter() if "stroke-dasharray" in element.attrib)
    assert ends == f"M{x0:.1f} {y0:.1f}L{x1:.1f} {(y0 + y1) / 2:.1f}"


def test_replies_are_judged_by_words_or_characters():
    assert chat.tokens("English", "Hello, hello THERE.") == ["hello", ",", "hello", "there", "."]
    assert chat.tokens("Chinese", "你好 吗?") == ["你", "好", "吗", "?"]
    assert chat.distinct([list("abab"), list("ab")]) == 2 / 4  # ab, ba, ab and ab
    assert chat.distinct([["one"]]) == 0.0
    assert [chat.most(list("abcdabcdabcd")), chat.most(list("abcdabcda")), chat.most(list("abc"))] == [3, 2, 0]
    assert [chat.keeps("Chinese", "你好 Python"), chat.keeps("Chinese", "Python")] == [True, False]
    assert [chat.keeps("English", "Hi"), chat.keeps("English", "Hi 你"), chat.keeps("English", "...")] == [
        True,
        False,
        False,
    ]


def test_a_tune_is_its_own_if_no_run_of_it_is_known():
    known = runs([[str(k) for k in range(20)]], music.RUN)
    copy = [*(["9"] * 5), *(str(k) for k in range(3, 15))]
    lines = [{"pitches": copy}, {"pitches": copy[:-1]}, {"pitches": ["1"] * 7}, {"error": "no music"}]
    assert music._judged(lines, known) == {"tunes": 4, "parsed": 0.5, "own": 0.25, "notes": 17}
    assert runs([[1, 2, 3], [1]], 2) == {(1, 2), (2, 3)}
