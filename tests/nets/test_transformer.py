from __future__ import annotations

import math
from unittest.mock import Mock

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ranvier.core.errors import PlanError
from ranvier.nets import attention
from ranvier.nets.attention import Attention, allowed_keys, attend, rotate, rotations
from ranvier.nets.dropout import DropPath
from ranvier.nets.transformer import Block, FeedForward, Transformer


def masked(lengths: list[int], steps: int) -> torch.Tensor:
    return torch.arange(steps) < torch.tensor(lengths)[:, None]


def test_attention_against_the_formula():
    net = Attention(8, 2).double()
    x, mask = torch.randn(2, 5, 8, dtype=torch.float64), masked([5, 3], 5)
    q, (k, v) = net.query(x), net.keyvalue(x).chunk(2, -1)
    heads = []
    for head in (slice(0, 4), slice(4, 8)):
        scores = q[..., head] @ k[..., head].mT / math.sqrt(4)
        heads.append(scores.masked_fill(~mask[:, None], -torch.inf).softmax(-1) @ v[..., head])
    torch.testing.assert_close(net(x, allowed_keys(mask)), net.out(torch.cat(heads, -1)))


def test_allowed_keys():
    plain = allowed_keys(masked([2, 0], 3))
    assert plain.shape == (2, 1, 1, 3)
    assert plain[:, 0, 0].tolist() == [[True, True, False], [True, False, False]]
    causal = allowed_keys(torch.tensor([[False, True, True]]), causal=True)[0, 0]
    assert causal.tolist() == [[True, False, False], [False, True, False], [False, True, True]]


def test_rotation_keeps_lengths_and_depends_on_distance_only():
    q, k = torch.randn(2, 1, 1, 1, 12, dtype=torch.float64).unbind(0)

    def score(i: float, j: float) -> torch.Tensor:
        turn = rotations(torch.tensor([[i, 2 * i], [j, 2 * j]]), 6)
        both = rotate(torch.cat([q, k], 2), turn)
        torch.testing.assert_close(both.norm(dim=-1), torch.cat([q, k], 2).norm(dim=-1), rtol=1e-6, atol=0)
        return (both[0, 0, 0] * both[0, 0, 1]).sum()

    torch.testing.assert_close(score(7, 3), score(14, 10), rtol=1e-5, atol=1e-5)
    assert (score(7, 3) - score(3, 7)).abs() > 1e-3


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # of torch.func.vmap
def test_rotation_and_its_gradients():
    """Pairs turn by their angle, exactly as complex numbers do; the gradients are those of finite differences."""
    x = torch.randn(2, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    turn = rotations(torch.arange(5)[:, None], 3).double()
    turned = torch.complex(*x.chunk(2, -1)) * torch.complex(turn[0, :, :3], turn[1, :, 3:])
    torch.testing.assert_close(rotate(x, turn), torch.cat([turned.real, turned.imag], -1))
    assert torch.autograd.gradcheck(lambda x: rotate(x, turn), x)
    assert torch.autograd.gradgradcheck(lambda x: rotate(x, turn), x)
    each = torch.func.vmap(lambda x: rotate(x[None], turn)[0])(x)
    torch.testing.assert_close(each, rotate(x, turn))


def test_rotation_by_hand():
    turn = rotations(torch.tensor([[3, 2]]), 5, base=100.0)  # two pairs an axis, one left over
    angles = torch.tensor([[3.0, 0.3, 2.0, 0.2, 0.0]])
    cos, sin = angles.cos(), angles.sin()
    torch.testing.assert_close(turn, torch.stack([torch.cat([cos, cos], 1), torch.cat([-sin, sin], 1)]))


@pytest.mark.parametrize("causal", [False, True])
def test_padding_changes_nothing(causal):
    net = Transformer(12, depth=2, heads=2, causal=causal).double()
    lengths = [6, 2, 4]
    x, mask = torch.randn(3, 6, 12, dtype=torch.float64), masked([6, 2, 4], 6)
    y = net(x, mask)
    torch.testing.assert_close(net(x.masked_fill(~mask[..., None], 1e3), mask), y)
    for row, length in enumerate(lengths):
        torch.testing.assert_close(y[row, :length], net(x[row : row + 1, :length])[0])
        assert not y[row, length:].any()


def test_causal_does_not_look_ahead():
    for mask in (None, masked([5], 5)):
        for causal in (True, False):
            net = Transformer(8, depth=2, heads=2, causal=causal)
            x = torch.randn(1, 5, 8, requires_grad=True)
            net(x, mask)[0, 2, 0].backward()  # one feature: a norm may fix the sum of all
            seen = x.grad[0].any(-1).tolist()
            assert seen == [True] * 3 + [not causal] * 2


@pytest.mark.parametrize("causal", [False, True])
def test_rows_of_padding_only_are_finite(causal):
    net = Transformer(8, depth=2, heads=2, causal=causal)
    x = torch.randn(2, 4, 8, requires_grad=True)
    y = net(x, masked([0, 4], 4))
    y.sum().backward()
    assert not y[0].any()
    assert x.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in net.parameters())
    assert net(torch.randn(2, 0, 8)).shape == (2, 0, 8)


def test_order_is_known_by_rotation_only():
    x, order = torch.randn(1, 5, 8), torch.tensor([3, 1, 4, 0, 2])
    blind, seeing = (Transformer(8, depth=2, heads=2, rotary=rotary) for rotary in (False, True))
    torch.testing.assert_close(blind(x)[:, order], blind(x[:, order]))
    assert (seeing(x)[:, order] - seeing(x[:, order])).abs().max() > 1e-3
    moved = torch.arange(5)[:, None]
    torch.testing.assert_close(seeing(x, positions=moved + 100), seeing(x), rtol=1e-3, atol=1e-4)


def test_memory_is_attended_to_and_its_padding_is_not():
    net = Transformer(8, depth=2, heads=2, causal=True, memory=6)
    x, memory = torch.randn(2, 3, 8), torch.randn(2, 4, 6, requires_grad=True)
    net(x, memory=memory, memory_mask=masked([2, 4], 4)).square().sum().backward()
    assert memory.grad.any(-1).tolist() == [[True, True, False, False], [True] * 4]
    with pytest.raises(ValueError, match="memory: expected"):
        net(x)
    with pytest.raises(ValueError, match="not foreseen"):
        Transformer(8, depth=1, heads=2)(x, memory=memory)


def test_feed_forward_nets_are_of_one_size_gated_or_not():
    sizes = [sum(p.numel() for p in FeedForward(96, activation=name).parameters()) for name in ("gelu", "swiglu")]
    assert abs(sizes[0] / sizes[1] - 1) < 0.01


def test_feed_forward_by_hand():
    x = torch.randn(2, 3, 16, dtype=torch.float64)
    plain, gated = (FeedForward(16, activation=name).double() for name in ("tanh", "swiglu"))
    torch.testing.assert_close(plain(x), plain.down(plain.up(x).tanh()))
    gate, value = gated.up(x).chunk(2, -1)
    torch.testing.assert_close(gated(x), gated.down(gate * gate.sigmoid() * value))


def test_drop_path_rises_with_depth_and_is_for_training():
    net = Transformer(8, depth=4, heads=2, drop_path=0.4)
    assert [m.p for m in net.modules() if isinstance(m, DropPath)] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    x = torch.randn(16, 3, 8)
    assert not torch.equal(net(x), net(x))
    twin = Transformer(8, depth=4, heads=2)
    twin.load_state_dict(net.state_dict())
    assert torch.equal(net.eval()(x), twin.eval()(x))


@pytest.mark.parametrize(
    "options",
    [{}, {"activation": "gelu", "norm": "layer", "drop_path": 0.1}, {"causal": True, "memory": 8, "activation": "glu"}],
)
def test_descriptors(options):
    def make():
        return Transformer(8, depth=2, heads=2, dropout=0.1, **options)

    net, twin = make(), make()
    mask = masked([6, 2, 4], 6)
    given = {"memory": torch.randn(3, 5, 8), "memory_mask": masked([5, 1, 0], 5)} if "memory" in options else {}
    x = torch.randn(3, 6, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert net(x.bfloat16(), mask, **given).isfinite().all()
    net(x, mask, **given).square().sum(-1).sqrt().sum().backward()
    (net(x, mask, **given) * x).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())
    twin.load_state_dict(net.state_dict())
    assert torch.equal(net.eval()(x, mask, **given), twin.eval()(x, mask, **given))


def test_overfits_order():
    """Which of two tokens comes first: only position tells."""
    net, out = Transformer(16, depth=2, heads=2), nn.Linear(16, 2)
    x = torch.randn(2, 16)[torch.tensor([[0, 1], [1, 0]])]
    optimizer = torch.optim.Adam([*net.parameters(), *out.parameters()], 0.01)
    for _ in range(60):
        loss = nn.functional.cross_entropy(out(net(x).mean(1)), torch.tensor([0, 1]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05


def test_refuses_what_cannot_be():
    with pytest.raises(PlanError, match="try heads = 4"):
        Block(8, 5)
    with pytest.raises(PlanError, match="even number"):
        Transformer(6, heads=2)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("masked", [False, True])
def test_keys_beyond_the_length_are_not_attended_to(kind, masked):
    q, k, v = (torch.randn(2, 3, n, 8).to(kind) for n in (1, 7, 7))
    allowed = torch.tensor([True, False, True, True, True]).expand(2, 1, 1, 5) if masked else None
    expected = attend(q, k[:, :, :5].contiguous(), v[:, :, :5].contiguous(), allowed)
    torch.testing.assert_close(attend(q, k, v, allowed, length=5), expected)


@pytest.mark.parametrize("few", [24, 25])
@pytest.mark.parametrize("how", ["all", "mask", "causal"])
def test_both_kernels_of_half_precision_are_attention(monkeypatch, few, how):
    monkeypatch.setattr(attention, "FEW", few)
    q, k, v = (torch.randn(2, 3, 5, 8, dtype=torch.float64) for _ in "qkv")
    seen = torch.ones(2, 1, 5, 5, dtype=torch.bool)
    if how == "mask":
        seen = masked([5, 3], 5)[:, None, None]
    elif how == "causal":
        seen = seen.tril()
    allowed = seen if how == "mask" else None
    exact = [x.clone().requires_grad_() for x in (q, k, v)]
    scores = (exact[0] @ exact[1].mT / math.sqrt(8)).masked_fill(~seen, -math.inf)
    expected = scores.softmax(-1) @ exact[2]
    half = [x.bfloat16().requires_grad_() for x in (q, k, v)]
    fused = Mock(side_effect=F.scaled_dot_product_attention)
    monkeypatch.setattr(attention.F, "scaled_dot_product_attention", fused)
    found = attend(*half, allowed, causal=how == "causal")
    assert fused.called == (few < 5 * 5)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), expected, atol=0.03, rtol=0.03)
    weight = torch.randn(2, 3, 5, 8, dtype=torch.float64)
    (expected * weight).sum().backward()
    (found * weight.bfloat16()).sum().backward()
    for mine, theirs in zip(half, exact, strict=True):
        torch.testing.assert_close(mine.grad.double(), theirs.grad, atol=0.1, rtol=0.1)
