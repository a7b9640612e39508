"""Words taken out of texts: whole, in order, at the rate asked for, never all of a row."""

from __future__ import annotations

import polars as pl
import pytest
import torch

from ranvier.columns.text import Text
from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Value
from ranvier.core.spec import Spec
from ranvier.feed.augment.text import WordDrop
from ranvier.feed.store import Store

SPEC = Spec("tokens", (None,), 300_000, "char")
TEXTS = ["the quick brown foxes, jumping over 1995 lazy dogs", "", "über Nacht", "猫坐在垫子上", "one"] * 8


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def rows(lengths, width):
    """Row i holds 100 i + 1, 100 i + 2 ..., padded to the width."""
    mask = torch.arange(width) < torch.tensor(lengths)[:, None]
    return (torch.arange(width) + 1 + 100 * torch.arange(len(lengths))[:, None]) * mask, mask


def test_tokens_are_taken_out_and_the_rest_moves_up():
    ids, mask = rows([9, 0, 1, 5, 9, 9], 9)
    spans = torch.stack([ids, ids + 1], -1)
    observed = torch.tensor([True, False, True, True, True, True])
    value = WordDrop(SPEC, drop=0.5)(Value(ids, mask, observed, spans), generator())
    length = value.mask.sum(1)
    assert value.data.shape == value.mask.shape == (6, int(length.max()))
    assert value.data.shape[1] < 9
    assert value.observed is observed
    assert length[1] == 0
    assert length[2] == 1  # its only token
    for row in range(6):
        kept = value.data[row][value.mask[row]].tolist()
        assert value.mask[row].tolist() == [True] * len(kept) + [False] * (value.mask.shape[1] - len(kept))
        assert (value.data[row][~value.mask[row]] == 0).all()
        assert set(kept) <= set(ids[row].tolist())
        assert kept == sorted(kept)
        assert torch.equal(value.spans[row, : len(kept), 0], value.data[row, : len(kept)])


@pytest.mark.parametrize("drop", [0.1, 0.6])
def test_each_token_goes_with_the_same_chance(drop):
    ids, mask = rows([50] * 400, 50)
    value = WordDrop(SPEC, drop=drop)(Value(ids, mask), generator())
    assert abs(1 - value.mask.sum() / mask.sum() - drop) < 0.01  # four deviations
    places = torch.bincount((value.data[value.mask] - 1) % 100, minlength=50) / 400
    assert (places - (1 - drop)).abs().max() < 0.11


def test_nothing_and_everything():
    ids, mask = rows([4] * 2000, 4)
    same = WordDrop(SPEC, drop=0.0)(Value(ids, mask), generator())
    assert torch.equal(same.data, ids)
    assert torch.equal(same.mask, mask)
    one = WordDrop(SPEC, drop=1.0)(Value(ids, mask), generator())
    assert one.mask.shape == (2000, 1)
    assert one.mask.all()
    stayed = torch.bincount((one.data[:, 0] - 1) % 100, minlength=4)
    assert (stayed - 500).abs().max() < 90  # every token is as likely to be the one that stays
    empty = Value(torch.zeros(3, 0, dtype=torch.long), torch.zeros(3, 0, dtype=torch.bool))
    assert WordDrop(SPEC)(empty, generator()) is empty
    padding = Value(torch.zeros(3, 2, dtype=torch.long), torch.zeros(3, 2, dtype=torch.bool))
    assert not WordDrop(SPEC)(padding, generator()).mask.any()


def learnt() -> Text:
    column = Text("said", vocabulary=300)  # so few that most words are several tokens
    column.learn([pl.Series(TEXTS)])
    return column


def test_words_go_whole_where_the_column_is_known():
    column = learnt()
    value = Store(column.encode(pl.Series(TEXTS)), column.spec).rows(torch.arange(len(TEXTS)))
    drop, counts = WordDrop(column.spec, [column], drop=0.5), set()
    for seed in range(20):
        left = drop(value, generator(seed))
        said = column.decode({"tokens": left.data.numpy(), "mask": left.mask.numpy()})["said"].to_list()
        for before, after in zip(TEXTS, said, strict=True):
            whole = before.lower().replace(",", " ,").split()
            words = after.replace(",", " ,").split()
            counts.add((len(whole), len(words)))
            if "猫" not in before:
                assert words == [w for w in whole if w in words]
            assert bool(words) == bool(before)
    assert {(10, 3), (10, 8), (2, 1), (2, 2), (1, 1)} <= counts


def test_a_script_without_spaces_loses_single_tokens():
    column = learnt()
    encoded = column.encode(pl.Series(["猫坐在垫子上"] * 200))
    value = Store(encoded, column.spec).rows(torch.arange(200))
    left = WordDrop(column.spec, [column], drop=0.5)(value, generator())
    assert len(left.mask.sum(1).unique()) > 2
    assert left.mask.sum(1).max() > 1


def test_any_other_column_has_words_of_one_token():
    class Codes(Text):
        def decode(self, prediction):
            return pl.DataFrame({"codes": [0] * len(prediction["tokens"])})

    column = learnt()
    assert WordDrop(column.spec, [Codes("codes")]).begins.all()
    assert not WordDrop(column.spec, [column]).begins.all()


def test_serves_tokens_only():
    assert 0 < WordDrop.suits(SPEC, Facts(rows=1))[0] < 0.5  # never chosen by itself
    assert WordDrop.suits(Spec("scalar", (2,)), Facts(rows=1))[0] == 0
    for spec, options in ((Spec("scalar", (2,)), {}), (SPEC, {"drop": 1.1}), (SPEC, {"drop": -0.1})):
        with pytest.raises(PlanError, match=r"expected|kind"):
            WordDrop(spec, **options)
