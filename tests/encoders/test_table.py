"""Encoders of numbers and categories: many columns at once give what each one alone would."""

from __future__ import annotations

import math

import pytest
import torch

from ranvier.core.facts import Facts
from ranvier.core.protocols import Value
from ranvier.core.schema import check_options, options_of
from ranvier.core.spec import Spec
from ranvier.encoders.category import CategoryEncoder
from ranvier.encoders.number import NumberEncoder

VECTOR = frozenset({"vector"})
SCALAR = Spec("scalar", (2,))


def joined(*parts: Spec) -> Spec:
    return Spec(parts[0].kind, parts=parts)


def numbers(rows: int, columns: int) -> Value:
    observed = torch.rand(rows, columns) > 0.2
    data = torch.stack([torch.randn(rows, columns), torch.rand(rows, columns)], -1)
    return Value(torch.where(observed[..., None], data, torch.tensor([0.0, 0.5])), observed=observed)


def codes(rows: int, *sizes: int) -> Value:
    data = torch.stack([torch.randint(0, size + 1, (rows,)) for size in sizes], 1)
    return Value(data, observed=torch.rand(rows, len(sizes)) > 0.2)


def randomised(net: torch.nn.Module) -> torch.nn.Module:
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_()
    return net.eval()


@pytest.mark.parametrize("embedding", ["none", "piecewise", "periodic"])
def test_numbers_shape_gradient_and_rows_apart(embedding):
    encoder = NumberEncoder(joined(*[SCALAR] * 3), embedding=embedding, embedding_width=5)
    value = numbers(40, 3)
    y = encoder(value, VECTOR).vector
    assert y.shape == (40, encoder.width)
    assert encoder.width == (3 if embedding == "none" else 18)
    some = encoder(value.map(lambda t: t[4:7]), VECTOR).vector
    torch.testing.assert_close(some, y[4:7])
    y.exp().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


def test_an_untrained_encoder_takes_a_missing_number_for_the_median():
    encoder = NumberEncoder(joined(SCALAR, SCALAR))
    data = torch.tensor([[[0.0, 0.5], [1.0, 0.8]]])
    known = encoder(Value(data, observed=torch.tensor([[True, True]])), VECTOR).vector
    missing = encoder(Value(data, observed=torch.tensor([[False, True]])), VECTOR).vector
    torch.testing.assert_close(known, missing)
    with torch.no_grad():
        encoder.missing += 1
    changed = encoder(Value(data, observed=torch.tensor([[False, True]])), VECTOR).vector - known
    torch.testing.assert_close(changed, torch.tensor([[1.0] * 9 + [0.0] * 9]))


def test_numbers_are_clipped_smoothly():
    encoder = NumberEncoder(SCALAR, embedding="none", clip=4.0)
    scaled = torch.tensor([0.0, 0.1, -0.1, 4.0, 1e9, -1e9])
    y = encoder(Value(torch.stack([scaled, torch.full((6,), 0.5)], 1)), VECTOR).vector[:, 0]
    torch.testing.assert_close(y, torch.tensor([0.0, 0.1, -0.1, 4 / math.sqrt(2), 4.0, -4.0]), atol=1e-4, rtol=1e-4)


def test_one_column_alone_equals_a_joined_one():
    torch.manual_seed(0)
    alone = NumberEncoder(SCALAR)
    torch.manual_seed(0)
    together = NumberEncoder(joined(SCALAR))
    value = numbers(5, 1)
    torch.testing.assert_close(alone(value.map(lambda t: t[:, 0]), VECTOR).vector, together(value, VECTOR).vector)


def test_one_hot_and_thermometer_by_hand():
    plain, order = Spec("index", size=3), Spec("index", size=3, unit="order")
    encoder = CategoryEncoder(joined(plain, order)).eval()
    data = torch.tensor([[0, 0], [1, 1], [2, 2], [3, 3], [0, 0]])
    observed = torch.tensor([[True, True]] * 4 + [[False, False]])
    expected = torch.tensor(
        [  # 3 classes, unseen, missing | >= 1, >= 2, unseen, missing
            [1, 0, 0, 0, 0, 0, 0, 0, 0],
            [0, 1, 0, 0, 0, 1, 0, 0, 0],
            [0, 0, 1, 0, 0, 1, 1, 0, 0],
            [0, 0, 0, 1, 0, 0, 0, 1, 0],
            [0, 0, 0, 0, 1, 0, 0, 0, 1],
        ]
    )
    torch.testing.assert_close(encoder(Value(data, observed=observed), VECTOR).vector, expected.float())


def test_large_categories_are_rows_of_a_table_and_ordered_ones_sums_of_rows():
    parts = (Spec("index", size=4), Spec("index", size=5, unit="order"))
    encoder = randomised(CategoryEncoder(joined(*parts), one_hot=2, embedding_width=3))
    table = encoder.table
    value = Value(
        torch.tensor([[2, 3], [4, 5], [0, 0]]), observed=torch.tensor([[True, True], [True, True], [False] * 2])
    )
    expected = [
        torch.cat([table[2], table[6:10].sum(0)]),
        torch.cat([table[4], table[11]]),  # unseen
        torch.cat([table[5], table[12]]),  # missing
    ]
    torch.testing.assert_close(encoder(value, VECTOR).vector, torch.stack(expected))


def test_mixed_sizes_stand_side_by_side_and_gradient_reaches_the_table():
    sizes = (3, 200, 5, 90)
    encoder = CategoryEncoder(joined(*[Spec("index", size=s) for s in sizes]), embedding_width=4)
    value = codes(300, *sizes)
    y = encoder(value, VECTOR).vector
    assert y.shape == (300, encoder.width)
    assert encoder.width == (3 + 2) + (5 + 2) + 2 * 4
    y.pow(2).sum().backward()
    assert encoder.table.grad.abs().sum() > 0


def test_codes_are_taken_for_unseen_only_in_training():
    encoder = CategoryEncoder(Spec("index", size=3), unseen=0.5)
    value = Value(torch.zeros(1000, dtype=torch.uint8), observed=torch.ones(1000, dtype=torch.bool))
    share = encoder(value, VECTOR).vector[:, 3].mean()
    assert 0.4 < share < 0.6
    assert encoder.eval()(value, VECTOR).vector[:, 3].sum() == 0


@pytest.mark.parametrize(("encoder", "kind"), [(NumberEncoder, "scalar"), (CategoryEncoder, "index")])
def test_options_are_a_schema_and_choices_fit_it(encoder, kind):
    assert options_of(encoder)
    for rows in (100, 5_000, 200_000):
        facts, spec = Facts(rows), Spec(kind, size=9)
        assert encoder.suits(spec, facts)[0] > 0
        assert encoder.suits(Spec("pixels"), facts)[0] == 0
        chosen = {name: value for name, (value, _) in encoder.choose(spec, facts).items()}
        assert check_options(encoder, chosen, "encoder") == chosen
