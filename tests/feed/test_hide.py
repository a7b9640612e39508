"""Hidden tokens: how many, which, what the target is, and what the lots hang on."""

from __future__ import annotations

import pytest
import torch

from ranvier.columns.text import HIDDEN
from ranvier.core.protocols import Batch, Value
from ranvier.feed.hide import Hide

LENGTHS = (20, 7, 1, 0)


def batch(lengths=LENGTHS, padding: int = 0) -> Batch:
    longest = max(lengths) + padding
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    data = (torch.arange(longest) + torch.arange(1, len(lengths) + 1)[:, None] * 50) * mask
    return Batch(len(lengths), {"text": Value(data, mask)})


def hidden(one: Batch) -> torch.Tensor:
    return one.targets["text"].mask


@pytest.mark.parametrize("seed", [0, None])
@pytest.mark.parametrize("share", [0.15, 0.5])
def test_a_share_of_each_row_is_hidden_and_the_target_is_what_it_was(seed, share):
    clean = batch()
    made = Hide({"text": share}, {}, seed)(clean, 3)
    asked, shown, truth = hidden(made), made.inputs["text"].data, made.targets["text"].data
    assert asked.sum(1).tolist() == [max(1, round(n * share)) if n else 0 for n in LENGTHS]
    assert not (asked & ~clean.inputs["text"].mask).any()
    own = (shown[..., None] == truth[:, None]).any(2)  # a token of the same row
    assert (own | (shown == HIDDEN))[asked].all()
    assert torch.equal(shown[~asked], clean.inputs["text"].data[~asked])
    assert torch.equal(truth, batch().inputs["text"].data)
    assert torch.equal(clean.inputs["text"].data, truth)  # the given batch is left alone


def test_each_step_hides_others_and_is_a_function_of_its_number():
    one, again, other = (hidden(Hide({"text": 0.3}, {}, 0)(batch(), step)) for step in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert not torch.equal(one, hidden(Hide({"text": 0.3}, {}, 1)(batch(), 1)))


def test_without_a_seed_each_text_says_which_whatever_stands_beside_it():
    hide = Hide({"text": 0.3}, {}, None)
    whole, wider = hidden(hide(batch(), 0)), hidden(hide(batch(padding=9), 7))
    assert torch.equal(whole, wider[:, : whole.shape[1]])
    assert not wider[:, whole.shape[1] :].any()
    alone = batch().map(lambda t: t[1:2], 1)
    assert torch.equal(hidden(hide(alone, 0)), whole[1:2])
    places = hidden(hide(batch((400,) * 50), 0)).float()
    assert not torch.equal(places[0], places[1])
    assert places.mean(0).std() < 1.5 * (0.3 * 0.7 / 50) ** 0.5  # every place as often as another


@pytest.mark.parametrize("seed", [0, None])
def test_of_ten_eight_are_hidden_one_is_another_and_one_stays(seed):
    made = Hide({"text": 0.5}, {}, seed)(batch((400,) * 50), 0)
    asked, shown, truth = hidden(made), made.inputs["text"].data[hidden(made)], made.targets["text"].data[hidden(made)]
    assert asked.sum() == 10_000
    assert (shown == HIDDEN).float().mean().item() == pytest.approx(0.8, abs=0.02)
    assert (shown == truth).float().mean().item() == pytest.approx(0.1, abs=0.02)


def test_what_is_not_read_is_not_hidden():
    made = Hide({"text": 0.5}, {"text": 8}, 0)(batch(), 0)
    assert made.inputs["text"].data.shape == made.targets["text"].data.shape == (4, 8)
    assert hidden(made).sum(1).tolist() == [4, 4, 1, 0]


def test_letters_are_hidden_with_their_word():
    words = torch.arange(60).view(3, 20, 1) + 5
    given = torch.cat([words, words.expand(3, 20, 4)], 2)
    made = Hide({"text": 0.5}, {}, 0)(Batch(3, {"text": Value(given)}), 0)
    asked, shown = hidden(made), made.inputs["text"].data
    assert asked.sum(1).tolist() == [10, 10, 10]
    blank = (shown == torch.tensor([HIDDEN, 0, 0, 0, 0])).all(2)
    assert blank[asked].any()
    assert (shown == shown[..., :1]).all(2)[~blank].all()  # another's word comes with its letters
    assert not blank[~asked].any()
    assert torch.equal(made.targets["text"].data, words[..., 0])
