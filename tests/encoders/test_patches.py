from __future__ import annotations

import pytest
import torch
from torch import nn

from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Value
from ranvier.core.spec import Spec
from ranvier.encoders.transformer import PatchReader, TransformerEncoder
from ranvier.nets.vit import sines

SPEC = Spec("pixels", (9, 8, 3), 3, "pixel")
BOTH = frozenset({"vector", "tokens"})


def pictures(rows: int) -> torch.Tensor:
    return torch.randint(256, (rows, 9, 8, 3), dtype=torch.uint8)


def test_patches_hold_the_pixels_row_by_row():
    reader = PatchReader(1, 16, 4)
    nn.init.eye_(reader.project.weight)
    nn.init.zeros_(reader.project.bias)
    nn.init.zeros_(reader.place)
    pixels = torch.arange(5 * 8, dtype=torch.uint8).view(1, 5, 8, 1)
    x, places = reader(pixels)
    assert places.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    scaled = pixels[0, :, :, 0].float() / 127.5 - 1
    torch.testing.assert_close(x[0, 1].view(4, 4), scaled[:4, 4:])
    torch.testing.assert_close(x[0, 2].view(4, 4)[0], scaled[4, :4])
    assert not x[0, 2].view(4, 4)[1:].any()  # beyond the picture


def test_places_differ():
    table = sines(torch.cartesian_prod(torch.arange(6), torch.arange(6)), 16)
    assert torch.cdist(table, table).add(torch.eye(36)).min() > 0.1


@pytest.mark.parametrize("options", [{}, {"activation": "gelu", "drop_path": 0.3, "dropout": 0.0}])
def test_descriptors(options):
    encoder = TransformerEncoder(SPEC, width=16, depth=2, heads=2, patch=4, **options)
    if options:
        encoder.eval()  # a branch dropped for both rows seen has no gradient
    value = Value(pictures(3), observed=torch.tensor([True, False, True]))
    f = encoder(value, BOTH)
    assert f.tokens.data.shape == (3, 6, 16)
    assert torch.equal(f.vector[1], encoder.give.missing.vector)
    ((f.vector * torch.randn(3, 16)).sum() + (f.tokens.data * torch.randn(3, 6, 16)).sum()).backward()
    assert all(p.grad is not None and p.grad.any() for p in encoder.parameters())
    with torch.autocast("cpu", torch.bfloat16):
        assert encoder(value, BOTH).vector.isfinite().all()
    twin = TransformerEncoder(SPEC, width=16, depth=2, heads=2, patch=4, **options)
    twin.load_state_dict(encoder.state_dict())
    assert torch.equal(encoder.eval()(value, BOTH).vector, twin.eval()(value, BOTH).vector)


def test_overfits_where_a_spot_is():
    """Black pictures with one white patch: the classes differ by its place only."""
    pixels = torch.zeros(4, 8, 8, 1, dtype=torch.uint8)
    for row, (y, x) in enumerate([(0, 0), (0, 4), (4, 0), (4, 4)]):
        pixels[row, y : y + 4, x : x + 4] = 255
    encoder = TransformerEncoder(Spec("pixels", (8, 8, 1), 1), width=16, depth=1, heads=2, patch=4, dropout=0.0)
    out = nn.Linear(16, 4)
    optimizer = torch.optim.Adam([*encoder.parameters(), *out.parameters()], 0.01)
    for _ in range(50):
        loss = nn.functional.cross_entropy(out(encoder(Value(pixels), frozenset({"vector"})).vector), torch.arange(4))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05


def test_choices_by_picture():
    facts = Facts(rows=1000)
    patches = [TransformerEncoder.choose(Spec("pixels", (n, n, 3), 3), facts)["patch"][0] for n in (8, 28, 64, 224)]
    assert patches == [2, 4, 8, 16]
    assert TransformerEncoder.suits(SPEC, facts)[0] == 0.4
    assert TransformerEncoder.recipe(SPEC, facts)["epochs"][0] == 30
    with pytest.raises(PlanError, match="multiple of 4; try 12"):
        TransformerEncoder(SPEC, width=10, heads=1)
