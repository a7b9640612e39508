"""Work side by side: answers in order, and the first error."""

from __future__ import annotations

import pytest

from ranvier.core.threads import each


def test_answers_come_in_order():
    assert each(lambda x: x * x, range(50)) == [x * x for x in range(50)]
    assert each(str, []) == []


def test_the_first_error_is_raised():
    def fail(x: int) -> int:
        if x in (3, 5):
            raise ValueError(x)
        return x

    with pytest.raises(ValueError, match="3"):
        each(fail, range(9))
