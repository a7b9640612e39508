from __future__ import annotations

import pytest
import torch

from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Value
from ranvier.core.registry import lookup
from ranvier.core.schema import options_of
from ranvier.core.spec import Given, Spec
from ranvier.heads.boxes import BoxesHead
from ranvier.heads.mask import MaskHead

ALL = frozenset({"vector", "tokens", "maps"})
SMALL = {
    "convnext": {"widths": [8, 16], "depth": 1, "patch": 2, "kernel": 3},
    "vit": {"width": 32, "depth": 1, "heads": 2, "patch": 4, "finer": 1},
}
NAMES = pytest.mark.parametrize("name", SMALL)


def made(name, spec, **options):
    return lookup("encoder", name)(spec, **{**SMALL[name], **options})


def pixels(spec, rows=4):
    return Value(torch.randint(0, 256, (rows, *spec.shape, spec.size), dtype=torch.uint8))


@NAMES
@pytest.mark.parametrize("shape", [(8, 8), (28, 28), (9, 31)])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_view_has_the_promised_shape(name, shape, channels):
    spec = Spec("pixels", shape, size=channels)
    encoder = made(name, spec)
    value = pixels(spec)
    features = encoder(value, ALL)
    assert features.vector.shape == (4, encoder.width)
    assert tuple((m.shape[1], stride) for m, stride in features.maps) == encoder.grids
    assert [stride for _, stride in features.maps] == ([1, 2, 4])
    for m, stride in features.maps:
        assert all(-(-side // stride) <= s for side, s in zip(shape, m.shape[2:], strict=True))
    picture = features.maps[0][0]
    torch.testing.assert_close(picture, value.data.permute(0, 3, 1, 2) / 255 * 2 - 1)
    last = features.maps[-1][0]
    assert torch.equal(features.tokens.data, last.flatten(2).mT)
    assert features.tokens.mask.all()
    assert encoder(value, frozenset({"vector"})).maps == ()


@NAMES
def test_a_missing_picture_is_one_learned_vector_whatever_its_pixels_and_rows_are_apart(name):
    spec = Spec("pixels", (12, 12), size=1)
    encoder = made(name, spec)
    assert encoder.splits
    value = pixels(spec)
    value.observed = torch.tensor([True, False, True, False])
    features, whole, learned = encoder(value, ALL), encoder(Value(value.data), ALL), encoder.missing.vector
    assert torch.equal(features.vector[0], whole.vector[0])
    assert torch.equal(features.vector[1], learned)
    assert torch.equal(features.vector[3], learned)
    assert (features.maps[-1][0][1] == learned[:, None, None]).all()
    assert (features.maps[0][0][1] == 0).all()
    assert (features.maps[1][0][1] == 0).all()
    assert features.tokens.mask.sum(1).tolist() == [whole.tokens.mask.shape[1], 1] * 2
    alone = encoder(value.map(lambda t: t[:1]), ALL)
    torch.testing.assert_close(alone.vector, features.vector[:1])


@NAMES
@pytest.mark.parametrize("shape", [(20, 20), (13, 30)])
def test_masks_and_boxes_work_over_its_maps(name, shape):
    spec = Spec("pixels", shape, size=3)
    encoder = made(name, spec)
    features = encoder(pixels(spec), ALL)
    features.parts = {"x": features}
    given = {"x": Given(encoder.width, encoder.grids)}
    mask = MaskHead(Spec("mask", shape, 3, "pixel", labels=("a", "b", "c")), encoder.width, None, given, layer_width=8)
    assert mask.predict(features)["classes"].shape == (4, *shape)
    boxes = BoxesHead(Spec("boxes", (None, 5), 2, labels=("a", "b")), encoder.width, None, given, layer_width=8)
    assert boxes.predict(features)["boxes"].shape[0] == 4


@NAMES
@pytest.mark.parametrize("size", ["s", "m", "l"])
@pytest.mark.parametrize("shape", [(8, 8), (28, 28), (128, 128), (100, 30)])
def test_it_chooses_its_own_options(name, size, shape):
    part, spec = lookup("encoder", name), Spec("pixels", shape, size=3)
    options = {key: value for key, (value, _) in part.choose(spec, Facts(rows=1000, size=size)).items()}
    assert set(options) == {key for key, o in options_of(part).items() if o.default == "auto"}
    assert -(-max(shape) // options["patch"]) <= 64
    part(spec, **options)


def test_finer_maps_are_made_where_a_head_sees_places():
    part, spec = lookup("encoder", "vit"), Spec("pixels", (64, 64), size=3)
    assert part.choose(spec, Facts(rows=1000))["finer"][0] == 0
    wanted = part.choose(spec, Facts(rows=1000, places=True))["finer"][0]
    assert [stride for _, stride in part(spec, finer=wanted).grids] == [1, 2, 4, 8]


@NAMES
def test_the_default_for_pictures_is_another(name):
    spec, facts = Spec("pixels", (8, 8), size=1), Facts(rows=9)
    assert 0 < lookup("encoder", name).suits(spec, facts)[0] < lookup("encoder", "cnn").suits(spec, facts)[0]
    assert lookup("encoder", name).suits(Spec("tokens", (None,), size=9), facts)[0] == 0
    with pytest.raises(PlanError, match="pixels"):
        lookup("encoder", name)(Spec("vector", (4,)))
