"""The memory that a process of a bench tells is its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

CLOCK = Path(__file__).resolve().parents[2] / "bench"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells")
def test_the_peak_of_a_process_is_not_its_parents():
    held = np.ones(30_000_000)  # 240 MB
    asked = [sys.executable, "-c", f"import sys; sys.path.append({str(CLOCK)!r}); import clock; print(clock.peak())"]
    told = float(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)
    assert 0.001 < told < 0.1 < held.nbytes / 1e9
