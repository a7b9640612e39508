"""Streaming metrics against scikit-learn and scipy: ties, weights, absent and unseen classes, one row, any batching."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn import metrics as reference

from ranvier.core.protocols import Value
from ranvier.ops.metrics import Classification, MultiLabel, Regression
from ranvier.ops.regression import quantile_level, quantile_name


def fed(metrics, prediction, truth, weight=None, observed=None, batch=37):
    """The metrics after batches of `batch` rows."""
    for start in range(0, len(truth), batch):
        cut = slice(start, start + batch)
        value = Value(truth[cut], observed=None if observed is None else observed[cut])
        metrics.update({k: v[cut] for k, v in prediction.items()}, value, None if weight is None else weight[cut])
    return metrics


def probabilities(rows, classes, coarse=False):
    logits = torch.randint(3, (rows, classes)).float() if coarse else 2 * torch.randn(rows, classes)
    return logits.softmax(1)


def calibration(p, y, w):
    """Guo et al. 2017, equation 3, bin by bin."""
    confidence, right = p.max(1), p.argmax(1) == y
    error = 0.0
    for b in range(15):
        rows = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if rows.any():
            error += w[rows].sum() * abs(np.average(right[rows] * 1.0 - confidence[rows], weights=w[rows]))
    return error / w.sum()


def expected_classification(probs, truth, weight, classes):
    p, y, w = probs.numpy(), truth.numpy(), None if weight is None else weight.numpy()
    guess = p.argmax(1)
    macro = {"average": "macro", "zero_division": 0, "sample_weight": w}
    figures = {
        "accuracy": reference.accuracy_score(y, guess, sample_weight=w),
        "precision_macro": reference.precision_score(y, guess, **macro),
        "recall_macro": reference.recall_score(y, guess, **macro),
        "f1_macro": reference.f1_score(y, guess, **macro),
        "log_loss": reference.log_loss(y, p, sample_weight=w, labels=range(classes)),
    }
    recalls = reference.recall_score(y, guess, average=None, labels=np.unique(y), sample_weight=w)
    figures["balanced_accuracy"] = recalls.mean()
    codes = [1] if classes == 2 else [c for c in range(classes) if (y == c).any()]
    figures["roc_auc"] = np.mean([reference.roc_auc_score(y == c, p[:, c], sample_weight=w) for c in codes])
    figures["average_precision"] = np.mean(
        [reference.average_precision_score(y == c, p[:, c], sample_weight=w) for c in codes]
    )
    figures["mcc"] = reference.matthews_corrcoef(y, guess, sample_weight=w)
    whole = p.astype(np.float64) / p.astype(np.float64).sum(1, keepdims=True)
    figures["brier_score"] = reference.brier_score_loss(
        y, whole[:, 1] if classes == 2 else whole, sample_weight=w, labels=range(classes)
    )
    figures["calibration_error"] = calibration(p.astype(np.float64), y, np.ones(len(y)) if w is None else w)
    if classes > 5:
        leading = np.argsort(-p, axis=1, kind="stable")[:, :5]
        figures["top5_accuracy"] = np.average((leading == y[:, None]).any(1), weights=w)
    if classes == 2:
        figures["precision_positive"] = reference.precision_score(y, guess, sample_weight=w)
        figures["recall_positive"] = reference.recall_score(y, guess, sample_weight=w)
        figures["f1_positive"] = reference.f1_score(y, guess, sample_weight=w)
    return figures


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("coarse", [False, True])
def test_classification_is_that_of_scikit_learn(classes, weighted, coarse):
    rows = 200
    probs, truth = probabilities(rows, classes, coarse), torch.randint(classes, (rows,))
    weight = torch.rand(rows) + 0.05 if weighted else None
    metrics = fed(Classification(classes), {"probs": probs}, truth, weight)
    assert metrics.compute() == pytest.approx(expected_classification(probs, truth, weight, classes), rel=1e-6)
    assert metrics.notes == {}
    matrix = reference.confusion_matrix(
        truth, probs.argmax(1), labels=range(classes), sample_weight=None if weight is None else weight.numpy()
    )
    np.testing.assert_allclose(metrics.confusion().numpy(), np.vstack([matrix, np.zeros(classes)]), rtol=1e-6)


def test_against_scikit_learns_own_multiclass_area_and_balanced_accuracy():
    probs, truth = probabilities(300, 4), torch.randint(4, (300,))
    figures = fed(Classification(4), {"probs": probs}, truth).compute()
    ours = figures["roc_auc"], figures["balanced_accuracy"]
    theirs = (
        reference.roc_auc_score(truth, probs.double() / probs.double().sum(1, keepdim=True), multi_class="ovr"),
        reference.balanced_accuracy_score(truth, probs.argmax(1)),
    )
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_classes_absent_from_truth_are_left_out_of_the_areas_with_a_note():
    probs, truth = probabilities(120, 6), torch.randint(4, (120,))  # 4 and 5 never true, but predicted
    metrics = fed(Classification(6), {"probs": probs}, truth)
    figures = metrics.compute()
    assert figures == pytest.approx(expected_classification(probs, truth, None, 6), rel=1e-6)
    assert figures["balanced_accuracy"] > figures["recall_macro"]
    assert "4 of 6 classes" in metrics.notes["roc_auc"]


def test_values_unseen_in_training_are_wrong_and_have_no_probability():
    probs, truth = probabilities(100, 3), torch.randint(5, (100,))  # 3 and 4 unseen
    figures = fed(Classification(3), {"probs": probs}, truth).compute()
    folded, guess, seen = truth.clamp_max(3).numpy(), probs.argmax(1).numpy(), (truth < 3).numpy()
    assert figures["accuracy"] == pytest.approx(reference.accuracy_score(folded, guess))
    assert figures["balanced_accuracy"] == pytest.approx(
        reference.recall_score(folded, guess, average="macro", zero_division=0)
    )
    assert figures["f1_macro"] == pytest.approx(reference.f1_score(folded, guess, average="macro", zero_division=0))
    known = expected_classification(probs[seen], truth[seen], None, 3)
    for name in ("log_loss", "brier_score", "roc_auc", "average_precision"):
        assert figures[name] == pytest.approx(known[name], rel=1e-6)
    assert figures["mcc"] == pytest.approx(reference.matthews_corrcoef(folded, guess))
    assert figures["calibration_error"] == pytest.approx(
        calibration(probs.double().numpy(), folded, np.ones(100)), rel=1e-6
    )
    assert fed(Classification(3), {"probs": probs}, truth).confusion()[3].sum() == (truth >= 3).sum()


def test_only_unseen_values():
    metrics = fed(Classification(3), {"probs": probabilities(4, 3)}, torch.full((4,), 3))
    figures = metrics.compute()
    assert figures["accuracy"] == figures["f1_macro"] == 0
    without = {"log_loss", "brier_score", "roc_auc", "average_precision"}
    assert not without & set(figures)
    assert set(metrics.notes) == without | {"mcc"}
    assert all("not seen in training" in metrics.notes[name] for name in without)


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_one_row_gives_no_not_a_number(classes):
    metrics = fed(Classification(classes), {"probs": probabilities(1, classes)}, torch.zeros(1, dtype=torch.int64))
    figures = metrics.compute()
    assert all(math.isfinite(x) for x in figures.values())
    assert "roc_auc" not in figures
    assert metrics.notes["roc_auc"]


def test_certain_and_wrong_is_finite():
    figures = fed(Classification(2), {"probs": torch.tensor([[1.0, 0.0]])}, torch.tensor([1])).compute()
    assert figures["log_loss"] == pytest.approx(-math.log(torch.finfo(torch.float32).eps))


def test_a_binary_truth_of_one_class_has_no_area():
    metrics = fed(Classification(2), {"probs": probabilities(9, 2)}, torch.zeros(9, dtype=torch.int64))
    assert "roc_auc" not in metrics.compute()
    assert "one class only" in metrics.notes["roc_auc"]
    assert "one class only" in metrics.notes["average_precision"]  # no positive row


def test_top_five_is_that_of_scikit_learn_and_counts_ties_once():
    probs, truth = probabilities(200, 9), torch.randint(9, (200,))
    figures = fed(Classification(9), {"probs": probs}, truth).compute()
    assert figures["top5_accuracy"] == reference.top_k_accuracy_score(truth, probs, k=5, labels=range(9))
    even = fed(Classification(9), {"probs": torch.full((9, 9), 1 / 9)}, torch.arange(9)).compute()
    assert even["top5_accuracy"] == 5 / 9
    assert (
        "top5_accuracy" not in fed(Classification(5), {"probs": probabilities(9, 5)}, torch.zeros(9).long()).compute()
    )


def test_calibration_and_brier_by_hand():
    probs = torch.tensor([[0.875, 0.125], [0.875, 0.125], [0.25, 0.75], [0.25, 0.75]])
    figures = fed(Classification(2), {"probs": probs}, torch.tensor([0, 1, 1, 1])).compute()
    assert figures["calibration_error"] == pytest.approx((abs(1 - 1.75) + abs(2 - 1.5)) / 4)
    assert figures["brier_score"] == pytest.approx((0.125**2 + 0.875**2 + 2 * 0.25**2) / 4)
    assert figures["mcc"] == pytest.approx(1 / math.sqrt(3))  # (1 * 2 - 0 * 1) / sqrt(1 * 3 * 2 * 2)


def test_one_class_predicted_leaves_no_correlation():
    metrics = fed(Classification(2), {"probs": torch.tensor([[0.9, 0.1]] * 3)}, torch.tensor([0, 1, 0]))
    assert "mcc" not in metrics.compute()
    assert "one class only" in metrics.notes["mcc"]


@pytest.mark.parametrize("classes", [2, 4])
def test_beyond_the_limit_areas_come_from_histograms_and_say_so(classes):
    probs, truth, weight = probabilities(3000, classes), torch.randint(classes, (3000,)), torch.rand(3000)
    exact = fed(Classification(classes), {"probs": probs}, truth, weight).compute()
    metrics = fed(Classification(classes, kept=500), {"probs": probs}, truth, weight)
    figures = metrics.compute()
    for name in ("roc_auc", "average_precision"):
        off = float(metrics.notes[name].rpartition("at most ")[2].removesuffix(" off"))
        assert 0 < abs(figures[name] - exact[name]) <= off
        assert off < 0.006
        del figures[name], exact[name]
    assert figures == exact


METRICS = {
    "classes": (lambda: Classification(3), lambda n: {"probs": probabilities(n, 3)}, lambda n: torch.randint(3, (n,))),
    "two": (lambda: Classification(2), lambda n: {"probs": probabilities(n, 2)}, lambda n: torch.randint(2, (n,))),
    "binned": (
        lambda: Classification(3, kept=0),
        lambda n: {"probs": probabilities(n, 3)},
        lambda n: torch.randint(3, (n,)),
    ),
    "number": (Regression, lambda n: {"value": torch.randn(n)}, lambda n: torch.randn(n)),
    "quantiles": (
        Regression,
        lambda n: {"value": torch.randn(n), "q10": torch.randn(n) - 1, "q97.5": torch.randn(n) + 2},
        lambda n: torch.randn(n),
    ),
    "labels": (lambda: MultiLabel(4), lambda n: {"probs": torch.rand(n, 4)}, lambda n: torch.randint(2, (n, 4))),
}


@pytest.mark.parametrize("name", METRICS)
def test_batching_changes_nothing(name):
    new, predict, true = METRICS[name]
    prediction, truth, weight = predict(50), true(50), torch.rand(50)
    whole = fed(new(), prediction, truth, weight, batch=50).compute()
    for batch in (1, 7, 49):
        assert fed(new(), prediction, truth, weight, batch=batch).compute() == pytest.approx(whole, rel=1e-10)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("aside", ["weight", "observed"])
def test_rows_set_aside_count_nowhere(name, aside):
    new, predict, true = METRICS[name]
    prediction, truth = predict(60), true(60)
    use = torch.rand(60) < 0.5
    spoilt = torch.full_like(truth, math.nan) if truth.is_floating_point() else torch.zeros_like(truth)
    truth = torch.where(use.view(-1, *[1] * (truth.ndim - 1)), truth, spoilt)
    how = {"weight": use.float()} if aside == "weight" else {"observed": use}
    whole = fed(new(), {k: v[use] for k, v in prediction.items()}, truth[use]).compute()
    assert fed(new(), prediction, truth, **how).compute() == pytest.approx(whole, rel=1e-10)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_predictions_that_are_no_numbers_leave_no_figure(name, bad):
    new, predict, true = METRICS[name]
    prediction, truth = predict(60), true(60)
    sound = fed(new(), prediction, truth).compute()
    for key, part in prediction.items():
        spoilt = part.clone().view(60, -1)
        spoilt[[5, 40, 41], -1] = bad
        given = prediction | {key: spoilt.view(part.shape)}
        metrics = fed(new(), given, truth)
        assert set(metrics.compute()) >= sound.keys() - {"spearman", "kendall"}
        assert all(math.isnan(figure) for figure in metrics.compute().values())
        assert list(metrics.notes) == ["all"]
        assert "predictions of 3 rows" in metrics.notes["all"]
        aside = torch.ones(60)
        aside[[5, 40, 41]] = 0
        assert fed(new(), given, truth, aside).compute() == fed(new(), prediction, truth, aside).compute()


@pytest.mark.parametrize("name", METRICS)
def test_weights_are_repetitions(name):
    new, predict, true = METRICS[name]
    prediction, truth, times = predict(40), true(40), torch.randint(4, (40,))
    repeated = {k: v.repeat_interleave(times, 0) for k, v in prediction.items()}
    whole = fed(new(), repeated, truth.repeat_interleave(times, 0)).compute()
    assert fed(new(), prediction, truth, times.float()).compute() == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize("name", METRICS)
def test_no_rows_give_no_figures_but_a_note(name):
    new, predict, true = METRICS[name]
    assert new().compute() == {}
    metrics = fed(new(), predict(3), true(3), torch.zeros(3))
    assert metrics.compute() == {}
    assert metrics.notes["all"]


@pytest.mark.parametrize("name", METRICS)
def test_a_batch_without_rows_changes_no_figure(name):
    new, predict, true = METRICS[name]
    prediction, truth = predict(40), true(40)
    metrics = new()
    metrics.update(predict(0), Value(true(0)), None)
    assert metrics.compute() == {}
    metrics.update(prediction, Value(truth), None)
    metrics.update(predict(0), Value(true(0)), None)
    assert metrics.compute() == fed(new(), prediction, truth, batch=40).compute()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("coarse", [False, True])
def test_regression_is_that_of_scikit_learn_and_scipy(weighted, coarse):
    truth = 5 * torch.randn(301, dtype=torch.float64)
    value = truth + torch.randn(301)
    if coarse:
        truth, value = truth.round(), value.round()
    weight = torch.randint(1, 4, (301,)) if weighted else None
    figures = fed(Regression(), {"value": value}, truth, weight).compute()
    y, p = (x.numpy() if weight is None else x.repeat_interleave(weight).numpy() for x in (truth, value))
    assert figures == pytest.approx(
        {
            "mae": reference.mean_absolute_error(y, p),
            "rmse": reference.root_mean_squared_error(y, p),
            "r2": reference.r2_score(y, p),
            "explained_variance": reference.explained_variance_score(y, p),
            "median_absolute_error": reference.median_absolute_error(y, p),
            "spearman": stats.spearmanr(y, p).statistic,
            "kendall": stats.kendalltau(y, p).statistic,
        },
        rel=1e-9,
    )


def test_a_constant_error_is_explained_though_not_predicted():
    truth = torch.randn(50, dtype=torch.float64)
    figures = fed(Regression(), {"value": truth + 3}, truth).compute()
    assert figures["explained_variance"] == pytest.approx(1)
    assert figures["r2"] < 0


@pytest.mark.parametrize("weighted", [False, True])
def test_quantiles_are_scored_by_pinball_loss_and_coverage(weighted):
    truth = torch.randn(400, dtype=torch.float64)
    prediction = {"value": torch.zeros(400), "q10": torch.full((400,), -1.0), "q97.5": 1 + torch.rand(400)}
    weight = torch.rand(400, dtype=torch.float64) if weighted else None
    figures = fed(Regression(), prediction, truth, weight).compute()
    w = None if weight is None else weight.numpy()
    losses = [
        reference.mean_pinball_loss(truth, prediction[name], alpha=level, sample_weight=w)
        for name, level in (("value", 0.5), ("q10", 0.1), ("q97.5", 0.975))
    ]
    assert figures["quantile_loss"] == pytest.approx(np.mean(losses))
    assert figures["coverage_q10"] == pytest.approx(np.average(truth.numpy() <= -1, weights=w))
    assert figures["coverage_q97.5"] == pytest.approx(np.average((truth <= prediction["q97.5"]).numpy(), weights=w))
    assert "coverage_value" not in figures


def test_quantiles_have_names():
    for level, name in ((0.1, "q10"), (0.975, "q97.5"), (0.29, "q29"), (0.001, "q0.1"), (1e-7, "q1e-05")):
        assert quantile_name(level) == name
        assert quantile_level(name) == pytest.approx(level)
    assert [quantile_level(name) for name in ("value", "q", "quality", "q1x")] == [None] * 4


def test_beyond_the_limit_orders_come_from_a_sample_and_say_so():
    truth = torch.randn(4000, dtype=torch.float64)
    value = truth + torch.randn(4000)
    exact = fed(Regression(), {"value": value}, truth).compute()
    metrics = fed(Regression(kept=1000), {"value": value}, truth)
    figures = metrics.compute()
    assert set(metrics.notes) == {"median_absolute_error", "spearman", "kendall"}
    assert metrics.notes["kendall"] == "from a random sample of 1,000 of the 4,000 rows"
    for name in exact:
        assert (figures[name] == exact[name]) == (name not in metrics.notes)
        assert figures[name] == pytest.approx(exact[name], abs=0.06)
    assert fed(Regression(kept=1000), {"value": value}, truth, batch=1999).compute() == pytest.approx(figures)


def test_nothing_is_kept_where_nothing_is_to_be():
    figures = fed(Regression(kept=0), {"value": torch.randn(9)}, torch.randn(9)).compute()
    assert set(figures) == {"mae", "rmse", "r2", "explained_variance"}


def test_a_constant_prediction_orders_nothing():
    metrics = fed(Regression(), {"value": torch.ones(9)}, torch.randn(9))
    assert not {"spearman", "kendall"} & set(metrics.compute())
    assert metrics.notes == dict.fromkeys(("spearman", "kendall"), "the prediction does not vary")


def test_regression_keeps_its_digits_far_from_zero():
    noise = torch.randn(1000, dtype=torch.float64)
    truth = noise + 1e9
    value = truth + 0.1
    figures = fed(Regression(), {"value": value}, truth).compute()
    assert figures["r2"] == pytest.approx(1 - 0.01 / noise.var(correction=0).item(), rel=1e-5)
    assert figures["mae"] == pytest.approx(0.1, rel=1e-5)


def test_regression_reads_the_scaled_value_of_pairs():
    pairs, value = torch.rand(20, 2), torch.rand(20)
    assert (
        fed(Regression(), {"value": value}, pairs).compute()
        == fed(Regression(), {"value": value}, pairs[:, 0]).compute()
    )


def test_a_truth_that_does_not_vary_has_no_r2():
    metrics = fed(Regression(), {"value": torch.randn(9)}, torch.ones(9))
    assert set(metrics.compute()) == {"mae", "rmse", "median_absolute_error"}
    assert set(metrics.notes) == {"r2", "explained_variance", "spearman", "kendall"}
    assert "vary" in metrics.notes["r2"]


@pytest.mark.parametrize("weighted", [False, True])
def test_multilabel_is_that_of_scikit_learn(weighted):
    rows, labels = 150, 5
    probs, truth = torch.rand(rows, labels) * 0.9, torch.randint(2, (rows, labels), dtype=torch.uint8)
    probs[:, 4], truth[:, 4] = 0.1, 0  # a label that is neither true nor predicted
    weight = torch.rand(rows) if weighted else None
    figures = fed(MultiLabel(labels), {"probs": probs}, truth, weight).compute()
    w, y, guess = None if weight is None else weight.numpy(), truth.numpy(), (probs >= 0.5).numpy()
    pairs = np.stack([1 - probs.double().numpy(), probs.double().numpy()], 2).reshape(-1, 2)
    repeated = None if w is None else np.repeat(w.astype(np.float64), labels)
    assert figures == pytest.approx(
        {
            "f1_micro": reference.f1_score(y, guess, average="micro", sample_weight=w),
            "precision_micro": reference.precision_score(y, guess, average="micro", sample_weight=w),
            "recall_micro": reference.recall_score(y, guess, average="micro", sample_weight=w),
            "f1_macro": reference.f1_score(y, guess, average="macro", sample_weight=w, zero_division=np.nan),
            "subset_accuracy": reference.accuracy_score(y, guess, sample_weight=w),
            "log_loss": reference.log_loss(y.reshape(-1), pairs, sample_weight=repeated),
        },
        rel=1e-6,
    )


def test_labels_unseen_in_training_count_as_not_found():
    probs, truth = torch.tensor([[0.9, 0.1], [0.9, 0.1]]), torch.tensor([[1, 0, 0], [1, 0, 2]])
    figures = fed(MultiLabel(2), {"probs": probs}, truth).compute()
    assert figures["recall_micro"] == 2 / 4
    assert figures["subset_accuracy"] == 1 / 2
    assert figures["f1_micro"] == 2 * 2 / (4 + 2)
    assert figures["precision_micro"] == figures["f1_macro"] == 1


def test_empty_sets_everywhere():
    metrics = fed(MultiLabel(3), {"probs": torch.zeros(5, 3)}, torch.zeros(5, 3))
    figures = metrics.compute()
    assert figures["subset_accuracy"] == 1
    assert set(metrics.notes) == {"f1_micro", "precision_micro", "recall_micro", "f1_macro"}
    assert all(math.isfinite(x) for x in figures.values())


@pytest.mark.parametrize("name", METRICS)
def test_callers_may_reuse_their_buffers(name):
    new, predict, true = METRICS[name]
    prediction, truth, weight = predict(20), true(20), torch.rand(20, dtype=torch.float64)
    whole = fed(new(), prediction, truth, weight).compute()
    metrics = fed(new(), prediction, truth, weight)
    for buffer in (*prediction.values(), truth, weight):
        buffer.zero_()
    assert metrics.compute() == whole
