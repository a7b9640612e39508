"""The conditional random field as a layer: it learns what follows what, and never predicts what may not be."""

from __future__ import annotations

import pytest
import torch

from ranvier.nets.crf import CRF
from ranvier.ops.crf import best_path


def test_it_learns_that_labels_alternate():
    net = CRF(2)
    path = (torch.arange(6) + torch.arange(8)[:, None]) % 2
    scores, mask = torch.zeros(8, 6, 2), torch.ones(8, 6, dtype=torch.bool)
    optimizer = torch.optim.Adam(net.parameters(), 0.3)
    first = float(net(scores, path, mask).sum().detach())
    for _ in range(50):
        optimizer.zero_grad()
        loss = net(scores, path, mask).sum()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.3 * first
    scores[:, 0, 1] = 5.0
    assert net.best(scores, mask)[0].tolist() == [1, 0, 1, 0, 1, 0]
    torch.testing.assert_close(net.marginals(scores, mask).sum(2), torch.ones(8, 6))


def test_what_may_not_follow_is_never_predicted():
    first, follows = torch.tensor([True, True, False]), torch.ones(3, 3, dtype=torch.bool)
    follows[0, 2] = False
    net = CRF(3, first=first, follows=follows)
    mask = torch.ones(64, 7, dtype=torch.bool)
    scores = torch.randn(64, 7, 3) * 5
    best = net.best(scores, mask)
    assert (best[:, 0] != 2).all()
    assert not ((best[:, :-1] == 0) & (best[:, 1:] == 2)).any()
    free = best_path(scores, CRF(3).links(), mask)
    assert not torch.equal(free, best)
    assert set(net.state_dict()) == {"start", "steps", "end"}


def test_the_best_path_has_the_least_loss():
    net = CRF(3)
    torch.nn.init.normal_(net.steps)
    scores, mask = torch.randn(5, 4, 3), torch.arange(4) < torch.tensor([4, 3, 2, 1, 0])[:, None]
    best = net.best(scores, mask)
    other = torch.randint(3, (20, 5, 4))
    least = net(scores, best, mask)
    assert all((net(scores, path, mask) >= least - 1e-5).all() for path in other)
    assert (least >= -1e-5).all()
    assert least[4] == 0


@pytest.mark.parametrize("label", [3, -1])
def test_labels_that_there_are_not_are_refused(label):
    net, scores, mask = CRF(3), torch.randn(2, 4, 3), torch.arange(4) < torch.tensor([4, 2])[:, None]
    path = torch.zeros(2, 4, dtype=torch.long)
    path[1, 1] = label
    with pytest.raises(ValueError, match=f"labels from 0 to 2 .*row 1, word 1 has {label}"):
        net(scores, path, mask)
    path[1, 1:] = torch.tensor([0, -100, label])  # beyond the mask
    torch.testing.assert_close(net(scores, path, mask), net(scores, path.clamp_min(0).clamp_max(2), mask))


def test_scores_of_other_labels_and_masks_with_gaps_are_refused():
    net, path, mask = CRF(3), torch.zeros(2, 4, dtype=torch.long), torch.ones(2, 4, dtype=torch.bool)
    calls = (lambda s, m: net(s, path, m), net.best, net.marginals)
    for call in calls:
        with pytest.raises(ValueError, match="scores are of 5 labels; this CRF was made with 3"):
            call(torch.randn(2, 4, 5), mask)
    mask[1, 1] = False
    for call in calls:
        with pytest.raises(ValueError, match="in row 1 some follow padding"):
            call(torch.randn(2, 4, 3), mask)
    with pytest.raises(ValueError, match="labels = 0"):
        CRF(0)
