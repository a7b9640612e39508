from __future__ import annotations

import subprocess
import sys

import pytest

from ranvier import nets
from ranvier.nets import rnn


def test_importing_is_light_and_names_are_found():
    code = "import sys, ranvier.nets as n; assert 'LSTM' in dir(n); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert nets.LSTM is rnn.LSTM


def test_unknown_name():
    with pytest.raises(AttributeError, match=r"it has CRF, .*DropPath, Dropout, .*GRU, HashedBag"):
        nets.Perceptron  # noqa: B018
