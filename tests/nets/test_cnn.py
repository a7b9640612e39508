from __future__ import annotations

import pytest
import torch

import ranvier.nets.cnn as cnn
from ranvier.core.registry import names
from ranvier.nets.cnn import Residual, ResNet
from ranvier.nets.dropout import DropPath, SpatialDropout


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (28, 28), (33, 8), (3, 1)])
@pytest.mark.parametrize("patch", [1, 2, 4])
def test_any_size_gives_scores_and_maps_of_the_promised_size(size, patch):
    net = ResNet(3, [8, 12, 16], 5, patch=patch).eval()
    x = torch.randn(2, 3, *size)
    assert net(x).shape == (2, 5)
    for m, stride, width in zip(net.maps(x), net.strides, [8, 12, 16], strict=True):
        assert m.shape == (2, width, *(-(-side // stride) for side in size))


def test_without_out_the_pooled_last_map_is_returned():
    net = ResNet(1, [4, 6]).eval()
    x = torch.randn(3, 1, 10, 10)
    torch.testing.assert_close(net(x), net.maps(x)[-1].mean((2, 3)))
    net.pool = "max"
    torch.testing.assert_close(net(x), net.maps(x)[-1].flatten(2).max(2).values)


def test_patches_lose_no_pixel_and_repeat_the_edge():
    squares = cnn.patches(torch.arange(15.0).reshape(1, 1, 3, 5), 2)
    assert squares.shape == (1, 4, 2, 3)
    assert squares[0, :, 0, 0].tolist() == [0, 1, 5, 6]
    assert squares[0, :, 1, 2].tolist() == [14, 14, 14, 14]
    assert set(squares.flatten().tolist()) == set(range(15))


def test_residual_with_a_silent_body_is_the_identity():
    block = Residual(4, convolutions=2).eval()
    torch.nn.init.zeros_(block.body[-1][1].weight)
    x = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(block(x), x)


def test_tensors_are_channels_last_and_every_parameter_learns():
    net = ResNet(3, [8, 16], 4, depth=2, convolutions=2)
    maps = net.maps(torch.randn(4, 3, 16, 16))
    assert all(m.is_contiguous(memory_format=torch.channels_last) for m in maps)
    net(torch.randn(4, 3, 16, 16)).logsumexp(1).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize("norm", names("norm"))
@pytest.mark.parametrize("activation", ["relu", "selu", "prelu", "softmax", "swiglu"])
def test_norms_and_activations(norm, activation):
    net = ResNet(3, [32, 48], 4, norm=norm, activation=activation, init="suited")
    x = torch.randn(4, 3, 16, 16)
    if activation != "softmax":  # torch gives its result in rows
        assert all(m.is_contiguous(memory_format=torch.channels_last) for m in net.maps(x))
    net(x).logsumexp(1).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
    apart = torch.allclose(net(x)[:2], net(x[:2]), atol=1e-5)
    assert apart == (norm != "batch")


def test_only_norms_with_a_shift_do_without_the_bias_of_the_convolution():
    biased = {norm: cnn.convolution(1, 2, norm=norm)[0].bias is not None for norm in names("norm")}
    assert biased == {"none": True, "batch": False, "layer": False, "group": False, "rms": True}


def test_convolutions_are_drawn_to_suit_the_activation():
    weight = cnn.convolution(64, 128, activation="relu", init="suited")[0].weight
    assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)


def test_dropout_of_channels_and_of_branches_is_for_training():
    net = ResNet(3, [8, 12], depth=2, spatial_dropout=0.4, drop_path=0.2, norm="group")
    assert [m.p for m in net.modules() if isinstance(m, DropPath)] == pytest.approx([0.05, 0.1, 0.15, 0.2])
    dropped = [m for m in net.modules() if isinstance(m, SpatialDropout)]
    assert len(dropped) == 2 * (1 + 2)
    x = torch.randn(8, 3, 12, 12)
    assert not torch.equal(net(x), net(x))
    plain = ResNet(3, [8, 12], depth=2, norm="group")
    plain.load_state_dict(net.state_dict())
    assert torch.equal(net.eval()(x), plain.eval()(x))
    branch = Residual(4, drop_path=0.5)
    maps = torch.randn(200, 4, 3, 3)
    still = (branch(maps) == maps).flatten(1).all(1)
    assert 0.35 < still.float().mean() < 0.65
    for option in ("spatial_dropout", "drop_path"):
        with pytest.raises(ValueError, match="from 0 to below 1"):
            ResNet(3, [8], **{option: 1.0})


def test_learns_where_a_spot_is():
    torch.manual_seed(0)
    y = torch.arange(64) % 4
    x = 0.1 * torch.randn(64, 1, 12, 12)
    for row, label in enumerate(y):
        x[row, 0, 2 + 6 * (label // 2) : 5 + 6 * (label // 2), 2 + 6 * (label % 2) : 5 + 6 * (label % 2)] += 2
    net = ResNet(1, [8, 16], 4, pool="max")
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    for _ in range(25):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    assert (net.eval()(x).argmax(1) == y).all()


def test_refuses_nonsense():
    for arguments in ((0, [8]), (1, []), (1, [8, 0])):
        with pytest.raises(ValueError, match="expected positive"):
            ResNet(*arguments)
    with pytest.raises(ValueError, match="expected positive"):
        ResNet(1, [8], patch=0)
    assert cnn.convolution(1, 2)[0].bias is None
