"""Reports: what is counted, what is set aside, what is told, how it reads."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as reference

from ranvier.core.errors import DataError
from ranvier.evaluate.figures import HEADLINES, MEANINGS, meaning
from ranvier.evaluate.score import Report, Scores, score

RNG = np.random.default_rng(0)


def probabilities(rows, classes):
    raw = RNG.random((rows, classes), np.float32)
    return raw / raw.sum(1, keepdims=True)


def test_category_figures_confusion_and_rows_set_aside():
    probs, truth = probabilities(80, 3), RNG.integers(0, 3, 80)
    observed = RNG.random(80) < 0.7
    report = score("category", {"probs": probs}, truth, labels=["ant", "bee", "cow"], observed=observed)
    guess = probs.argmax(1)
    assert report.metrics["accuracy"] == reference.accuracy_score(truth[observed], guess[observed])
    assert report.confusion == reference.confusion_matrix(truth[observed], guess[observed]).tolist()
    assert (report.rows, report.missing, report.unseen) == (observed.sum(), (~observed).sum(), 0)
    assert report.labels == ["ant", "bee", "cow"]
    assert report.positive == ""


def test_classes_unseen_in_training_count_as_wrong_and_are_told():
    probs = np.eye(2, dtype=np.float32)[[0, 1, 1, 0]]
    report = score("category", {"probs": probs}, np.array([0, 1, 2, 2]), labels=["no", "yes"])
    assert report.metrics["accuracy"] == 0.5
    assert report.unseen == 2
    assert report.confusion == [[1, 0], [0, 1], [1, 1]]
    assert report.positive == "yes"
    assert "2 rows" in report.notes["unseen"]
    text = str(Report({"answer": report}, "test"))
    assert "(unseen)" in text
    assert "positive class: yes" in text


def test_numbers_are_scored_in_the_units_given():
    truth = RNG.normal(50_000, 9_000, 60)
    value = truth + RNG.normal(0, 1_000, 60)
    weight = RNG.random(60)
    truth[:5], weight[5:9] = np.nan, 0
    use = ~np.isnan(truth) & (weight > 0)
    report = score("number", {"value": value}, truth, observed=~np.isnan(truth), weight=weight)
    how = {"sample_weight": weight[use]}
    expected = {
        "mae": reference.mean_absolute_error(truth[use], value[use], **how),
        "rmse": reference.root_mean_squared_error(truth[use], value[use], **how),
        "r2": reference.r2_score(truth[use], value[use], **how),
    }
    assert {name: report.metrics[name] for name in expected} == pytest.approx(expected)
    assert (report.rows, report.missing) == (51, 9)


def test_sets_count_labels_that_training_never_saw():
    probs, truth = np.array([[0.9, 0.1], [0.8, 0.7]]), np.array([[1, 0], [1, 1]], np.uint8)
    clean = score("set", {"probs": probs}, truth, labels=["a", "b"])
    assert clean.metrics["f1_micro"] == clean.metrics["f1_macro"] == clean.metrics["subset_accuracy"] == 1
    report = score("set", {"probs": probs}, truth, labels=["a", "b"], unseen=np.array([0, 3]))
    assert report.metrics["recall_micro"] == 0.5
    assert report.unseen == 3
    assert report.notes["unseen"] == "3 labels in the truth were never seen in training; they count as not found"
    one = score("set", {"probs": probs}, truth, labels=["a", "b"], unseen=np.array([0, 1]))
    assert one.notes["unseen"] == "1 label in the truth was never seen in training; it counts as not found"


@pytest.mark.parametrize("threshold", [0.3, 0.7])
def test_a_set_is_cut_at_the_threshold_itself(threshold):
    probs = np.array([[threshold, np.nextafter(np.float32(threshold), np.float32(0))]], np.float32)
    report = score("set", {"probs": probs}, np.array([[1, 0]]), threshold=threshold)
    assert report.metrics["subset_accuracy"] == 1


def test_a_report_is_json_and_names_the_rows_it_is_on():
    one = score("category", {"probs": probabilities(9, 2)}, RNG.integers(0, 2, 9))
    two = score("number", {"value": np.arange(4.0)}, np.ones(4))
    report = Report({"kind": one, "size": two}, "validation")
    back = json.loads(json.dumps(report.to_dict()))
    assert back["label"] == "validation (used for selection)"
    assert back["targets"]["size"]["metrics"] == two.metrics
    assert set(report.metrics) == {f"kind.{k}" for k in one.metrics} | {f"size.{k}" for k in two.metrics}
    assert Report({"size": two}, "test").metrics == two.metrics
    text = str(report)
    assert text.startswith("figures: validation (used for selection)")
    assert "note: r2: the truth does not vary" in text
    assert all(line == line.rstrip() for line in text.splitlines())


def reports():
    """One of each kind, with every figure that there is."""
    value = np.linspace(0, 1, 20)
    numbers = {"value": value, "q10": value - 1, "q90": value + 0.2}
    return {
        "two": score("category", {"probs": probabilities(20, 2)}, np.arange(20) % 2, labels=["no", "yes"]),
        "seven": score("category", {"probs": probabilities(20, 7)}, np.arange(20) % 7),
        "number": score("number", numbers, value + RNG.normal(size=20)),
        "set": score("set", {"probs": probabilities(20, 3)}, RNG.integers(0, 2, (20, 3))),
    }


def test_every_figure_has_its_meaning_and_every_meaning_its_figure():
    found: dict[str, set[str]] = {}
    for report in reports().values():
        found.setdefault(report.kind, set()).update(report.metrics)
        assert all(meaning(report.kind, name) for name in report.metrics)
    coverage = {"coverage_q10", "coverage_q90"}
    assert found.pop("number") - coverage == set(MEANINGS["number"])
    assert found == {kind: set(MEANINGS[kind]) for kind in ("category", "set")}
    assert all(name in MEANINGS[kind] for kind, names in HEADLINES.items() for name in names)
    assert "0.1 is right" in meaning("number", "coverage_q10")
    assert meaning("number", "coverage_of_what") == meaning("sound", "loudness") == ""


def test_a_text_begins_with_few_figures_and_names_them_all():
    for name, report in reports().items():
        text = str(Report({name: report}, "test"))
        lines = text.splitlines()
        also = next(i for i, line in enumerate(lines) if line.startswith("  also "))
        shown = [line.split()[0] for line in lines[3:also]]
        assert shown == [*report.headline]
        assert 3 <= len(shown) <= 6
        assert all(figure in text for figure in report.metrics)
        figures = lines[3 : next((i for i in range(also, len(lines)) if not lines[i]), None)]
        assert all(len(line) <= 110 for line in figures if "note:" not in line)
        assert lines[3].endswith(meaning(report.kind, shown[0]))


def test_all_is_explained_where_asked():
    given = reports()
    report = Report({name: given[name] for name in ("seven", "number")}, "test")
    assert set(report.headline) < set(report.metrics)
    assert "number.coverage_q90" in report.headline
    explained = report.explain().splitlines()
    assert len(explained) == len(report.metrics) + 3
    assert any(line.split()[0] == "kendall" and line.endswith("(tau-b)") for line in explained if line.strip())


def test_quantiles_are_scored_in_the_units_given_on_the_rows_that_count():
    truth, low = RNG.normal(size=60), np.full(60, -1.0)
    truth[:7] = np.nan
    use = ~np.isnan(truth)
    report = score("number", {"value": np.zeros(60), "q10": low}, truth, observed=use)
    losses = [reference.mean_pinball_loss(truth[use], p[use], alpha=t) for p, t in ((np.zeros(60), 0.5), (low, 0.1))]
    assert report.metrics["quantile_loss"] == pytest.approx(np.mean(losses))
    assert report.metrics["coverage_q10"] == pytest.approx((truth[use] <= -1).mean())


def test_a_small_confusion_is_printed_aligned():
    probs = np.eye(3, dtype=np.float32)[[0, 1, 2, 2]]
    report = score("category", {"probs": probs}, np.array([0, 1, 2, 1]), labels=["a", "a long name beyond all", "c"])
    lines = str(Report({"y": report}, "test")).splitlines()
    start = next(i for i, line in enumerate(lines) if "confusion" in line)
    table = lines[start + 1 : start + 5]
    assert len({len(line) for line in table}) == 1
    assert table[2].split()[-3:] == ["0", "1", "1"]
    assert "…" in table[0]


def test_many_classes_show_the_commonest_confusions():
    truth = np.arange(20).repeat(5)
    guess = truth.copy()
    guess[truth == 3] = 7
    report = score("category", {"probs": np.eye(20, dtype=np.float32)[guess]}, truth)
    text = str(Report({"y": report}, "test"))
    assert "5  3 -> 7" in text
    assert "rows: truth" not in text
    right = score("category", {"probs": np.eye(20, dtype=np.float32)[truth]}, truth)
    assert "no class is taken for another" in str(Report({"y": right}, "test"))


def rows_of(kind):
    """(labels, prediction, truth, the rest) of 300 rows with gaps and weights; some of what is true is unseen."""
    rows = 300
    given = {"observed": RNG.random(rows) < 0.8, "weight": RNG.integers(0, 4, rows)}
    if kind == "number":
        value = RNG.normal(1e4, 1, rows)
        return (), {"value": value, "q10": value - 1}, np.where(given["observed"], value + RNG.normal(), np.nan), given
    prediction = {"probs": probabilities(rows, 6)}
    if kind == "category":
        return "abcdef", prediction, RNG.integers(0, 7, rows), given
    given["unseen"] = RNG.integers(0, 2, rows)
    return "abcdef", prediction, RNG.integers(0, 2, (rows, 6)), given


@pytest.mark.parametrize("kind", ["category", "number", "set"])
@pytest.mark.parametrize("size", [1, 7, 299])
def test_rows_that_come_piece_by_piece_have_the_same_figures(kind, size):
    labels, prediction, truth, given = rows_of(kind)
    whole = score(kind, prediction, truth, labels=labels, **given)
    scores = Scores(kind, labels)
    for start in range(0, len(truth), size):
        rows = slice(start, start + size)
        scores.add({k: a[rows] for k, a in prediction.items()}, truth[rows], **{k: a[rows] for k, a in given.items()})
    pieces = scores.report()
    assert pieces.metrics == pytest.approx(whole.metrics, rel=1e-9)
    assert replace(pieces, metrics={}) == replace(whole, metrics={})
    assert whole.missing > 0
    assert (whole.unseen > 0) == (kind != "number")


@pytest.mark.parametrize("kind", ["category", "number", "set"])
def test_predictions_that_are_no_numbers_are_told(kind):
    labels, prediction, truth, given = rows_of(kind)
    scores = Scores(kind, labels)
    scores.add(prediction, truth, **given)
    use = np.flatnonzero(given["observed"] & (given["weight"] > 0))[:4]
    spoilt = {key: part.copy() for key, part in prediction.items()}
    for part in spoilt.values():
        part[use] = np.inf
    scores.add(spoilt, truth, **given)
    report = scores.report()
    assert report.metrics
    assert np.isnan([*report.metrics.values()]).all()
    assert report.confusion == []
    text = str(Report({"y": report}, "test"))
    assert "note: all: no figure can be told, for the predictions of 4 rows are infinite or not a number" in text
    assert report.rows == 2 * score(kind, prediction, truth, labels=labels, **given).rows


def test_pieces_without_a_row_to_score_count_as_missing():
    scores = Scores("category", ["a", "b"])
    with pytest.raises(DataError, match="none of the 0 rows"):
        scores.report()
    scores.add({"probs": probabilities(3, 2)}, np.zeros(3, int), observed=np.zeros(3, bool))
    with pytest.raises(DataError, match="none of the 3 rows"):
        scores.report()
    scores.add({"probs": np.eye(2)}, np.arange(2))
    assert (scores.report().missing, scores.report().metrics["accuracy"]) == (3, 1)


def test_what_cannot_be_scored_is_said():
    probs = probabilities(3, 2)
    with pytest.raises(DataError, match="none of the 3 rows"):
        score("category", {"probs": probs}, np.zeros(3, int), observed=np.zeros(3, bool))
    with pytest.raises(DataError, match="one entry per row"):
        score("category", {"probs": probs}, np.zeros(4, int))
    with pytest.raises(DataError, match="1 labels were given for 2"):
        score("category", {"probs": probs}, np.zeros(3, int), labels=["a"])
    with pytest.raises(DataError, match=r"shape \(3, 2\), got \(3, 4\)"):
        score("set", {"probs": probs}, np.zeros((3, 4)))


def test_vectors_must_be_of_one_shape():
    truth = np.arange(6.0).reshape(3, 2)
    report = score("vector", {"value": truth + 1}, truth, observed=np.array([True, True, False]))
    assert (report.kind, report.rows, report.missing) == ("vector", 2, 1)
    assert report.metrics["mae"] == 1
    with pytest.raises(DataError, match=r"the predictions' shape \(3, 2\), got \(3, 3\)"):
        score("vector", {"value": truth}, np.zeros((3, 3)))
