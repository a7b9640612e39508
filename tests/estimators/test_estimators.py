"""The estimators of scikit-learn: its own checks, and work beside its other parts."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import ranvier as rv

QUICK: dict[str, Any] = {"epochs": 30, "size": "s", "threads": 1}
EXEMPT = {
    "check_sample_weight_equivalence_on_dense_data": (
        "a row of weight 2 is one row in an epoch, two rows are two: batches, validation rows and steps differ"
    )
}


@parametrize_with_checks(
    [rv.Classifier(**QUICK), rv.Regressor(**QUICK)], expected_failed_checks=lambda estimator: EXEMPT
)
@pytest.mark.filterwarnings("ignore")
def test_its_own_checks_hold(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    random = np.random.default_rng(0)
    colour = random.choice(["red", "green", "blue"], 120)
    x = random.normal(size=120)
    return pd.DataFrame({"colour": colour, "x": x, "y": x + 2.0 * (colour == "red")})


@pytest.fixture(scope="module")
def regressor(frame: pd.DataFrame) -> rv.Regressor:
    return rv.Regressor(**QUICK | {"epochs": 80}).fit(frame[["colour", "x"]], frame["y"])


def test_columns_of_frames_are_recognised(frame: pd.DataFrame, regressor: rv.Regressor) -> None:
    assert regressor.model_.plan.columns["colour"].type == "category"
    assert regressor.score(frame[["colour", "x"]], frame["y"]) > 0.9
    assert list(regressor.feature_names_in_) == ["colour", "x"]


def test_polars_and_pandas_are_answered_alike(frame: pd.DataFrame, regressor: rv.Regressor) -> None:
    rows = frame[["colour", "x"]]
    np.testing.assert_array_equal(regressor.predict(rows), regressor.predict(pl.from_pandas(rows)))


def test_other_columns_than_in_fitting_are_refused(frame: pd.DataFrame, regressor: rv.Regressor) -> None:
    with pytest.raises(ValueError, match="feature names should match"):
        regressor.predict(frame[["x", "colour"]])


def test_names_of_its_own_columns_may_be_taken() -> None:
    x = pd.DataFrame({"target": np.arange(40.0), "weight": np.tile([1.0, 2.0], 20)})
    model = rv.Regressor(**QUICK).fit(x, x["target"] * 2, sample_weight=np.ones(40))
    assert list(model.model_.plan.targets) == ["target_"]
    assert list(model.model_.plan.inputs) == ["target", "weight"]


def test_pipelines_searches_and_transformers_work(frame: pd.DataFrame) -> None:
    columns = make_column_transformer((OneHotEncoder(), ["colour"]), (StandardScaler(), ["x"]))
    pipe = make_pipeline(columns, rv.Regressor(**QUICK))
    assert cross_val_score(pipe, frame[["colour", "x"]], frame["y"], cv=3).min() > 0.8
    search = GridSearchCV(pipe, {"regressor__epochs": [1, 30]}, cv=2).fit(frame[["colour", "x"]], frame["y"])
    assert search.best_params_ == {"regressor__epochs": 30}


def test_a_search_may_choose_encoders(frame: pd.DataFrame) -> None:
    grid = {"encoder": ["auto", {"name": "dense", "hidden": [8]}]}
    rows = frame[["x"]].rename(columns={"x": "v"})
    with pytest.raises(ValueError, match="dense"):  # it takes vectors, not numbers
        rv.Regressor(**QUICK, encoder=grid["encoder"][1]).fit(rows, frame["y"])
    model = rv.Regressor(**QUICK, encoder={"name": "number", "embedding": "none"}).fit(rows, frame["y"])
    assert model.model_.plan.inputs["v"].encoder["embedding"] == "none"


def test_labels_come_back_as_they_were(frame: pd.DataFrame) -> None:
    noise = np.random.default_rng(2).normal(size=120)
    labels = np.where(frame["x"] + 0.4 * noise > 0, 7, -3)
    model = rv.Classifier(**QUICK)
    said = cross_val_predict(model, frame[["x"]], labels, cv=2, method="predict_proba")
    assert said.shape == (120, 2)
    fitted = model.fit(frame[["x"]], labels)
    assert fitted.classes_.tolist() == [-3, 7]
    assert (fitted.predict(frame[["x"]]) == labels).mean() > 0.8


def test_missing_values_and_several_targets_are_welcome() -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=(80, 3))
    y = np.stack([x[:, 0] + x[:, 1], 100 * (x[:, 0] - x[:, 1])], 1)
    x[::7, 2] = np.nan
    model = rv.Regressor(**QUICK | {"epochs": 120}).fit(x, y)
    assert model.predict(x).shape == (80, 2)
    assert r2_score(y, model.predict(x)) > 0.8


def test_copies_are_alike(frame: pd.DataFrame, regressor: rv.Regressor) -> None:
    rows = frame[["colour", "x"]]
    again = clone(regressor).fit(rows, frame["y"])
    for other in (again, pickle.loads(pickle.dumps(regressor))):
        np.testing.assert_array_equal(other.predict(rows), regressor.predict(rows))


def test_random_states_are_seeds(frame: pd.DataFrame) -> None:
    seeds = [
        rv.Regressor(epochs=1, threads=1, random_state=state).fit(frame[["x"]], frame["y"]).model_.plan.train.seed
        for state in (5, np.random.RandomState(5), np.random.RandomState(5), None)
    ]
    assert seeds[0] == 5
    assert seeds[1] == seeds[2]


def test_one_class_is_no_classification() -> None:
    with pytest.raises(ValueError, match="two classes or more in y, got 1 class"):
        rv.Classifier().fit(np.zeros((5, 2)), np.ones(5))


def test_what_tells_the_target_is_warned_of(frame: pd.DataFrame) -> None:
    with pytest.warns(rv.RanvierWarning, match="same values"):
        rv.Regressor(epochs=1, threads=1).fit(frame[["x"]], frame["x"])


def test_what_is_wrong_in_the_data_is_a_value_error(frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="size"):
        rv.Regressor(size="xl").fit(frame[["x"]], frame["y"])


def test_importing_ranvier_imports_neither_torch_nor_scikit_learn() -> None:
    code = "import sys, ranvier; assert not {'torch', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_rows_without_a_class_are_named() -> None:
    with pytest.raises(ValueError, match="row 1 has none; leave out such rows"):
        rv.Classifier().fit(np.zeros((3, 2)), np.array(["a", None, "b"], object))


def test_what_is_given_stays_as_it_is() -> None:
    x = np.random.default_rng(3).normal(size=(40, 2))
    rows = pl.DataFrame({"p": x[:, 0], "q": x[:, 1]})
    model = rv.Regressor(epochs=1, threads=1).fit(x, x[:, 0] + x[:, 1] ** 2)
    with pytest.warns(UserWarning, match="X has feature names"):
        np.testing.assert_array_equal(model.predict(rows), model.predict(x))
    assert rows.columns == ["p", "q"]


def test_warnings_name_classes_as_they_were_given() -> None:
    x = np.random.default_rng(0).normal(size=(60, 2))
    y = np.array(["oak", "elm"] * 29 + ["yew", "ash"])
    with pytest.warns(rv.RanvierWarning) as caught:
        model = rv.Classifier(**QUICK | {"epochs": 2}).fit(x, y)
    assert any("2 of 4 classes have one row, such as 'ash'" in str(one.message) for one in caught)
    assert list(model.classes_) == ["ash", "elm", "oak", "yew"]
    assert set(model.predict(x)) <= set(y)


def test_a_class_of_weight_zero_is_told() -> None:
    x = np.random.default_rng(0).normal(size=(60, 2))
    y = np.array(["oak", "elm", "yew"] * 20)
    with pytest.warns(rv.RanvierWarning, match=r"1 of 3 classes has no row with a weight above 0 in 'weight', .*'yew'"):
        model = rv.Classifier(**QUICK | {"epochs": 2}).fit(x, y, sample_weight=(y != "yew").astype(float))
    assert model.predict_proba(x).shape == (60, 3)


@pytest.mark.parametrize("labels", [["a", " a"], ["1.0", "b"], [True, False], ["NA", "nan"], [3.0, 1.0], ["x", ""]])
def test_classes_of_any_text_are_told_apart(labels: list[Any]) -> None:
    x = np.random.default_rng(0).normal(size=(80, 2))
    y = np.where(x.sum(1) > 0, *np.array(labels))
    model = rv.Classifier(**QUICK).fit(x, y)
    assert (model.predict(x) == y).mean() > 0.8
    assert set(model.predict(x)) == set(labels)
