"""Boxes in whatever form they come, and back."""

from __future__ import annotations

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
    assert recognise(values)[0] != "boxes"
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
    with pytest.raises(DataError, match=r"row 1: expected a class and four numbers, got '0 0\.5 x'"):
        column.encode(pl.Series("b", ["", "0 0.5 x"]))


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
    assert "1 boxes have labels that training never saw: cow" in told
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
