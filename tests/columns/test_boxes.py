"""Boxes in whatever form they come, and back."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from ranvier.columns.boxes import Boxes
from ranvier.columns.recognise import recognise
from ranvier.core.errors import DataError

CORNERS = [[(2.0, 3.0, 10.0, 9.0, "cat")], [], [(0.0, 0.0, 4.0, 8.0, "dog"), (5.0, 1.0, 9.0, 2.0, "cat")]]


def rows(make):
    return pl.Series("b", [[make(*thing) for thing in row] for row in CORNERS])


FORMS = {
    "sides": rows(lambda a, b, c, d, n: {"x": a, "y": b, "w": c - a, "h": d - b, "label": n}),
    "long": rows(lambda a, b, c, d, n: {"x": a, "y": b, "width": c - a, "height": d - b, "class": n}),
    "corners": rows(lambda a, b, c, d, n: {"xmin": a, "ymin": b, "xmax": c, "ymax": d, "name": n}),
    "json": pl.Series(
        "b",
        [json.dumps([dict(zip(("x1", "y1", "x2", "y2", "label"), t, strict=True)) for t in row]) for row in CORNERS],
    ),
    "coco": rows(lambda a, b, c, d, n: {"bbox": [a, b, c - a, d - b], "category": n}),
}


def learnt(values, **options):
    column = Boxes("b", **options)
    column.learn([values])
    return column


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_are_the_same_boxes(form):
    values = FORMS[form]
    assert recognise(values, target=True)[0] == "boxes"
    assert (recognise(values)[0] == "boxes") == (values.dtype != pl.String)  # texts are texts, as an input
    column = learnt(values)
    assert column.labels == ["cat", "dog"]
    found = column.encode(values)
    assert found.offsets.tolist() == [0, 1, 1, 3]
    np.testing.assert_allclose(found.data, [[2, 3, 10, 9, 0], [0, 0, 4, 8, 1], [5, 1, 9, 2, 0]])
    assert column.spec.unit == "pixel"
    assert not found.notes


def test_lines_of_class_and_centre_are_shares():
    values = pl.Series("b", ["0 0.5 0.5 0.2 0.4\n1 0.1 0.2 0.2 0.1\n", "", None])
    assert recognise(values, target=True)[0] == "boxes"
    column = learnt(values, labels=["cat", "dog"])
    found = column.encode(values)
    assert column.spec.unit == "share"
    assert column.spec.labels == ("cat", "dog")
    np.testing.assert_allclose(found.data, [[0.4, 0.3, 0.6, 0.7, 0], [0, 0.15, 0.2, 0.25, 1]], atol=1e-6)
    assert found.observed.tolist() == [True, True, False]
    with pytest.raises(DataError, match=r"row 1, line 2: expected a class .*, got '0 0\.5 x'"):
        column.encode(pl.Series("b", ["", "\n0 0.5 x"]))
    for line in ("0 0.5 0.5 0.2", "0 0.5 0.5 0.2 0.2 0.9 1", "0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5"):
        with pytest.raises(DataError, match="row 1, line 1: expected a class"):
            learnt(pl.Series("b", ["0 0.5 0.5 0.2 0.4 0.9", line]))


def test_boxes_come_back_in_their_unit_the_surest_first():
    answer = {
        "boxes": np.array([[[0.1, 0.2, 0.5, 0.6], [0.0, 0.0, 1.0, 1.0]], [[0, 0, 1, 1]] * 2]),
        "labels": np.array([[0, 1], [0, 0]]),
        "scores": np.array([[0.4, 0.9], [0.0, 0.0]]),
        "there": np.array([[True, True], [False, False]]),
        "size": np.array([[100.0, 50.0], [10.0, 10.0]]),
    }
    column = learnt(FORMS["sides"])
    again = Boxes("b")
    again.load_state(column.state())
    assert again.spec == column.spec
    first, second = again.decode(answer)["b"].to_list()
    assert second == []
    assert first[0] == {"x": 0.0, "y": 0.0, "w": 100.0, "h": 50.0, "label": "dog", "score": 0.9}
    assert first[1]["label"] == "cat"
    np.testing.assert_allclose([first[1][k] for k in "xywh"], [10, 10, 40, 20])
    shares = learnt(FORMS["sides"], unit="share").decode(answer)["b"].to_list()
    assert shares[0][0]["w"] == 1.0


def test_bad_boxes_are_told():
    column = learnt(FORMS["sides"])
    strange = pl.Series(
        "b",
        [
            [{"x": 5, "y": 5, "w": -2, "h": 3, "label": "cat"}],
            [
                {"x": float("nan"), "y": 5, "w": 2, "h": 3, "label": "cat"},
                {"x": 1, "y": 1, "w": 2, "h": 3, "label": "cow"},
            ],
            None,
        ],
        strict=False,
    )
    found = column.encode(strange)
    assert found.offsets.tolist() == [0, 0, 1, 1]
    assert found.data[0, 4] == 2
    told = " ".join(found.notes)
    assert "2 boxes are inverted, without area, or not numbers, such as in row 0" in told
    assert "1 box has a label that training never saw: cow" in told
    with pytest.raises(DataError, match="no training row holds a box"):
        learnt(pl.Series("b", [[], None], dtype=FORMS["sides"].dtype))
    with pytest.raises(DataError, match="expected lists of boxes"):
        column.encode(pl.Series("b", [[1.0, 2.0]]))
    bare = pl.Series("b", [[{"x": 1, "y": 1, "w": 2, "h": 3}]])
    assert learnt(bare).labels == ["thing"]


def test_one_box_in_every_row_is_no_picture():
    values = pl.Series("b", [[{"x": k, "y": 1, "w": 2, "h": 3, "label": "cat"}] for k in range(9)])
    assert recognise(values, target=True)[0] == "boxes"
    assert recognise(values)[0] != "image"


def test_what_touches_the_edge_is_still_in_shares():
    lines = pl.Series("b", ["0 0.9 0.5 0.200001 0.4", "0 0.5 0.5 1.2 0.4"])
    column = learnt(lines)
    assert column.spec.unit == "share"
    np.testing.assert_array_equal(column.encode(lines).data[:, 2], np.array([1, 1.1], np.float32))
    structs = pl.Series("b", [[{"x": 0.8, "y": 0.1, "w": 0.200001, "h": 0.4}]])
    assert learnt(structs).spec.unit == "share"
    assert learnt(structs, unit="pixel").spec.unit == "pixel"
    assert learnt(pl.Series("b", [[{"x": 0, "y": 0, "w": 2, "h": 1}]])).spec.unit == "pixel"


def numbered(*classes, dtype=int):
    return pl.Series("b", [[{"x": 1, "y": 1, "w": 2, "h": 3, "category_id": dtype(k)} for k in classes]])


@pytest.mark.parametrize("dtype", [int, str, float])
def test_labels_are_for_numbers_where_there_is_one_for_each(dtype):
    values = numbered(0, 2, dtype=dtype)
    column = learnt(values, labels=["cat", "dog", "bird"])
    assert column.spec.labels == ("cat", "dog", "bird")
    assert column.encode(values).data[:, 4].tolist() == [0, 2]
    again = Boxes("b", labels=["cat", "dog", "bird"])
    again.load_state(column.state())
    assert again.spec == column.spec
    assert learnt(numbered(3, 7, dtype=dtype), labels=["cat", "dog"]).spec.labels == ("cat", "dog")


def test_labels_that_do_not_fit_are_refused():
    for values in (numbered(3, 7), FORMS["sides"]):
        with pytest.raises(DataError, match="3 labels for 2 classes"):
            learnt(values, labels=["cat", "dog", "bird"])
        with pytest.raises(DataError, match="1 labels for 2 classes"):
            learnt(values, labels=["cat"])


GOOD = {"x": 1, "y": 1, "w": 2, "h": 3, "label": "cat"}
TEXTS = {"x": "1", "y": "1", "w": "2", "h": "3", "label": "cat"}
COCO = {"bbox": [1.0, 1.0, 2.0, 3.0], "label": "cat"}
COCO_TEXTS = {"bbox": ["1", "1", "2", "3"], "label": "cat"}


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (GOOD, {**GOOD, "h": -3, "label": "bad"}),
        (GOOD, {**GOOD, "h": float("inf"), "label": "bad"}),
        (GOOD, None),
        (TEXTS, {**TEXTS, "x": "q", "label": "bad"}),
        (COCO, {"bbox": [1.0, None, 3.0, 4.0], "label": "bad"}),
        (COCO, {"bbox": [1.0, 3.0, 4.0], "label": "bad"}),
        (COCO, {"bbox": None, "label": "bad"}),
        (COCO_TEXTS, {"bbox": ["q", "1", "2", "3"], "label": "bad"}),
    ],
)
def test_values_that_are_no_box_are_left_out_and_name_no_class(good, bad):
    values = pl.Series("b", [[], [good, bad]], strict=False)
    column = learnt(values)
    assert column.labels == ["cat"]
    found = column.encode(values)
    assert found.data.tolist() == [[1, 1, 3, 4, 0]]
    assert found.notes == ["b: 1 box is inverted, without area, or not numbers, such as in row 1; left out"]
    with pytest.raises(DataError, match="no training row holds a box that can be learnt; 1 have no area"):
        learnt(pl.Series("b", [[bad]], dtype=values.dtype))


def test_a_box_without_a_label_among_others_is_left_out_and_told():
    place = {"x": 1, "y": 1, "w": 2, "h": 3}
    values = pl.Series("b", [[], [{**place, "label": "cat"}, {**place, "label": None}]])
    column = learnt(values)
    assert column.labels == ["cat"]
    found = column.encode(values)
    assert found.offsets.tolist() == [0, 0, 1]
    assert found.notes == ["b: 1 box has no label, such as in row 1; left out"]


def test_json_that_holds_no_boxes_is_told():
    column = learnt(FORMS["json"])
    for text, why in (
        ('[{"x": 1', "row 1: JSON that cannot be read"),
        ("[1, 2]", "row 1: expected a list of boxes"),
        ('[{"a": 1}]', "JSON without these"),
        ('[{"x": 1, "y": 1, "w": 1, "h": 1, "label": "\\ud800"}]', "row 1: half a surrogate pair"),
    ):
        with pytest.raises(DataError, match=why):
            column.encode(pl.Series("b", ["[]", text]))
        assert recognise(pl.Series("b", ["[]", text]), target=True)[0] != "boxes"
    found = column.encode(pl.Series("b", ["[]", "", None]))
    assert found.observed.tolist() == [True, True, False]
    assert not len(found.data)
