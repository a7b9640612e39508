"""Work side by side: answers in order, and the first error."""

from __future__ import annotations

import pytest

from ranvier.core.threads import ahead, each


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


def test_what_is_made_ahead_comes_in_order_and_an_error_in_its_turn():
    def made(x: int) -> int:
        if x == 5:
            raise ValueError(x)
        return x * x

    assert list(ahead(made, range(5))) == [0, 1, 4, 9, 16]
    assert list(ahead(made, [])) == []
    with pytest.raises(ValueError, match="5"):
        list(ahead(made, range(9)))
    assert [x for x, _ in zip(ahead(made, range(9)), range(3), strict=False)] == [0, 1, 4]
    taken = []
    for x in ahead(made, (taken.append(k) or k for k in range(5))):
        assert len(taken) <= round(x**0.5) + 3  # no more are taken than the few that are in the making
