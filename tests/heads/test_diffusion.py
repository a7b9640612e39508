"""What the diffusion head is taught, hides and draws."""

from __future__ import annotations

import pytest
import torch
from descriptors import stirred

from ranvier.core.errors import PlanError
from ranvier.core.protocols import Features, Value
from ranvier.core.spec import Given, Spec
from ranvier.heads.diffusion import DiffusionHead
from ranvier.heads.real import normals

OBJECTIVES = pytest.mark.parametrize("objective", ["edm", "flow"])
PICTURE, VECTOR = Spec("pixels", (6, 5), 3, "pixel"), Spec("vector", (2,))


def made(spec=VECTOR, width=0, **how):
    torch.manual_seed(0)
    return DiffusionHead(spec, width, widths=[8, 8], steps=4, **how)


def rows(spec, n):
    if spec is VECTOR:
        return Value(torch.randn(n, 2))
    return Value(torch.randint(256, (n, 6, 5, 3), dtype=torch.uint8))


@pytest.mark.parametrize("spec", [PICTURE, VECTOR])
def test_knowing_nothing_costs_one(spec):
    """The network says 0 at first, and its target has variance 1 where data deviate as they are taken to."""
    x = rows(spec, 4_000)
    if spec is PICTURE:  # of bytes that are 0.7 from the middle, on the scale of -1 to 1
        x = Value(torch.where(x.data < 128, 38, 217).to(torch.uint8))
    f = Features(len(x.data), torch.zeros(len(x.data), 0))
    assert made(spec).loss("main", f, x).mean().item() == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("spec", [PICTURE, VECTOR])
def test_knowing_nothing_of_a_flow_costs_rows_and_noise(spec):
    """A velocity is a row less noise, of variance 1 each (pictures of bytes at both ends)."""
    x = rows(spec, 4_000)
    if spec is PICTURE:
        x = Value(torch.where(x.data < 128, 0, 255).to(torch.uint8))
    f = Features(len(x.data), torch.zeros(len(x.data), 0))
    assert made(spec, objective="flow").loss("main", f, x).mean().item() == pytest.approx(2, abs=0.1)


@OBJECTIVES
def test_features_are_hidden_only_while_training(objective):
    head = made(width=3, drop=0.9, objective=objective)
    head.net.out.weight.data.normal_()
    x, f = rows(VECTOR, 400), Features(400, torch.randn(400, 3))
    head.conditions.nothing.data.fill_(5.0)
    for block in head.net.blocks:
        torch.nn.init.normal_(block.modulation.linear.weight)
        torch.nn.init.normal_(block.down.weight)

    def loss(training):
        head.train(training)
        torch.manual_seed(1)
        return head.loss("main", f, x)

    assert (loss(True) != loss(False)).sum() > 100
    before = loss(False)
    head.conditions.nothing.data.fill_(-5.0)
    assert torch.equal(loss(False), before)


@OBJECTIVES
def test_guidance_goes_from_all_to_what_is_given(objective):
    head, f = made(width=3, objective=objective), Features(5, torch.randn(5, 3))
    for p in head.parameters():
        if not p.any():
            torch.nn.init.normal_(p, std=0.3)
    head.eval()

    def drawn(f, **how):
        return head.predict(f, generator=torch.Generator().manual_seed(0), **how)["value"]

    other = Features(5, torch.randn(5, 3))
    torch.testing.assert_close(drawn(f, guidance=0.0), drawn(other, guidance=0.0))
    assert not torch.allclose(drawn(f, guidance=1.0), drawn(other, guidance=1.0))
    assert not torch.allclose(drawn(f, guidance=1.0), drawn(f, guidance=3.0))
    torch.testing.assert_close(drawn(f), drawn(f, guidance=head.guidance))


@OBJECTIVES
@pytest.mark.parametrize("solver", ["euler", "heun", "dpmpp_2m"])
@pytest.mark.parametrize("spec", [PICTURE, VECTOR])
def test_draws_are_a_function_of_the_generator(spec, solver, objective):
    head, f = made(spec, objective=objective, solver=solver), Features(3, torch.zeros(3, 0))
    one, two, other = (head.predict(f, generator=torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    (name,) = one
    assert one[name].shape == (3, *rows(spec, 1).data.shape[1:])
    assert torch.equal(one[name], two[name])
    assert not torch.equal(one[name], other[name])


@pytest.mark.parametrize("solver", ["euler", "heun", "dpmpp_2m"])
def test_a_known_flow_is_followed(solver):
    """To rows of N(2, 1) all noise is moved by 2: the velocity is 2 + (x - 2 t) (2 t - 1) / (t^2 + (1 - t)^2)."""
    head = made(objective="flow", solver=solver)

    def velocity(x, t, given):
        t = t[:, None]
        return 2 + (x - 2 * t) * (2 * t - 1) / (t.square() + (1 - t).square())

    head._net = velocity
    drawn = head.predict(Features(5, torch.zeros(5, 0)), steps=60, generator=torch.Generator().manual_seed(0))["value"]
    start = normals(5, (2,), torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn, start + 2, atol=0.05, rtol=0)


@OBJECTIVES
def test_a_row_is_judged_the_same_alone_and_again(objective):
    head, x = made(objective=objective), rows(VECTOR, 6)
    f = Features(6, torch.zeros(6, 0))
    said = head.judged(f, x)["denoising_error"]
    assert torch.equal(said, head.judged(f, x)["denoising_error"])
    torch.testing.assert_close(
        head.judged(Features(1, f.vector[2:3]), Value(x.data[2:3]))["denoising_error"], said[2:3]
    )


def test_a_picture_is_drawn_by_maps_and_by_tokens_without_their_padding():
    torch.manual_seed(0)
    given = {"picture": Given(0, ((2, 1),)), "text": Given(4)}
    head = stirred(DiffusionHead(PICTURE, 3, None, given, widths=[8, 10], steps=2)).eval()

    def features(tokens, mask=None, seed=0):
        maps = torch.randn(2, 2, 6, 5, generator=torch.Generator().manual_seed(seed))
        parts = {"picture": Features(2, maps=((maps, 1),)), "text": Features(2, tokens=Value(tokens, mask))}
        return Features(2, torch.ones(2, 3), parts=parts)

    def drawn(f, **how):
        return head.predict(f, generator=torch.Generator().manual_seed(0), **how)["pixels"]

    tokens, more = torch.randn(2, 3, 4), torch.randn(2, 2, 4)
    said = drawn(features(tokens), guidance=1.0)
    padded = features(torch.cat([tokens, more], 1), torch.arange(5).expand(2, -1) < 3)
    torch.testing.assert_close(drawn(padded, guidance=1.0), said, rtol=0, atol=1e-2)
    for other in (features(torch.cat([tokens, more], 1)), features(tokens, seed=1)):
        assert not torch.allclose(drawn(other, guidance=1.0), said, rtol=0, atol=0.1)
        assert torch.equal(drawn(other, guidance=0.0), drawn(features(tokens), guidance=0.0))


def test_what_is_seen_beside_can_be_left():
    given = {"picture": Given(0, ((2, 1),)), "text": Given(4)}
    assert made(PICTURE, 3).welcomes == frozenset()
    assert DiffusionHead(PICTURE, 3, None, given).welcomes == {"maps", "tokens"}
    assert DiffusionHead(PICTURE, 3, None, given, beside=False).welcomes == frozenset()
    assert DiffusionHead(VECTOR, 3, None, given).welcomes == frozenset()


def test_nothing_is_guided_by_what_was_not_learnt():
    head, f = made(width=3, drop=0.0), Features(2, torch.randn(2, 3))
    assert head.guidance == 1
    with pytest.raises(PlanError, match="drop > 0"):
        head.predict(f, guidance=2.0)
    with pytest.raises(PlanError, match="drop > 0"):
        made(width=3, drop=0.0, guidance=2.0)


def test_refuses_what_cannot_be():
    with pytest.raises(PlanError, match="drop"):
        made(width=2, drop=1.0)
    with pytest.raises(PlanError, match="generators make"):
        made(Spec("index", (), 3))
