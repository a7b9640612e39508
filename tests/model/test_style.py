"""What one picture shows, painted as another."""

from __future__ import annotations

import io
import json
import math
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

import ranvier as rv
from ranvier.cli.main import main
from ranvier.core.errors import DataError, FileError, PlanError, RunError
from ranvier.model.style import distances

FAST = {"size": 32, "steps": 4}


def disc(height=40, width=30):
    """A light disc on dark blue: what is shown."""
    y, x = np.mgrid[:height, :width]
    inside = (y - height / 2) ** 2 + (x - width / 2) ** 2 < (min(height, width) / 3) ** 2
    return grainy(np.where(inside[..., None], [220, 210, 190], [30, 40, 120]))


def blotches(height=24, width=36):
    """Squares from orange to brown: how it is painted."""
    rng = np.random.default_rng(1)
    light = np.kron(rng.random((-(-height // 4), -(-width // 4))), np.ones((4, 4)))[:height, :width]
    return grainy(light[..., None] * [200, 120, 40] + [40, 30, 20])


def grainy(picture):
    """With a little of everything in it, as photographs have."""
    return (picture + np.random.default_rng(0).normal(0, 12, picture.shape)).clip(0, 255).astype(np.uint8)


def pixels(content):
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        return np.asarray(image)


def encoded(array, form="PNG"):
    file = io.BytesIO()
    Image.fromarray(array).save(file, form)
    return file.getvalue()


def test_it_comes_near_the_style_and_keeps_what_is_shown():
    told: list[float] = []
    made = rv.style(disc(), blotches(), size=40, steps=20, progress=told.append)
    assert pixels(made).shape == (40, 30, 3)
    assert told == sorted(told)
    assert told[-1] == 1.0
    before, after, other = (distances(each, disc(), blotches(), size=40) for each in (disc(), made, blotches()))
    assert before["content"] == pytest.approx(0, abs=1e-4)
    assert after["style"] < 0.5 * before["style"]  # to other filters than those that have made it
    assert after["content"] < other["content"]
    found = pixels(made).astype(float)
    assert abs(found.mean((0, 1)) - blotches().mean((0, 1))).max() < 40  # and to the eye: the style's colours,
    assert np.corrcoef(found.mean(2).flatten(), disc().mean(2).flatten())[0, 1] > 0.6  # and the disc where it was


def test_the_seed_gives_the_same_picture():
    state = torch.get_rng_state()
    one, same, other = (rv.style(disc(), blotches(), seed=seed, **FAST) for seed in (0, 0, 1))
    assert one == same
    assert one != other
    assert torch.equal(state, torch.get_rng_state())


def test_nothing_of_the_style_leaves_the_content():
    made = pixels(rv.style(disc(32, 32), blotches(), strength=0.0, smooth=0.0, **FAST)).astype(float)
    assert abs(made - disc(32, 32)).max() <= 1


@pytest.mark.parametrize(
    ("content", "style", "shape"),
    [
        (disc()[:, :, 0], blotches()[:, :, 0], (32, 24)),  # grey
        (encoded(disc()[:, :, 0]), encoded(blotches(), "JPEG"), (32, 24)),
        (encoded(np.dstack([disc(), np.full((40, 30), 90, np.uint8)])), blotches(), (32, 24)),  # seen through
        (disc(8, 8), blotches(8, 8), (32, 32)),
        (np.full((8, 8, 3), 90, np.uint8), np.zeros((1, 1), np.uint8), (32, 32)),  # of one colour
        (disc(4, 200), blotches(300, 5), (1, 32)),
    ],
)
def test_pictures_of_any_kind_and_shape(content, style, shape):
    assert pixels(rv.style(content, style, **FAST)).shape == (*shape, 3)


def test_a_large_picture_is_made_smaller():
    assert pixels(rv.style(encoded(np.zeros((900, 1_200), np.uint8)), blotches(), **FAST)).shape == (24, 32, 3)


def test_what_is_no_picture_is_told(tmp_path):
    cut = encoded(np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8))[:900]
    for broken in (b"no picture", b"", cut, str(tmp_path / "none.png"), np.zeros((0, 3)), np.zeros(7)):
        with pytest.raises(DataError, match="style: content is no picture"):
            rv.style(broken, blotches(), **FAST)
        with pytest.raises(DataError, match="style: style is no picture"):
            rv.style(disc(), broken, **FAST)
    for other in (None, Image.fromarray(disc()), disc().tolist()):
        with pytest.raises(DataError, match="content is no picture: expected encoded bytes, a path or a numpy array"):
            rv.style(other, blotches(), **FAST)
    for numbers in (disc() / 255, disc() - 100.0, np.where(disc() > 100, np.nan, 5.0)):
        with pytest.raises(DataError, match=r"style: style has numbers from .* expected all from 0 to 255"):
            rv.style(disc(), numbers, **FAST)
    with pytest.raises(DataError, match="style: content is no picture"):  # over 100 megapixels
        rv.style(encoded(np.zeros((10_001, 10_000), np.uint8)), blotches(), **FAST)


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 8},
        {"size": 5_000},
        {"size": 32.5},
        {"size": "large"},
        {"steps": 0},
        {"steps": 1.5},
        {"strength": -1.0},
        {"strength": None},
        {"smooth": math.nan},
        {"seed": 2**64},
        {"seed": 2**63},
        {"seed": -1},
        {"seed": 0.5},
        {"device": "tpu"},
    ],
)
def test_options_are_checked(wrong):
    name, given = next(iter(wrong.items()))
    with pytest.raises(PlanError, match=name if name == "device" else rf"{name} = '?{given}'?: expected"):
        rv.style(disc(), blotches(), **(FAST | wrong))
    if name in ("size", "seed"):
        with pytest.raises(PlanError, match=f"{name} = "):
            distances(disc(), disc(), blotches(), **wrong)


class Maps(torch.nn.Module):
    """A network in a file: two maps."""

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Conv2d(3, 6, 3, padding=1)

    def forward(self, x):
        first = self.net(x).relu()
        return first, first[:, :, ::2, ::2]


def save(module, path, example=(1, 3, 8, 8)):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.trace(module, torch.rand(*example)).save(path)
    return path


def test_a_network_from_a_file_looks(tmp_path):
    torch.manual_seed(0)
    path = save(Maps(), tmp_path / "maps.pt")
    made = rv.style(disc(), blotches(), features=path, **FAST)
    apart = [distances(each, disc(), blotches(), size=32, features=path)["style"] for each in (disc(), made)]
    assert apart[1] < apart[0]
    vectors = save(torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()), tmp_path / "vectors.pt")
    with pytest.raises(FileError, match="must give maps"):
        rv.style(disc(), blotches(), features=vectors, **FAST)
    (tmp_path / "text.pt").write_text("nothing")
    with pytest.raises(FileError, match="no TorchScript file"):
        rv.style(disc(), blotches(), features=tmp_path / "text.pt", **FAST)


def test_memory_that_runs_out_is_not_laid_on_the_file(tmp_path, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    class Full(torch.nn.Module):
        forward = full

    monkeypatch.setattr("ranvier.model.looks.load_scripted", lambda _: (Full(), ""))
    with pytest.raises(RunError, match=r"ran out while .* \(CUDA out of memory.*a smaller size"):
        rv.style(disc(), blotches(), features=tmp_path / "maps.pt", **FAST)
    monkeypatch.setattr("ranvier.model.scripted.load_scripted", lambda _: (Full(), ""))
    with pytest.raises(torch.OutOfMemoryError):
        rv.fidelity(
            {"x": np.zeros((4, 8, 8, 3), np.uint8)}, {"x": np.zeros((4, 8, 8, 3), np.uint8)}, by=tmp_path / "net.pt"
        )


def trained(channels, encoder, tmp_path):
    rows = np.random.default_rng(0).integers(0, 256, (24, 16, 16, channels), dtype=np.uint8)
    plan = rv.plan({"x": rows, "y": ["a", "b"] * 12}, target="y", inputs=["x"], epochs=1, size="s")
    plan.inputs["x"].encoder = encoder
    path = tmp_path / "model.rv"
    rv.fit(plan, progress=False).save(path)
    return path


@pytest.mark.parametrize(
    ("channels", "encoder"),
    [
        (1, {"name": "cnn", "widths": [8, 8]}),
        (3, {"name": "cnn", "widths": [8, 8]}),
        (3, {"name": "convnext", "widths": [8, 16], "kernel": 3}),
        (3, {"name": "vit", "width": 16, "depth": 1, "heads": 2, "patch": 4}),
    ],
)
def test_the_encoder_of_a_model_looks(channels, encoder, tmp_path):
    path = trained(channels, encoder, tmp_path)
    made = rv.style(disc(), blotches(), features=path, **FAST)
    model = rv.load(path)
    asked = [parameter.requires_grad for parameter in model.networks[0].task.parameters()]
    assert made == rv.style(disc(), blotches(), features=model, **FAST)
    assert asked == [parameter.requires_grad for parameter in model.networks[0].task.parameters()]
    apart = [distances(each, disc(), blotches(), size=32, features=path)["style"] for each in (disc(), made)]
    assert apart[1] < apart[0]


def test_a_model_without_maps_is_refused(tmp_path):
    path = trained(3, {"name": "transformer", "depth": 1, "width": 16, "heads": 2}, tmp_path)
    with pytest.raises(PlanError, match="no encoder that gives maps"):
        rv.style(disc(), blotches(), features=path, **FAST)


def test_the_command_paints(tmp_path, capsys):
    content, style = tmp_path / "a.jpg", tmp_path / "b.png"
    Image.fromarray(disc()).save(content)
    Image.fromarray(blotches()).save(style)
    fast = ["--size", "32", "--steps", "4"]
    for ending, form in ((".jpg", "JPEG"), (".png", "PNG"), (".webp", "WEBP")):
        out = tmp_path / f"out{ending}"
        assert main(["style", str(content), str(style), "-o", str(out), *fast]) == 0
        with Image.open(out) as image:
            assert (image.format, image.size) == (form, (24, 32))
    assert "random filters" in capsys.readouterr().out
    assert main(["style", str(content), str(style), "-o", str(tmp_path / "j.png"), *fast, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["after"]["style"] < told["before"]["style"]
    for wrong, why in (
        ([str(content), str(style), "-o", str(tmp_path / "out")], "expected a name ending in .png, .jpg"),
        ([str(content), str(style), "-o", str(tmp_path / "none" / "a.png")], "there is no folder"),
        ([str(content), str(style), "-o", str(content)], "is read by this very command"),
        ([str(tmp_path / "c.png"), str(style), "-o", str(tmp_path / "d.png")], "content is no picture"),
    ):
        assert main(["style", *wrong, *fast]) == 2
        assert why in capsys.readouterr().err
