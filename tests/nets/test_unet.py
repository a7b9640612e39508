"""The U-Net: any size in, the same out; a start that adds nothing; conditions that are heeded once they have learnt."""

from __future__ import annotations

import pytest
import torch
from descriptors import stirred

from ranvier.core.errors import PlanError
from ranvier.core.registry import names
from ranvier.nets.attention import allowed_keys
from ranvier.nets.unet import GridAttention, UNet, UNetBlock


@pytest.mark.parametrize("size", [(8, 8), (28, 28), (9, 13), (33, 6), (3, 1), (1, 1)])
@pytest.mark.parametrize("patch", [1, 2, 3])
def test_any_size_in_the_same_size_out(size, patch):
    net = stirred(UNet(2, [4, 6, 8], 5, patch=patch, heads=2))
    assert net(torch.randn(2, 2, *size)).shape == (2, 5, *size)
    assert UNet(2, [4], patch=patch)(torch.randn(2, 2, *size)).shape == (2, 2, *size)


@pytest.mark.parametrize("norm", names("norm"))
@pytest.mark.parametrize("activation", ["silu", "relu", "prelu", "swiglu"])
def test_norms_and_activations(norm, activation):
    net = stirred(UNet(1, [16, 32], condition=3, norm=norm, activation=activation, init="suited", heads=4))
    x, condition = torch.randn(4, 1, 8, 8), torch.randn(4, 3)
    answer = net(x, condition)
    (answer * torch.randn_like(answer)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
    alone, size = net(x[:2], condition[:2]), answer.abs().max().item()
    apart = torch.allclose(answer[:2], alone, atol=1e-5 * size)
    assert apart == (norm != "batch")


def test_the_answer_starts_at_zero_and_blocks_at_the_identity():
    net = UNet(1, [4, 6], 3, condition=5, heads=2)
    assert not net(torch.randn(2, 1, 8, 8), torch.randn(2, 5)).any()
    x, condition = torch.randn(2, 6, 5, 7), torch.randn(2, 4)
    assert torch.equal(UNetBlock(6, 4)(x, condition), x)
    assert torch.equal(GridAttention(6, 2)(x, condition), x)


def test_tokens_are_heeded_once_that_has_been_learnt():
    net, stir = UNet(1, [4, 6], condition=3, heads=2, memory=5), torch.randn
    x, condition, tokens = stir(3, 1, 8, 8), stir(3, 3), stir(3, 4, 5)
    torch.nn.init.normal_(net.out.weight)
    assert torch.equal(net(x, condition, tokens), net(x, condition, stir(3, 4, 5)))
    stirred(net)
    answer = net(x, condition, tokens)
    assert not torch.allclose(answer, net(x, condition, stir(3, 4, 5)))
    longer = torch.cat([tokens, stir(3, 2, 5)], 1)
    allowed = allowed_keys(torch.arange(6).expand(3, -1) < 4)
    torch.testing.assert_close(net(x, condition, longer, allowed), answer)
    with pytest.raises(ValueError, match="memory: expected"):
        net(x, condition)
    with pytest.raises(ValueError, match="memory: not foreseen"):
        UNet(1, [4])(x, None, tokens)
    with pytest.raises(ValueError, match="needs heads"):
        UNet(1, [4], memory=5)


def test_from_zero_everything_learns_within_a_few_steps():
    net = UNet(1, [4, 6], condition=2, heads=2)
    first = {name: p.detach().clone() for name, p in net.named_parameters()}
    x, condition = torch.randn(8, 1, 8, 8), torch.randn(8, 2)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    for step in range(4):
        optimizer.zero_grad()
        (net(x, condition) - x).square().mean().backward()
        optimizer.step()
        moved = {name for name, p in net.named_parameters() if not torch.equal(p, first[name])}
        if step == 0:
            assert moved == {"out.weight", "out.bias"}
    assert moved == set(first)


def test_a_condition_changes_the_answer_of_its_own_row():
    net, x = stirred(UNet(1, [4, 6], condition=3)).eval(), torch.randn(3, 1, 9, 9)
    condition = torch.randn(3, 3)
    other = condition.clone()
    other[1] += 1
    one, two = net(x, condition), net(x, other)
    torch.testing.assert_close(one[[0, 2]], two[[0, 2]])
    assert not torch.allclose(one[1], two[1])


def test_conditions_that_are_missing_or_not_foreseen():
    x, condition = torch.randn(2, 1, 4, 4), torch.randn(2, 3)
    with pytest.raises(ValueError, match="condition: expected"):
        UNet(1, [4], condition=3)(x)
    with pytest.raises(ValueError, match="condition: not foreseen"):
        UNet(1, [4])(x, condition)


def test_what_is_fine_passes_by_what_is_coarse():
    """A pixel tells of pixels far away through the coarse grids; without these it still tells of those beside it."""

    def reach():
        x = torch.randn(1, 1, 32, 32).double().requires_grad_()
        net(x)[0, 0, 16, 16].backward()
        seen = (x.grad[0, 0] != 0).nonzero()
        return (seen.max(0).values - seen.min(0).values + 1).tolist()

    net = stirred(UNet(1, [4, 6, 8], norm="none")).double()
    assert min(reach()) >= 24
    for layer in net.finer:
        torch.nn.init.zeros_(layer.weight)
    assert reach() == [13, 13]  # start, down, up, out: six convolutions of 3 x 3


def test_attention_sees_every_place():
    net, x = stirred(GridAttention(4, 2, norm="none")), torch.randn(1, 4, 3, 5, requires_grad=True)
    net(x)[0, :, 0, 0].sum().backward()
    assert (x.grad.abs().sum(1) > 0).all()


def test_tensors_are_channels_last():
    net = UNet(3, [8, 12, 16], patch=2, heads=4, condition=4)
    given = []
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_pre_hook(lambda module, inputs: given.append(inputs[0]))
    net(torch.randn(2, 3, 18, 22), torch.randn(2, 4))
    assert all(x.is_contiguous(memory_format=torch.channels_last) for x in given)
    assert len(given) == 2 + 2 * 2 + 4 * 3


def test_learns_to_take_noise_away():
    torch.manual_seed(0)
    clean = torch.zeros(32, 1, 12, 12)
    for row in range(32):
        clean[row, 0, row % 8 : row % 8 + 4] = 1.0
    net = UNet(1, [8, 16])
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        (net(clean + 0.5 * torch.randn_like(clean)) - clean).square().mean().backward()
        optimizer.step()
    error = (net.eval()(clean + 0.5 * torch.randn_like(clean)) - clean).square().mean()
    assert error < 0.05  # of the noise's 0.25


def test_dropout_is_for_training():
    net, x = stirred(UNet(1, [8, 12], spatial_dropout=0.4)), torch.randn(2, 1, 8, 8)
    assert not torch.equal(net(x), net(x))
    net.eval()
    assert torch.equal(net(x), net(x))


def test_refuses_nonsense():
    for arguments in ((0, [8]), (1, []), (1, [8, 0]), (1, [8], -1)):
        with pytest.raises(ValueError, match="expected positive"):
            UNet(*arguments)
    for option in ("patch", "depth"):
        with pytest.raises(ValueError, match="expected positive"):
            UNet(1, [8], **{option: 0})
    with pytest.raises(PlanError, match="does not divide"):
        UNet(1, [8, 10], heads=3)
