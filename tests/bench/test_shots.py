"""Draws of few rows: every class is new in half of the splits, shots are of their class, rows differ by draw."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # bench is no part of the installed package

from bench.shots import CLASSES, halves, labelled, shots


def test_every_class_is_new_in_half_of_the_splits():
    assert all(sorted([*learnt, *novel]) == list(range(CLASSES)) for learnt, novel in halves())
    assert np.bincount(np.concatenate([novel for _, novel in halves()])).tolist() == [5] * CLASSES
    assert halves() == halves()


def test_shots_are_different_rows_of_their_class():
    code = np.random.default_rng(0).integers(0, CLASSES, 2_000)
    _, novel = halves()[3]
    rows = shots(code, novel, 3, 0)
    assert (code[rows] == np.array(novel)[:, None]).all()
    assert len(np.unique(rows)) == 25
    assert (rows == shots(code, novel, 3, 0)).all()
    assert (rows != shots(code, novel, 3, 1)).any()


def test_labelled_rows_are_different_ones_and_others_in_each_draw():
    rows = labelled(8_000, 100, 0)
    assert len(np.unique(rows)) == 100
    assert rows.max() < 8_000
    assert (rows == labelled(8_000, 100, 0)).all()
    assert (rows != labelled(8_000, 100, 1)).any()
