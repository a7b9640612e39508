"""Intervals, deviations, sets and softened probabilities beside what they are by definition."""

from __future__ import annotations

import io
import math
import pickle
import zipfile

import numpy as np
import polars as pl
import pytest
import torch
from model.made import mixed, table
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from ranvier.core.errors import DataError, FileError, PlanError
from ranvier.model import fit as fitting
from ranvier.model import posterior
from ranvier.model.conformal import hints
from ranvier.model.file import UNCERTAINTY, parse, to_bytes
from ranvier.model.fit import NOT_REFITTED, UNSURE, fit
from ranvier.model.model import Model, load
from ranvier.model.posterior import counted, learn_posteriors, say
from ranvier.ops.spread import spread
from ranvier.planning.frames import fold_rows, training_rows
from ranvier.planning.frames import load as frames_of
from ranvier.planning.make import make_plan

HOW = {"inputs": ["a", "b", "c"], "threads": 1, "progress": False}
LEVEL = 0.8


def plan_of(target: str, fuse: dict | None = None, frame: pl.DataFrame | None = None, **settings):
    plan = make_plan(table() if frame is None else frame, target, inputs=["a", "b", "c"], threads=1, **settings)
    if fuse:
        plan.fuse = fuse
    return plan


@pytest.fixture(scope="module")
def number() -> Model:
    """A network of members, judged by 24 rows that it has not seen."""
    return fit(plan_of("z", refit=False, epochs=8), progress=False)


@pytest.fixture(scope="module")
def folded() -> Model:
    return fit(table(), ["z", "y"], folds=3, epochs=4, **HOW)


def said_of(network, rows: pl.DataFrame) -> dict:
    return network.each_of(rows, [], lambda f: say(network, {}, f))


def part_of(network, held: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Of held-out rows of z, how far off the network is in its own scaled units, and what it expects to be."""
    said = said_of(network, held)["z"]
    return np.abs(network.columns["z"].encode(held["z"]).data[:, 0] - said["value"]), said


def test_an_interval_is_the_quantile_of_errors_at_rows_held_out(number):
    _, held = training_rows(number.plan, frames_of(number.plan))
    rows, network, told = table(30), number.networks[0], number.uncertainty.held["z"]
    away, said = part_of(network, table()[held])
    scores = np.sort(away / spread(hints(said), told.spreads[0]).numpy())
    q = scores[math.ceil((len(held) + 1) * LEVEL) - 1]
    at = said_of(network, rows)["z"]
    wide = q * spread(hints(at), told.spreads[0]).numpy()
    out = number.predict(rows, uncertainty=LEVEL)
    assert out.columns == ["z", "z_std", "z_low", "z_high"]
    np.testing.assert_allclose(out["z_low"], network.columns["z"].unscale(at["value"] - wide), rtol=1e-5)
    np.testing.assert_allclose(out["z_high"], network.columns["z"].unscale(at["value"] + wide), rtol=1e-5)
    assert out["z"].equals(number.predict(rows)["z"])
    assert np.std(wide) > 0


def test_true_is_a_level_of_nine_tenths_and_a_higher_one_is_wider(number):
    rows = table(20)
    nine = number.predict(rows, uncertainty=True)
    assert nine.equals(number.predict(rows, uncertainty=0.9))
    less = number.predict(rows, uncertainty=0.5)
    assert (nine["z_low"] < less["z_low"]).all()
    assert (nine["z_high"] > less["z_high"]).all()
    assert nine["z_std"].equals(less["z_std"])  # another question
    assert number.predict(rows, uncertainty=False).columns == ["z"]


def test_intervals_and_sets_of_folds_are_those_of_every_row_by_its_own_network(folded):
    rows, told = table(12), folded.uncertainty.held
    column = folded.columns["z"]
    up, down, doubts, own = [], [], [], []
    for network, (_, held), learnt in zip(
        folded.networks, fold_rows(folded.plan, frames_of(folded.plan)), told["z"].spreads, strict=True
    ):
        frame, mine = table()[held], network.columns["z"]
        at, there = said_of(network, rows), said_of(network, frame)
        raw = mine.unscale(there["z"]["value"])
        away = np.abs((raw - frame["z"].to_numpy()) / column.scale)
        scores = away / spread(hints(there["z"]), learnt).numpy()
        value = (mine.unscale(at["z"]["value"]) - column.centre) / column.scale
        errors = spread(hints(at["z"]), learnt).numpy()[:, None] * scores
        up.append(value[:, None] + errors)
        down.append(value[:, None] - errors)
        alone = Model(folded.plan, [network], temperatures=folded.temperatures)
        probs = alone.predict(frame).select("y_p_p", "y_p_q").to_numpy()
        truth = (frame["y"] == "q").to_numpy().astype(int)
        own.append(1 - probs[np.arange(len(truth)), truth].astype(np.float64))
        doubts.append(1 - alone.predict(rows).select("y_p_p", "y_p_q").to_numpy().astype(np.float64))
    place = math.ceil(121 * LEVEL)
    out = folded.predict(rows, uncertainty=LEVEL)
    high = np.sort(np.concatenate(up, 1), 1)[:, place - 1]
    low = -np.sort(-np.concatenate(down, 1), 1)[:, place - 1]
    np.testing.assert_allclose(out["z_high"], column.unscale(high), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(out["z_low"], column.unscale(low), rtol=1e-4, atol=1e-4)
    for row in range(12):
        below = [sum((own[k] < doubts[k][row, c]).sum() for k in range(3)) for c in (0, 1)]
        best = int(np.mean([d[row] for d in doubts], 0).argmin())
        expected = [label for c, label in enumerate("pq") if below[c] < place or c == best]
        assert out["y_set"][row].to_list() == expected


def test_the_deviation_of_a_linear_model_is_that_of_bayesian_regression():
    """Without a fuse that learns, the head is all there is."""
    plan = plan_of("z", {"name": "concat"}, epochs=40, refit=False)
    model = fit(plan, progress=False)
    train, _ = training_rows(model.plan, frames_of(model.plan))
    learnt = model.uncertainty.posteriors[0]["z"]

    def features(rows: pl.DataFrame) -> torch.Tensor:
        vectors = torch.from_numpy(model.embed(rows)).double()
        return torch.cat([vectors, torch.ones(len(vectors), 1, dtype=torch.float64)], 1)

    x = features(table()[train])
    precision = torch.linalg.inv(learnt.inputs.double() @ learnt.variance[0].double().diag() @ learnt.inputs.T.double())
    gram = x.T @ x
    off = ~torch.eye(len(gram), dtype=torch.bool)
    noise = float((gram[off] @ gram[off]) / (gram[off] @ precision[off]))
    prior = float((precision - gram / noise).diagonal().mean())
    torch.testing.assert_close(precision, gram / noise + prior * torch.eye(len(gram)), rtol=2e-2, atol=2e-2 * prior)
    w = model.task.heads[0].last().detach().double()[0]
    truth = torch.from_numpy(model.columns["z"].encode(table()[train]["z"]).data[:, 0]).double()
    known = float((torch.linalg.eigvalsh(gram) / noise / (torch.linalg.eigvalsh(gram) / noise + prior)).sum())
    assert prior * float(w @ w) == pytest.approx(known, rel=0.02)
    assert noise * (len(train) - known) == pytest.approx(float((truth - x @ w).square().sum()), rel=0.02)
    at = features(table(15))
    exact = torch.einsum("ni,ij,nj->n", at, torch.linalg.inv(gram / noise + prior * torch.eye(len(gram))), at).sqrt()
    out = model.predict(table(15), uncertainty=LEVEL)
    np.testing.assert_allclose(out["z_std"], exact.numpy() * model.columns["z"].scale, rtol=0.02)


def test_deviations_add_up_over_layers_members_and_networks(folded):
    rows = table(10)
    values, variances = [], []
    for network, learnt in zip(folded.networks, folded.uncertainty.posteriors, strict=True):
        said = network.each_of(rows, [], lambda f, n=network, p=learnt: say(n, p, f))["z"]
        scale = network.columns["z"].scale
        values.append(network.columns["z"].unscale(said["value"]))
        variances.append((said["between"] + said["within"]) * scale**2)
        assert (said["between"] > 0).all()
        assert (said["within"] > 0).all()
    expected = np.sqrt(np.mean(variances, 0) + np.var(values, 0))
    np.testing.assert_allclose(folded.predict(rows, uncertainty=LEVEL)["z_std"], expected, rtol=1e-4)


def test_what_the_members_say_of_a_number(number):
    network = number.networks[0]
    each = network.made_of(
        table(9), [], lambda f: {"all": number.task.heads[0].out(f)[:, 0].unflatten(0, (-1, f.members))}
    )["all"]
    said = said_of(network, table(9))["z"]
    np.testing.assert_allclose(said["between"], each.var(1), rtol=1e-4)
    np.testing.assert_allclose(said["value"], each.mean(1), rtol=1e-5)


def test_probabilities_are_softened_and_answers_stay(small):
    rows = table(40)
    plain, soft = small.predict(rows), small.predict(rows, uncertainty=LEVEL)
    assert soft.columns == [*plain.columns, "y_set"]
    assert soft["y"].equals(plain["y"])
    assert (soft["y_confidence"] <= plain["y_confidence"] + 1e-6).all()
    assert (soft["y_confidence"] < plain["y_confidence"] - 1e-4).any()
    np.testing.assert_allclose(soft["y_p_p"] + soft["y_p_q"], 1, atol=1e-5)
    assert all(answer in held for answer, held in zip(soft["y"], soft["y_set"], strict=True))


def test_a_loss_without_a_likelihood_has_sets_and_its_own_probabilities():
    plan = plan_of("y", refit=False, epochs=2)
    plan.targets["y"].head = {"name": "category", "loss": "hinge"}
    model = fit(plan, progress=False)
    assert model.uncertainty.posteriors == [{}]
    out = model.predict(table(20), uncertainty=LEVEL)
    assert out.drop("y_set").equals(model.predict(table(20)))
    assert out["y_set"].list.len().min() >= 1


def test_intervals_hold_the_truth_as_often_as_they_say_and_are_wide_where_errors_are():
    def drawn(rows: int, seed: int) -> pl.DataFrame:
        random = np.random.default_rng(seed)
        a, b = random.normal(size=(2, rows))
        size = np.exp(a)  # so are the errors
        return pl.DataFrame({"a": a, "b": b, "z": 3 * a + size * random.standard_normal(rows)})

    model = fit(drawn(1200, 0), "z", epochs=4, threads=1, progress=False)
    new = drawn(3000, 1)
    out = model.predict(new, uncertainty=0.9)
    covered = ((out["z_low"] <= new["z"]) & (new["z"] <= out["z_high"])).mean()
    assert covered == pytest.approx(0.9, abs=4 * math.sqrt(0.09 / 240 + 0.09 / 3000))  # 240 rows were held out
    wide = (out["z_high"] - out["z_low"]).to_numpy()
    ends = new["a"].to_numpy() < -1, new["a"].to_numpy() > 1
    assert wide[ends[1]].mean() > 2 * wide[ends[0]].mean()


def test_quantiles_tell_how_far_the_truth_may_be():
    plan = plan_of("z", refit=False, epochs=4)
    plan.targets["z"].head = {"name": "number", "loss": "quantile", "quantiles": [0.05, 0.95]}
    model = fit(plan, progress=False)
    out = model.predict(table(10), uncertainty=LEVEL)
    assert out.columns == ["z", "z_q5", "z_q95", "z_std", "z_low", "z_high"]
    network = model.networks[0]
    told = hints(said_of(network, table(10))["z"])[:, 3].exp().numpy()
    apart = (out["z_q95"] - out["z_q5"]).to_numpy() / network.columns["z"].scale
    np.testing.assert_allclose(told, apart + 1e-3, rtol=1e-3)


def test_rows_without_weight_or_truth_do_not_count():
    frame = table().with_columns(
        z=pl.when(pl.col("t") % 5 == 0).then(None).otherwise("z"), w=(pl.col("t") % 3 > 0).cast(pl.Float64)
    )
    model = fit(frame, "z", roles={"w": "weight"}, folds=2, epochs=2, **HOW)
    usable = frame.filter(pl.col("z").is_not_null() & (pl.col("w") > 0)).height
    assert sum(map(len, model.uncertainty.held["z"].scores)) == usable
    truth = model.columns["z"].encode(frame["z"])
    amount = counted(model.plan, frame, truth)
    assert (amount > 0).sum() == usable
    assert amount[amount > 0].mean() == pytest.approx(1)


def test_a_sample_of_training_rows_stands_for_all(number, monkeypatch):
    def widest(rows: pl.DataFrame, visits: float) -> float:
        return float(learn_posteriors(number.networks[0], rows, visits)["z"].variance.log().min())

    whole = widest(table(), 1e6)
    assert widest(table(), 0) == whole  # 256 rows at least
    monkeypatch.setattr(posterior, "ROWS", (10, 1000))
    assert widest(table(), 120 / 0.05) == whole
    half, few = widest(table(), 60 / 0.05), widest(table()[:60], 1e6)
    assert half != whole
    assert abs(half - whole) < 0.5 * abs(few - whole)


def test_it_is_saved_loaded_and_pickled(folded, number, tmp_path):
    for model in (folded, number):
        before = model.predict(table(20), uncertainty=LEVEL)
        for again in (load(model.save(tmp_path / "m.rv")), pickle.loads(pickle.dumps(model))):
            assert again.predict(table(20), uncertainty=LEVEL).equals(before)
            assert to_bytes(again) == to_bytes(model)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scores/0/z", torch.tensor([2.0, 1.0])),
        ("scores/0/z", torch.zeros(0)),
        ("scores/7/z", torch.zeros(3)),
        ("scores/0/nothing", torch.zeros(3)),
        ("spread/0/z", torch.zeros(3, 9)),
        ("inputs/0/z", torch.zeros(2, 2)),
        ("outputs/0/z", None),
        ("spread/0/z", None),
    ],
)
def test_a_file_with_something_else_is_refused(number, name, value):
    with zipfile.ZipFile(io.BytesIO(to_bytes(number))) as archive:
        parts = {member: archive.read(member) for member in archive.namelist()}
    tensors = load_tensors(parts[UNCERTAINTY]) | {name: value}
    parts[UNCERTAINTY] = save_tensors({key: tensor for key, tensor in tensors.items() if tensor is not None})
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for member, content in parts.items():
            archive.writestr(member, content)
    with pytest.raises(FileError, match=r"m\.rv is damaged"):
        parse(file.getvalue(), "m.rv")


# ---- where it cannot be told


def test_levels_that_cannot_be_had(number):
    with pytest.raises(
        PlanError, match=r"'z': level = 0\.97 needs 33 rows that were held out.*got 24; lower the level"
    ):
        number.predict(table(3), uncertainty=0.97)
    for level in (1.0, 0, 90):
        with pytest.raises(PlanError, match="between 0 and 1"):
            number.predict(table(3), uncertainty=level)


def test_without_rows_held_out(number):
    model = fit(table(), "z", split="none", epochs=1, **HOW)
    assert model.uncertainty.held == {}
    assert "z" in model.uncertainty.posteriors[0]
    with pytest.raises(PlanError, match=r"no rows were held out .*train with validation rows or folds"):
        model.predict(table(3), uncertainty=True)


def test_targets_that_have_no_such_answer():
    model = fit(mixed(40)["size", "labels", "amount"], ["labels", "amount"], epochs=1, threads=1, progress=False)
    assert model.uncertainty.held == {}  # nor is it learnt of the other
    assert model.uncertainty.posteriors == [{}]
    with pytest.raises(
        PlanError, match="target 'labels' is a column of type 'set', and uncertainty is told of numbers"
    ):
        model.predict(mixed(5), uncertainty=True)


def test_one_network_that_nothing_tells_of(monkeypatch):
    monkeypatch.setattr(posterior, "WIDEST", 3)
    plan = plan_of("z", {"name": "mlp", "layer_width": 8, "depth": 1}, refit=False, epochs=1)
    model = fit(plan, progress=False)
    assert model.uncertainty.posteriors == [{}]
    with pytest.raises(PlanError, match=r"how sure the network is of 'z'.*train with folds"):
        model.predict(table(3), uncertainty=LEVEL)


def test_columns_kept_beside_it(number, tmp_path):
    rows = table(4).with_columns(z_low=pl.lit(1.0))
    assert number.predict(rows, keep="z_low").columns == ["z_low", "z"]
    with pytest.raises(DataError, match="keep: 'z_low' is a column of the answers"):
        number.predict(rows, keep="z_low", uncertainty=LEVEL)


def test_sets_are_written_as_text(small, tmp_path):
    rows = table(30)
    path = small.predict(rows, uncertainty=0.95, to=tmp_path / "out.csv")
    sets = small.predict(rows, uncertainty=0.95)["y_set"]
    assert pl.read_csv(path)["y_set"].to_list() == ["|".join(held) for held in sets.to_list()]
    pandas = pytest.importorskip("pandas")
    frame = small.predict(rows.to_pandas(), uncertainty=0.95)
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["y_set"][0]) == sets[0].to_list()


def test_of_many_classes_probabilities_are_not_softened(monkeypatch):
    monkeypatch.setattr(posterior, "CLASSES", 1)
    model = fit(table(), "y", epochs=1, **HOW)
    assert model.uncertainty.posteriors == [{}]
    assert model.predict(table(9), uncertainty=LEVEL).drop("y_set").equals(model.predict(table(9)))


def test_ctrl_c_while_it_is_learnt_keeps_the_model(monkeypatch):
    def interrupted(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "learn_posteriors", interrupted)
    model = fit(table(), "z", epochs=1, **HOW)
    assert UNSURE in model.notes
    assert NOT_REFITTED not in model.notes
    assert model.predict(table(5), uncertainty=LEVEL)["z_std"].min() > 0  # of the members
