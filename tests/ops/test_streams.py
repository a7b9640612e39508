"""The random sample of a stream: uniform, bounded, the same however rows are batched."""

from __future__ import annotations

import pytest
import torch

from ranvier.ops.streams import Sample


def taken(rows, size, batch, use=None):
    sample = Sample(size)
    use = torch.ones(len(rows), dtype=torch.bool) if use is None else use
    for start in range(0, len(rows), batch):
        sample.add(rows[start : start + batch], use[start : start + batch])
        assert sum(len(part) for part, _ in sample._parts) <= 2 * size
    return sample


def test_all_rows_while_they_are_few():
    rows = torch.rand(50, 3, dtype=torch.float64)
    sample = taken(rows, 50, 7)
    assert torch.equal(sample.rows(), rows)
    assert sample.used == 50
    assert Sample(5).rows() is None


def test_the_sample_is_the_same_however_rows_are_batched_and_grows_no_further():
    rows = torch.arange(5000.0)[:, None]
    one, other = (set(taken(rows, 300, batch).rows()[:, 0].tolist()) for batch in (11, 2500))
    assert one == other
    assert len(one) == 300


def test_every_row_is_as_likely():
    rows = torch.arange(20_000.0)[:, None]
    chosen = taken(rows, 2000, 1000).rows()[:, 0]
    tenths = torch.histc(chosen, 10, 0, 20_000)
    assert ((tenths - 200).square() / 200).sum() < 28  # chi-square of 9: beyond it once in a thousand
    for period in (2, 3, 7):  # nor does it follow a pattern in the rows
        share = (chosen % period == 0).float().mean().item()
        assert share == pytest.approx(1 / period, abs=0.04)


def test_rows_not_to_be_used_are_never_chosen():
    rows, use = torch.arange(1000.0)[:, None], torch.arange(1000) % 4 == 0
    sample = taken(rows, 400, 90, use)
    assert sample.rows()[:, 0].tolist() == rows[use][:, 0].tolist() or len(sample.rows()) == 250
    assert (sample.rows()[:, 0] % 4 == 0).all()
    assert sample.used == 250


def test_buffers_may_be_reused():
    rows = torch.rand(10, 2)
    sample = taken(rows, 20, 5)
    before = rows.clone()
    rows.zero_()
    assert torch.equal(sample.rows(), before)
