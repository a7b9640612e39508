"""What becomes of a run that is stopped while its figures are made."""

from __future__ import annotations

import polars as pl

from ranvier.model import fit as module
from ranvier.model.fit import NOT_JUDGED, fit


def test_a_stop_while_figures_are_made_leaves_the_model(monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "hold_out", stopped)
    rows = pl.DataFrame({"x": [1.0, 2.0, 3.0] * 20, "y": ["a", "b", "b"] * 20})
    model = fit(rows, "y", types={"x": "number"}, epochs=1, progress=False)
    assert model.report is None
    assert model.interrupted
    assert NOT_JUDGED in model.notes
    assert len(model.predict(rows.head(2))) == 2
