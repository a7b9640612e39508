"""Which places learn of which thing."""

from __future__ import annotations

import torch

from ranvier.ops.assign import MOST, aligned
from ranvier.ops.boxes import box_iou

SIDE = 8
AT = (torch.arange(SIDE) + 0.5) / SIDE
CENTRES = torch.stack([AT.repeat(SIDE), AT.repeat_interleave(SIDE)], 1)


def around(half):
    return torch.cat([CENTRES - half, CENTRES + half], 1)[None]


def assigned(truth, labels, said=None, chances=None):
    said = around(0.2) if said is None else said
    chances = torch.full((1, SIDE**2, 2), 0.5) if chances is None else chances
    truth, labels = torch.tensor([truth]), torch.tensor([labels])
    return aligned(chances, said, CENTRES, truth, labels, torch.ones_like(labels).bool())


def test_a_thing_goes_to_the_places_in_it_that_find_it_best():
    box = [0.1, 0.1, 0.6, 0.6]
    thing, sure = assigned([box], [1])
    found = (thing[0] == 0).nonzero()[:, 0]
    overlap = box_iou(torch.tensor([box]), around(0.2)[0])[0]
    assert 0 < len(found) <= MOST + 3  # equal ones stay together
    assert ((CENTRES[found] >= 0.1) & (CENTRES[found] <= 0.6)).all()
    assert overlap[found].min() >= overlap.sort().values[-len(found)]
    torch.testing.assert_close(sure.max(), overlap[found].max())
    assert (sure[thing < 0] == 0).all()


def test_the_class_counts_as_well():
    box = [0.0, 0.0, 1.0, 1.0]
    chances = torch.full((1, SIDE**2, 2), 0.01)
    chances[0, 5, 1] = chances[0, 6, 0] = 0.9
    said = torch.tensor([0.0, 0.0, 1.0, 0.8]).expand(1, SIDE**2, 4)
    _, sure = assigned([box], [1], said, chances)
    assert sure[0].argmax() == 5
    assert sure[0, 6] < sure[0, 5] / 5


def test_a_place_in_two_things_takes_the_one_it_overlaps_more():
    both = [[0.0, 0.0, 1.0, 1.0], [0.3, 0.3, 0.7, 0.7]]
    thing, _ = assigned(both, [0, 0])
    centre = ((CENTRES - 0.5).abs() < 0.1).all(1)
    assert (thing[0, centre] == 1).all()
    assert (thing == 0).any()


def test_a_thing_between_all_centres_has_the_nearest_and_padding_has_none():
    tiny = [0.01, 0.01, 0.03, 0.03]
    thing, sure = assigned([tiny], [0])
    assert (thing >= 0).sum() == 1
    assert thing[0, 0] == 0
    assert sure[0, 0] > 0
    truth, labels = torch.zeros(1, 2, 4), torch.zeros(1, 2, dtype=torch.long)
    chances = torch.full((1, SIDE**2, 2), 0.5)
    thing, sure = aligned(chances, around(0.2), CENTRES, truth, labels, torch.zeros(1, 2, dtype=torch.bool))
    assert (thing == -1).all()
    assert not sure.any()
    thing, sure = aligned(chances, around(0.2), CENTRES, truth[:, :0], labels[:, :0], labels[:, :0].bool())
    assert (thing == -1).all()
    assert not sure.any()
