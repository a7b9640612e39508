"""Rows field by field: cells and back, densities that sum to one, and draws that follow what was learnt."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from ranvier.columns.row import Row
from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Features, Value
from ranvier.core.spec import STEP, Field, Spec
from ranvier.heads.autoregressive import MANY, AutoregressiveHead
from ranvier.heads.cells import Cells
from ranvier.heads.diffusion import DiffusionHead
from ranvier.model.weights import without_memory

FLAGS = Field(None, (-0.5, -0.5, -0.5), (1.5, 1.5, 1.5), 999)
STEPS = Field((-0.4, 0.6), rows=999)
GAPPED = Field((0.0,), (-2.0,), (0.5,), 999)
SPEC = Spec("vector", (6,), unit="field", fields=(FLAGS, STEPS, GAPPED))


def nothing(rows: int) -> Features:
    return Features(rows, torch.zeros(rows, 0))


def every_row(head: AutoregressiveHead) -> torch.Tensor:
    """The vector of each of the rows that there are, by cells."""
    cells = torch.tensor([*itertools.product(*map(range, head.cells.sizes))])
    return head.cells.back(cells, torch.full(cells.shape, 0.5))


def stirred(**options) -> AutoregressiveHead:
    """A head whose scores are not all zero."""
    torch.manual_seed(3)
    head = AutoregressiveHead(SPEC, 0, layer_width=16, depth=1, embedding=8, dropout=0.0, **options)
    for weight in head.parameters():
        weight.data += 0.5 * torch.randn_like(weight)
    return head.eval()


def fields(head: AutoregressiveHead, cells: torch.Tensor, known: torch.Tensor, *given) -> tuple[torch.Tensor, ...]:
    """The scores of each field."""
    return head.net(cells, known, *given).split(head.net.sizes, 1)


def nats(head: AutoregressiveHead, cells: torch.Tensor, order) -> torch.Tensor:
    """-log p of each row, its fields becoming known in this order."""
    known, found = torch.zeros_like(cells, dtype=torch.bool), torch.zeros(len(cells))
    for place in order:
        scores = fields(head, cells, known)[place]
        found -= scores.log_softmax(1).gather(1, cells[:, [place]])[:, 0]
        known[:, place] = True
    return found


def test_cells_come_back_wherever_within_them_a_number_is():
    cells = Cells(SPEC.fields, 256)
    assert cells.sizes == [3, 3, 3]  # of the last two cells and a gap
    assert cells.ordered == [False, True, True]
    every = torch.tensor([*itertools.product(range(3), repeat=3)])
    for share in (0.0, 0.3, 0.999):
        back = cells.back(every, torch.full(every.shape, share))
        assert back.shape == (27, 6)
        assert back.isfinite().all()
        assert torch.equal(cells.of(back)[0], every)


def test_cells_of_a_number_hold_equal_shares_where_they_are_too_many():
    fine = torch.special.ndtri(torch.arange(1, 1_000, dtype=torch.float64) / 1_000)
    (few,) = Cells((Field(tuple(fine.tolist())),), 10).cuts
    np.testing.assert_allclose(torch.special.ndtr(torch.from_numpy(few)), np.arange(1, 10) / 10, atol=1e-3)


def test_values_of_many_rows_keep_cells_of_their_own():
    edges = (-2.0, -1.0, 0.8, 1.2, 1.6)  # a third of all rows are between two of them
    (few,) = Cells((Field(edges),), 4).cuts
    assert {-1.0, 0.8} <= {*few}
    assert len(few) < len(edges)


def test_what_no_training_row_had_is_as_likely_as_in_the_next_row_and_says_nothing_of_others():
    head = stirred()
    row = every_row(head)[:1].clone()
    row[0, :3] = -0.5  # none of the categories
    cells, new = head.cells.of(row)
    assert new[0].tolist() == pytest.approx([math.log(1_000), 0.0, 0.0])
    with torch.no_grad():
        either = [-sum_of_two(head, cells, order) for order in ((1, 2), (2, 1))]
        surprise = head.strange(nothing(1), Value(row)).item() - math.log(1_000)
        assert head.loss("main", nothing(1), Value(row)).isfinite()
    assert min(either) - 1e-5 <= surprise <= max(either) + 1e-5
    for far in (0.0, 2.5):
        row[0, 3] = STEPS.within[0] - STEP * (1 + far)
        cells, new = head.cells.of(row)
        assert new[0, 1].item() == pytest.approx(math.log(1_000) + far, abs=1e-3)
        assert cells[0, 1] == 0


def sum_of_two(head: AutoregressiveHead, cells: torch.Tensor, order) -> float:
    """log p of two of the fields, the third staying hidden."""
    known, found = torch.zeros_like(cells, dtype=torch.bool), 0.0
    for place in order:
        found += fields(head, cells, known)[place].log_softmax(1)[0, cells[0, place]].item()
        known[:, place] = True
    return found


@pytest.mark.parametrize("missing", [False, True])
def test_columns_say_where_their_fields_lie(missing):
    numbers = [1.0, 2.0, 2.0, 3.0, 7.5, None if missing else 9.0] * 20
    frame = pl.DataFrame({"kind": ["a", "b", "c"] * 40, "size": numbers}).select(row=pl.struct(pl.all()))
    column = Row("row", types=["kind=category", "size=number"])
    spec = column.learn([frame["row"]])
    assert sum(field.width for field in spec.fields) == spec.shape[0]
    assert [field.cuts is None for field in spec.fields] == [True, False]
    cells, encoded = Cells(spec.fields, 256), column.encode(frame["row"])
    found, new = cells.of(torch.from_numpy(encoded.data))
    assert not new.any()
    values = frame["row"].struct.field("size")
    assert found[:, 1].unique().numel() == values.n_unique()  # each value has a cell of its own, as has a gap
    back = column.decode({"value": cells.back(found, torch.rand(found.shape)).numpy()})
    assert back.equals(frame["row"].struct.unnest())
    again = Row("row")
    again.load_state(column.state())
    assert again.spec == spec


def test_probabilities_of_all_rows_sum_to_one_in_every_order():
    head = stirred()
    cells = head.cells.of(every_row(head))[0]
    for order in itertools.permutations(range(3)):
        with torch.no_grad():
            assert (-nats(head, cells, order)).exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_what_is_hidden_is_not_read():
    head, known = stirred(), torch.tensor([[True, False, False]])
    cells = torch.tensor([[2, 0, 0]])
    once = fields(head, cells, known)
    again = fields(head, torch.tensor([[2, 1, 2]]), known)
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    other = fields(head, torch.tensor([[1, 0, 0]]), known)
    assert not torch.equal(once[1], other[1])


def test_one_field_alone_has_the_scores_that_it_has_among_all():
    head = stirred()
    cells = head.cells.of(every_row(head))[0]
    known = torch.rand(cells.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    for place, scores in enumerate(fields(head, cells, known)):
        torch.testing.assert_close(head.net.of_field(place, cells, known), scores)


def test_the_loss_is_the_mean_surprise_over_orders():
    head = stirred()
    row = every_row(head)[7:8]
    with torch.no_grad():
        exact = [nats(head, head.cells.of(row)[0], order).item() for order in itertools.permutations(range(3))]
        torch.manual_seed(0)
        many = head.loss("main", nothing(20_000), Value(row.expand(20_000, -1)))
        surprise = [head.strange(nothing(1), Value(row)).item() for _ in range(2)]
    assert many.mean().item() == pytest.approx(np.mean(exact), abs=5 * many.std().item() / math.sqrt(20_000))
    assert min(exact) <= surprise[0] <= max(exact)
    assert surprise[0] == surprise[1]


def test_draws_follow_the_probabilities():
    head = stirred()
    every = head.cells.of(every_row(head))[0]
    with torch.no_grad():
        drawn = head.predict(nothing(30_000), generator=torch.Generator().manual_seed(1))["value"]
        true = sum((-nats(head, every, order)).exp() / 6 for order in itertools.permutations(range(3)))
    seen = torch.bincount(head.cells.of(drawn)[0] @ torch.tensor([9, 3, 1]), minlength=27) / len(drawn)
    assert (seen - true).abs().max() < 5 * math.sqrt(0.25 / len(drawn))


def test_draws_do_not_depend_on_how_many_there_are_and_are_the_likeliest_when_cold():
    head = stirred()
    with torch.no_grad():
        many, few = (head.predict(nothing(n), generator=torch.Generator().manual_seed(1))["value"] for n in (50, 5))
        torch.testing.assert_close(many[:5], few)
        scores = fields(head, torch.zeros(1, 3, dtype=torch.int64), torch.zeros(1, 3, dtype=torch.bool))
        cold = head.predict(nothing(40), generator=torch.Generator().manual_seed(1), temperature=0.0)["value"]
        cells, _ = head.cells.of(cold)
    assert len(cells.unique(dim=0)) <= 6  # one for each order
    assert (cells == torch.tensor([score.argmax().item() for score in scores])).any(0).all()


def test_what_is_given_is_heard():
    torch.manual_seed(0)
    head = AutoregressiveHead(SPEC, 4, layer_width=16, depth=1, embedding=8)
    for weight in head.parameters():
        weight.data += 0.5 * torch.randn_like(weight)
    cells, known = torch.zeros(1, 3, dtype=torch.int64), torch.zeros(1, 3, dtype=torch.bool)
    head.eval()
    one, other = (fields(head, cells, known, torch.full((1, 4), x))[0] for x in (0.0, 3.0))
    assert not torch.equal(one, other)


def test_what_a_file_claims_takes_no_memory():
    with without_memory():
        head = AutoregressiveHead(SPEC, 0, embedding=2**40)
    assert head.net.cells.weight.is_meta


def test_it_is_for_rows_and_the_first_choice_where_there_are_many():
    many, few = Facts(rows=MANY), Facts(rows=MANY - 1)
    assert AutoregressiveHead.suits(SPEC, many)[0] > DiffusionHead.suits(SPEC, many)[0]
    assert AutoregressiveHead.suits(SPEC, few)[0] < DiffusionHead.suits(SPEC, few)[0]
    assert AutoregressiveHead.suits(Spec("vector", (6,)), many)[0] == 0
    with pytest.raises(PlanError, match="rows of numbers and categories; 'diffusion'"):
        AutoregressiveHead(Spec("vector", (6,)), 0)
    with pytest.raises(PlanError, match="embedding = 7 must be even"):
        AutoregressiveHead(SPEC, 0, embedding=7)
    wide = [replace(SPEC, fields=SPEC.fields * times) for times in (20, 100, 2_000)]
    assert [AutoregressiveHead.choose(spec, Facts(rows=10**6))["cells"][0] for spec in wide] == [68, 16, 16]
    fine = [AutoregressiveHead.choose(SPEC, Facts(rows=n))["cells"][0] for n in (100, 4_000, 10**6)]
    assert fine == [16, 64, 256]
