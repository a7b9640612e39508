from __future__ import annotations

import pytest
import torch

from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Value
from ranvier.core.registry import lookup
from ranvier.core.schema import options_of
from ranvier.core.spec import Spec
from ranvier.encoders.cnn import CNNEncoder
from ranvier.encoders.fuse import Concat
from ranvier.tasks.columns import ColumnsTask

ALL = frozenset({"vector", "tokens", "maps"})


def pixels(spec, rows=4):
    return Value(torch.randint(0, 256, (rows, *spec.shape, spec.size), dtype=torch.uint8))


def small(spec, **options):
    return CNNEncoder(spec, widths=[8, 16], **options)


@pytest.mark.parametrize("shape", [(8, 8), (28, 28), (9, 31), (64, 12)])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_view_has_the_promised_shape(shape, channels):
    spec = Spec("pixels", shape, size=channels)
    encoder = small(spec)
    features = encoder(pixels(spec), ALL)
    assert features.size == 4
    assert features.vector.shape == (4, encoder.width)
    for m, stride in features.maps:
        assert m.shape[2:] == tuple(-(-side // stride) for side in shape)
    assert tuple((m.shape[1], stride) for m, stride in features.maps) == encoder.grids
    last = features.maps[-1][0]
    assert torch.equal(features.tokens.data, last.flatten(2).mT)
    assert features.tokens.mask.all()
    assert encoder(pixels(spec), frozenset({"vector"})).maps == ()


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_the_finest_map_is_the_picture(norm):
    spec = Spec("pixels", (9, 8), size=3)
    value = pixels(spec, rows=50)
    features = small(spec, norm=norm)(value, ALL)
    finest, stride = features.maps[0]
    shown = value.data.permute(0, 3, 1, 2) / 255
    mean, std = shown.mean((0, 2, 3), keepdim=True), shown.std((0, 2, 3), keepdim=True)
    assert stride == 1
    torch.testing.assert_close(features.picture, shown)
    torch.testing.assert_close(finest, (shown - mean) / std if norm == "batch" else 2 * shown - 1, rtol=0, atol=1e-3)


def test_a_missing_picture_is_one_learned_vector_whatever_its_pixels():
    spec = Spec("pixels", (12, 12), size=1)
    encoder = small(spec).eval()
    value = pixels(spec)
    value.observed = torch.tensor([True, False, True, False])
    features = encoder(value, ALL)
    whole = encoder(Value(value.data), ALL)
    learned = encoder.missing.vector
    assert torch.equal(features.vector[0], whole.vector[0])
    assert torch.equal(features.vector[1], learned)
    assert torch.equal(features.vector[3], learned)
    assert (features.maps[-1][0][1] == learned[:, None, None]).all()
    assert (features.maps[0][0][1] == 0).all()
    assert torch.equal(features.maps[-1][0][2], whole.maps[-1][0][2])
    assert features.tokens.mask.sum(1).tolist() == [whole.tokens.mask.shape[1], 1] * 2


def test_all_learns_and_rows_do_not_see_one_another_when_evaluated():
    spec = Spec("pixels", (12, 12), size=3)
    encoder = small(spec)
    value = pixels(spec)
    value.observed = torch.tensor([True, True, True, False])
    encoder(value, frozenset({"vector"})).vector.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())
    encoder.eval()
    together = encoder(value, frozenset({"vector"})).vector
    alone = encoder(Value(value.data[:1]), frozenset({"vector"})).vector
    torch.testing.assert_close(together[:1], alone)


def test_missing_pictures_take_no_part_in_the_statistics_of_a_batch():
    spec = Spec("pixels", (12, 12), size=3)
    gaps, whole = small(spec), small(spec)
    whole.load_state_dict(gaps.state_dict())
    value = pixels(spec, rows=6)
    value.observed = torch.tensor([True, False, True, True, False, True])
    value.data[~value.observed] = 0
    some, all_seen = gaps(value, ALL), whole(Value(value.data[value.observed]), ALL)
    torch.testing.assert_close(some.vector[value.observed], all_seen.vector)
    for mine, theirs in zip(gaps.buffers(), whole.buffers(), strict=True):
        torch.testing.assert_close(mine, theirs)
    assert torch.equal(some.vector[1], gaps.missing.vector)
    value.observed = torch.tensor([True] + [False] * 5)  # one alone has no statistics
    assert gaps(value, ALL).vector.isfinite().all()


@pytest.mark.parametrize("norm", ["none", "layer", "group", "rms"])
def test_with_other_norms_rows_are_apart_while_training_too(norm):
    spec = Spec("pixels", (12, 12), size=3)
    encoder = CNNEncoder(spec, widths=[32, 32], norm=norm, activation="gelu", init="suited")
    assert encoder.splits
    assert not small(spec).splits
    assert CNNEncoder.splits is False
    value = pixels(spec, rows=5)
    value.observed = torch.tensor([True, True, False, True, True])
    whole = encoder(value, frozenset({"vector"})).vector
    pieces = [encoder(value.map(lambda t, s=s: t[s]), frozenset({"vector"})).vector for s in (slice(2), slice(2, 5))]
    torch.testing.assert_close(torch.cat(pieces), whole, rtol=1e-4, atol=1e-5)
    assert torch.equal(whole[2], encoder.missing.vector)
    alone = encoder(value.map(lambda t: t[:1]), frozenset({"vector"})).vector
    torch.testing.assert_close(alone, whole[:1], rtol=1e-4, atol=1e-5)


def test_a_phase_splits_if_the_norm_lets_it():
    spec = Spec("pixels", (12, 12), size=3)
    for norm in ("batch", "group"):
        encoder = small(spec, norm=norm)
        head = lookup("head", "category")(Spec("index", size=3), encoder.width, None)
        task = ColumnsTask({"x": encoder}, Concat({"x": encoder.width}), {"y": head}, {"y": 1.0})
        assert task.phases[0].splits == (norm == "group")


def test_brightness_and_contrast_of_the_data_set_do_not_matter():
    spec = Spec("pixels", (12, 12), size=1)
    encoder = small(spec)
    dark = torch.randint(0, 100, (8, 12, 12, 1), dtype=torch.uint8)
    a, b = (encoder(Value(x), frozenset({"vector"})).vector for x in (dark, dark * 2 + 30))
    torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("size", ["s", "m", "l"])
@pytest.mark.parametrize("shape", [(8, 8), (28, 28), (32, 32), (128, 128), (100, 30)])
def test_chosen_options_reach_a_grid_of_about_four(size, shape):
    spec, facts = Spec("pixels", shape, size=3), Facts(rows=1000, size=size)
    chosen = CNNEncoder.choose(spec, facts)
    options = {name: value for name, (value, _) in chosen.items()}
    assert set(options) == {name for name, o in options_of(CNNEncoder).items() if o.default == "auto"}
    grid = max(shape) / options["patch"] / 2 ** (len(options["widths"]) - 1)
    assert 1 < grid <= 4 or len(options["widths"]) == 2
    assert options["widths"] == sorted(options["widths"])
    assert options["widths"][-1] == {"s": 128, "m": 256, "l": 512}[size]


def test_fewer_rows_train_longer_in_smaller_batches():
    spec = Spec("pixels", (28, 28), size=1)
    recipes = [CNNEncoder.recipe(spec, Facts(rows=rows)) for rows in (100, 1_000, 6_000, 60_000, 10**7)]
    epochs = [recipe["epochs"][0] for recipe in recipes]
    batches = [recipe["batch"][0] for recipe in recipes]
    assert epochs == sorted(epochs, reverse=True)
    assert batches == sorted(batches)
    assert all(reason for recipe in recipes for _, reason in recipe.values())


def test_suits_pixels_only():
    assert CNNEncoder.suits(Spec("pixels", (8, 8), size=1), Facts(rows=9))[0] > 0.5
    assert CNNEncoder.suits(Spec("tokens", (None,), size=9), Facts(rows=9))[0] == 0
    assert lookup("encoder", "cnn") is CNNEncoder
    with pytest.raises(PlanError, match="pixels"):
        CNNEncoder(Spec("vector", (4,)))
