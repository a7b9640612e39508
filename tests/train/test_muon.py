from __future__ import annotations

import copy

import pytest
import torch

from ranvier.ops.muon import orthogonalised
from ranvier.train.muon import muon


def group(*params, lr=0.1, decay=0.0):
    return [{"params": list(params), "lr": lr, "scale": 1.0, "weight_decay": decay}]


def test_two_matrix_steps_by_hand(monkeypatch):
    monkeypatch.setattr("ranvier.train.muon.fast_bf16", lambda device: False)
    start, grads = torch.randn(6, 3), [torch.randn(6, 3), torch.randn(6, 3)]
    p = torch.nn.Parameter(start.clone())
    optimizer = muon(group(p, decay=0.5), momentum=0.9)
    expected, velocity = start.clone(), torch.zeros(6, 3)
    for g in grads:
        p.grad = g.clone()
        optimizer.step()
        velocity = 0.9 * velocity + g
        update = orthogonalised(g + 0.9 * velocity, dtype=torch.float32)
        expected = expected * (1 - 0.1 * 0.5) - 0.1 * 2**0.5 * update
    torch.testing.assert_close(p.data, expected)


@pytest.mark.parametrize("shape", [(6, 3), (3, 6), (5, 5)])
def test_matrices_go_as_in_torchs_muon(shape, monkeypatch):
    monkeypatch.setattr("ranvier.train.muon.fast_bf16", lambda device: True)  # torch's is in bf16 wherever it runs
    mine = torch.nn.Parameter(torch.randn(shape))
    reference = torch.nn.Parameter(mine.detach().clone())
    optimizers = (
        muon(group(mine, decay=0.5), momentum=0.9),
        torch.optim.Muon([reference], lr=0.1, momentum=0.9, weight_decay=0.5),
    )
    for _ in range(5):
        mine.grad = torch.randn(shape)
        reference.grad = mine.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    # torch's momentum is 1 - 0.9 times ours, which the orthogonal part of it is not, but for the rounding of bf16
    torch.testing.assert_close(mine.data, reference.data, rtol=0.0, atol=5 * 0.1 * 0.02)


def test_vectors_and_marked_matrices_go_as_in_adamw():
    tensors = torch.randn(5), torch.randn(4, 3), torch.randn(2, 3)
    mine = [torch.nn.Parameter(t.clone()) for t in tensors]
    mine[1].orthogonal, mine[2].no_decay = False, True
    reference = [torch.nn.Parameter(t.clone()) for t in tensors]
    optimizers = [
        muon(group(*mine, decay=0.2), other_rate=0.5, betas=[0.9, 0.99]),
        torch.optim.AdamW(reference, lr=0.05, betas=(0.9, 0.99), weight_decay=0.2),
    ]
    for _ in range(5):
        for a, b in zip(mine, reference, strict=True):
            a.grad = torch.randn_like(a)
            b.grad = a.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for a, b in zip(mine, reference, strict=True):
        torch.testing.assert_close(a, b)


def test_kernels_in_either_layout_step_alike():
    kernel, grad = torch.randn(4, 3, 3, 3), torch.randn(4, 3, 3, 3)
    results = []
    for layout in (torch.contiguous_format, torch.channels_last):
        p = torch.nn.Parameter(kernel.clone().to(memory_format=layout))
        p.grad = grad.clone().to(memory_format=layout)
        muon(group(p)).step()
        assert p.is_contiguous(memory_format=layout)
        results.append(p.detach())
    assert torch.equal(results[0], results[1])


def test_state_restored_goes_on_alike():
    params = [torch.nn.Parameter(torch.randn(4, 4)), torch.nn.Parameter(torch.randn(3))]
    optimizer = muon(group(*params))
    gradients = [[torch.randn_like(p) for p in params] for _ in range(3)]

    def advance(optimizer, params, steps):
        for gradient in steps:
            for p, g in zip(params, gradient, strict=True):
                p.grad = g.clone()
            optimizer.step()

    advance(optimizer, params, gradients[:2])
    twins = [torch.nn.Parameter(p.detach().clone()) for p in params]
    twin = muon(group(*twins))
    twin.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    advance(optimizer, params, gradients[2:])
    advance(twin, twins, gradients[2:])
    assert all(torch.equal(a, b) for a, b in zip(params, twins, strict=True))


def test_closure_and_parameters_without_gradient():
    p, idle = torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.ones(2))
    optimizer = muon(group(p, idle))

    def closure():
        optimizer.zero_grad()
        loss = (p**2).sum()
        loss.backward()
        return float(loss.detach())

    first = optimizer.step(closure)
    assert first == 4.0
    assert optimizer.step(closure) < first
    assert (idle == 1).all()
