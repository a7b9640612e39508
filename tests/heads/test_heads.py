"""The plain heads: first loss, missing targets, gradients, predictions, learning."""

from __future__ import annotations

import math
import typing

import pytest
import torch

from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Features, Value
from ranvier.core.registry import names
from ranvier.core.schema import check_options, options_of
from ranvier.core.spec import Spec
from ranvier.heads.category import CategoryHead
from ranvier.heads.number import NumberHead
from ranvier.heads.set import SetHead
from ranvier.heads.vector import VectorHead
from ranvier.ops.contrastive import triplet
from ranvier.ops.losses import binary_cross_entropy, binary_focal, binary_hinge, cross_entropy, focal, hinge

D, C, B = 16, 5, 40
SPECS = {
    "category": Spec("index", (), C),
    "number": Spec("scalar", (2,)),
    "set": Spec("khot", (C,), C),
    "vector": Spec("vector", (C,)),
}
HEADS = {"category": CategoryHead, "number": NumberHead, "set": SetHead, "vector": VectorHead}


def target(name, rows=B):
    if name == "category":
        return torch.randint(C, (rows,), dtype=torch.int32)
    if name in ("number", "vector"):
        return torch.randn(rows, 2 if name == "number" else C)
    return torch.randint(2, (rows, C), dtype=torch.uint8)


def features(rows=B):
    return Features(rows, torch.randn(rows, D, requires_grad=True))


@pytest.fixture(params=sorted(HEADS))
def name(request):
    return request.param


@pytest.fixture
def head(name):
    return HEADS[name](SPECS[name], D, None)


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_the_first_loss_of_a_category_is_log_c(classes):
    head = CategoryHead(Spec("index", (), classes), 64, None)
    f = Features(500, torch.randn(500, 64))
    loss = head.loss("main", f, Value(torch.randint(classes, (500,)))).mean().item()
    assert loss == pytest.approx(math.log(classes), rel=0.02)


def test_the_first_loss_of_a_set_is_log_2_a_label_and_that_of_a_number_its_variance():
    f, y = Features(500, torch.randn(500, 64)), torch.randint(2, (500, C))
    assert SetHead(SPECS["set"], 64).loss("main", f, Value(y)).mean().item() == pytest.approx(C * math.log(2), rel=0.02)
    value = torch.randn(500, 2)
    first = NumberHead(SPECS["number"], 64).loss("main", f, Value(value)).mean().item()
    assert first == pytest.approx(value[:, 0].square().mean().item(), rel=0.1)


def test_loss_is_a_sum_per_row_and_rows_do_not_see_one_another(name, head):
    f, y = features(), Value(target(name))
    whole = head.loss("main", f, y)
    assert whole.shape == head.count(y).shape == (B,)
    assert head.count(y).sum() == B
    for i in (0, B - 1):
        one = head.loss("main", Features(1, f.vector[i : i + 1]), y.map(lambda t, i=i: t[i : i + 1]))
        torch.testing.assert_close(one[0], whole[i])


def test_missing_and_unseen_targets_never_fail_and_leave_no_trace(name, head):
    f, data = features(), target(name)
    observed = torch.rand(B) < 0.5
    if name == "category":
        data = torch.where(observed, data, torch.where(torch.rand(B) < 0.5, C, -1).to(data.dtype))
    elif name in ("number", "vector"):
        data[~observed] = math.nan
    weight = observed.float()
    loss = head.loss("main", f, Value(data, observed=observed))
    assert loss.isfinite().all()
    (loss * weight).sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.abs().sum() > 0 for p in head.parameters())
    assert (f.vector.grad[~observed] == 0).all()


def test_a_category_unseen_in_training_is_safe_without_an_observed_mask():
    head = CategoryHead(SPECS["category"], D)
    assert head.loss("main", features(2), Value(torch.tensor([C, 0]))).isfinite().all()


def test_gradient_reaches_every_parameter_and_the_features(name, head):
    f = features()
    head.loss("main", f, Value(target(name))).sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in head.params("main"))
    assert f.vector.grad.abs().sum() > 0


def test_predictions_are_named_shaped_and_bounded(name, head):
    head.eval()
    prediction = head.predict(features())
    if name in ("number", "vector"):
        assert prediction["value"].shape == ((B,) if name == "number" else (B, C))
        return
    assert prediction["probs"].shape == (B, C)
    assert ((prediction["probs"] >= 0) & (prediction["probs"] <= 1)).all()
    if name == "category":
        torch.testing.assert_close(prediction["probs"].sum(1), torch.ones(B))


def test_half_precision_features_give_full_precision_losses_and_predictions(name, head):
    head, f = head.bfloat16(), Features(B, torch.randn(B, D).bfloat16())
    assert head.loss("main", f, Value(target(name))).dtype == torch.float32
    assert all(p.dtype == torch.float32 for p in head.predict(f).values())


GOOD = {"category": ("accuracy", 1.0), "number": ("r2", 0.99), "set": ("subset_accuracy", 1.0), "vector": ("r2", 0.99)}


def test_it_learns_one_batch_and_its_metrics_see_it(name, head):
    f, y = Features(12, torch.randn(12, D)), Value(target(name, 12))
    optimizer = torch.optim.Adam(head.parameters(), 0.1)
    for _ in range(150):
        optimizer.zero_grad()
        head.loss("main", f, y).mean().backward()
        optimizer.step()
    metrics = head.metrics()
    metrics.update(head.predict(f), y, None)
    figure, bar = GOOD[name]
    assert metrics.compute()[figure] >= bar


def test_dropout_works_only_in_training(name):
    head = HEADS[name](SPECS[name], D, None, dropout=0.5)
    f = features()
    assert not torch.equal(*(next(iter(head.predict(f).values())) for _ in range(2)))
    head.eval()
    assert torch.equal(*(next(iter(head.predict(f).values())) for _ in range(2)))


def test_smoothing_by_itself_is_what_choose_says():
    facts = Facts(rows=1000)
    for classes in (2, 9, 10, 100):
        spec = Spec("index", (), classes)
        value, reason = CategoryHead.choose(spec, facts)["smoothing"]
        assert CategoryHead(spec, D).smoothing == value
        assert str(classes) in reason


def minimised(head, y, rate=0.05, steps=400):
    """What the head predicts where it has learnt a constant."""
    optimizer = torch.optim.SGD(head.parameters(), rate)
    for _ in range(steps):
        optimizer.zero_grad()
        head.loss(
            "main", Features(len(y), torch.zeros(len(y), 1)), Value(y[:, None].expand(len(y), 2))
        ).mean().backward()
        optimizer.step()
    return {name: value.item() for name, value in head.predict(Features(1, torch.zeros(1, 1))).items()}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"loss": "squared_error"}, 9 / 4),  # the mean
        ({"loss": "half_squared_error"}, 9 / 4),
        ({"loss": "absolute_error"}, 0.0),  # the median
        ({"loss": "huber"}, 1 / 3),  # where 3 m = 1
        ({"loss": "huber", "delta": 0.3}, 0.1),  # where 3 m = 0.3
    ],
)
def test_the_number_head_minimises_what_it_says(options, expected):
    head = NumberHead(SPECS["number"], 1, **options)
    said = minimised(head, torch.tensor([0.0, 0.0, 0.0, 9.0]))
    assert said == {"value": pytest.approx(expected, abs=0.06)}


def test_the_number_head_learns_several_quantiles_and_the_median_with_them():
    head = NumberHead(SPECS["number"], 1, loss="quantile", quantiles=[0.9, 0.1])
    said = minimised(head, torch.linspace(0, 1, 101), rate=0.02, steps=400)
    assert list(said) == ["value", "q10", "q90"]
    assert list(said.values()) == pytest.approx([0.5, 0.1, 0.9], abs=0.03)
    again = NumberHead(SPECS["number"], 1, loss="quantile", quantiles=[0.5, 0.025])
    assert list(again.predict(Features(1, torch.zeros(1, 1)))) == ["value", "q2.5"]


def test_quantiles_that_cross_are_sorted_and_scored():
    head = NumberHead(SPECS["number"], D, loss="quantile", quantiles=[0.1, 0.9])
    with torch.no_grad():
        head.out.linear.bias.copy_(torch.tensor([3.0, 0.0, -3.0]))
    f, y = features(), Value(target("number"))
    said = head.predict(f)
    assert (said["q10"] < said["value"]).all()
    assert (said["value"] < said["q90"]).all()
    metrics = head.metrics()
    metrics.update(said, y, None)
    figures = metrics.compute()
    assert {"quantile_loss", "coverage_q10", "coverage_q90"} <= set(figures)
    assert "kendall" not in figures  # for that rows would have to be kept
    outputs = head.out(f)
    pinball = sum(
        torch.maximum(t * (y.data[:, 0] - outputs[:, i]), (t - 1) * (y.data[:, 0] - outputs[:, i]))
        for i, t in enumerate([0.1, 0.5, 0.9])
    )
    torch.testing.assert_close(head.loss("main", f, y), pinball)


@pytest.mark.parametrize("quantiles", [[], [0.1, 0.1], [0.0], [1.5]])
def test_levels_that_are_none_are_refused(quantiles):
    with pytest.raises(PlanError, match=r"different levels between 0 and 1"):
        NumberHead(SPECS["number"], D, loss="quantile", quantiles=quantiles)


LOSSES_OF_HEADS = [
    ("category", {}, lambda z, y: cross_entropy(z, y)),
    ("category", {"smoothing": 0.1}, lambda z, y: cross_entropy(z, y, smoothing=0.1)),
    ("category", {"loss": "focal"}, lambda z, y: focal(z, y, gamma=2.0)),
    ("category", {"loss": "focal", "gamma": 1.0, "smoothing": 0.1}, lambda z, y: focal(z, y, gamma=1.0, smoothing=0.1)),
    ("category", {"loss": "hinge"}, lambda z, y: hinge(z, y)),
    ("set", {}, lambda z, y: binary_cross_entropy(z, y)),
    ("set", {"loss": "binary_focal", "gamma": 3.0}, lambda z, y: binary_focal(z, y, gamma=3.0)),
    ("set", {"loss": "binary_hinge"}, lambda z, y: binary_hinge(z, y)),
]


@pytest.mark.parametrize(("name", "options", "loss"), LOSSES_OF_HEADS)
def test_a_head_takes_the_loss_that_is_named(name, options, loss):
    head = HEADS[name](SPECS[name], D, **check_options(HEADS[name], options, "head"))
    f, y = features(), target(name)
    torch.testing.assert_close(head.loss("main", f, Value(y)), loss(head.out(f), y))
    probs = head.predict(f)["probs"]
    assert ((probs >= 0) & (probs <= 1)).all()  # also of scores that were trained by their hinge


@pytest.mark.parametrize(("name", "options"), [(n, o) for n, o, _ in LOSSES_OF_HEADS if "loss" in o])
def test_with_any_loss_a_head_learns_one_batch(name, options):
    head = HEADS[name](SPECS[name], D, **options)
    f, y = Features(12, torch.randn(12, D)), Value(target(name, 12))
    optimizer = torch.optim.Adam(head.parameters(), 0.1)
    for _ in range(150):
        optimizer.zero_grad()
        head.loss("main", f, y).mean().backward()
        optimizer.step()
    metrics = head.metrics()
    metrics.update(head.predict(f), y, None)
    figure, bar = GOOD[name]
    assert metrics.compute()[figure] >= bar


def test_a_category_adds_the_triplet_loss_of_the_vectors():
    options = check_options(CategoryHead, {"triplet": 0.5, "margin": 0.3}, "head")
    head, f, y = CategoryHead(SPECS["category"], D, **options), features(), target("category")
    expected = cross_entropy(head.out(f), y) + 0.5 * triplet(f.vector, y, margin=0.3)
    torch.testing.assert_close(head.loss("main", f, Value(y)), expected)
    assert not head.splits
    assert CategoryHead(SPECS["category"], D).splits


def test_the_triplet_loss_does_not_see_rows_whose_class_is_missing_or_unseen():
    head, f, y = CategoryHead(SPECS["category"], D, triplet=1.0), features(), target("category")
    real = torch.arange(B) % 3 != 0
    y[::6] = C  # unseen
    observed = torch.arange(B) % 6 != 3
    loss = head.loss("main", f, Value(y, observed=observed))[real]
    alone = Features(int(real.sum()), f.vector.detach()[real].requires_grad_())
    expected = head.loss("main", alone, Value(y[real]))
    torch.testing.assert_close(loss, expected)
    loss.sum().backward()
    expected.sum().backward()
    assert (f.vector.grad[~real] == 0).all()
    torch.testing.assert_close(f.vector.grad[real], alone.vector.grad)


def test_members_of_a_row_are_not_told_apart():
    head, vectors, y = CategoryHead(SPECS["category"], D, triplet=1.0), torch.randn(B, 3, D), target("category")
    whole = head.loss("main", Features(3 * B, vectors.flatten(0, 1), members=3), Value(y.repeat_interleave(3)))
    for m in range(3):
        torch.testing.assert_close(whole[m::3], head.loss("main", Features(B, vectors[:, m]), Value(y)))


def test_losses_by_another_name_are_refused():
    for name, wrong in (("category", "focus"), ("number", "l1"), ("set", "hinge")):
        with pytest.raises(PlanError, match=r"head\.loss"):
            check_options(HEADS[name], {"loss": wrong}, "head")
    with pytest.raises(PlanError, match="greater than 0"):
        check_options(NumberHead, {"delta": 0.0}, "head")
    with pytest.raises(PlanError, match="less than 1"):
        check_options(NumberHead, {"quantiles": [0.1, 2.0]}, "head")


def test_a_hinge_asks_for_no_certainty_that_smoothing_could_take():
    with pytest.raises(PlanError, match=r"smoothing = 0\.1 has no meaning"):
        SetHead(SPECS["set"], D, loss="binary_hinge", smoothing=0.1)


def test_losses_have_the_names_of_the_registry(name):
    assert set(typing.get_args(options_of(HEADS[name])["loss"].annotation)) <= set(names("loss"))


def test_every_registered_loss_can_be_had_of_a_head():
    named = {loss for head in HEADS.values() for loss in typing.get_args(options_of(head)["loss"].annotation)}
    assert named | {"triplet"} == set(names("loss"))  # which is an option beside a category's own
    assert "triplet" in options_of(CategoryHead)


def test_a_set_counts_labels_never_seen_as_not_found_and_takes_the_threshold():
    head = SetHead(Spec("khot", (3,), 2, threshold=0.2), D)
    f, y = features(2), Value(torch.tensor([[1, 0, 0], [0, 1, 2]]))
    known = Value(y.data[:, :2])
    torch.testing.assert_close(head.loss("main", f, y), head.loss("main", f, known))
    metrics = head.metrics()
    metrics.update({"probs": torch.tensor([[0.3, 0.1], [0.1, 0.3]])}, y, None)
    figures = metrics.compute()
    assert figures["subset_accuracy"] == 0.5
    assert figures["recall_micro"] == 0.5  # two of four


def test_heads_suit_their_kind_alone():
    facts = Facts(rows=100)
    for name, head in HEADS.items():
        scores = {other: head.suits(spec, facts)[0] for other, spec in SPECS.items()}
        assert scores == {other: float(other == name) for other in SPECS}


def test_options_are_a_schema_and_are_checked(name):
    assert "dropout" in options_of(HEADS[name])
    assert check_options(HEADS[name], {"dropout": 0.1}, "head") == {"dropout": 0.1}
    with pytest.raises(PlanError, match="did you mean 'dropout'"):
        check_options(HEADS[name], {"dropuot": 0.1}, "head")
    with pytest.raises(PlanError, match=r"dropout = 1\.0"):
        HEADS[name](SPECS[name], D, None, dropout=1.0)
    with pytest.raises(PlanError, match="kind"):
        HEADS[name](Spec("pixels", (8, 8), 3), D, None)


def test_features_without_a_vector_are_refused(head):
    with pytest.raises(PlanError, match="vector"):
        head.predict(Features(2))


@pytest.mark.parametrize("classes", [2, 16, 17, 40])
def test_probabilities_are_the_softmax_of_the_scores(classes):
    head = CategoryHead(Spec("index", (), classes), D, None)
    f = Features(B, 100 * torch.randn(B, D))
    probs = head.predict(f)["probs"]
    assert probs.is_contiguous()
    torch.testing.assert_close(probs, head.out(f).softmax(1), rtol=1e-5, atol=1e-7)
