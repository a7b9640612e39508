"""The constructor is the schema: strict types, no silent names; and the registry that finds the constructors."""

from __future__ import annotations

from typing import Literal

import pytest

from ranvier.core import registry
from ranvier.core.errors import PlanError, RanvierError, did_you_mean
from ranvier.core.schema import check_options, defaults_of, options_of


class Net:
    def __init__(self, width: int, /, *, depth: int = 2, gate: bool = False) -> None: ...


class Wrapper:
    wraps = Net

    def __init__(
        self,
        spec: object,
        /,
        *,
        rate: float = 0.5,
        pool: Literal["mean", "max"] = "mean",
        size: int | Literal["auto"] = "auto",
        widths: list[int] = [8, 8],  # noqa: B006
        gate: bool = True,
    ) -> None: ...


def test_a_wrapper_has_its_own_options_and_those_of_what_it_wraps():
    assert list(options_of(Wrapper)) == ["depth", "gate", "rate", "pool", "size", "widths"]
    assert defaults_of(Wrapper)["gate"] is True
    assert list(options_of(Net)) == ["depth", "gate"]


def test_defaults_are_copies():
    defaults_of(Wrapper)["widths"].append(3)
    assert defaults_of(Wrapper)["widths"] == [8, 8]


@pytest.mark.parametrize(
    ("option", "right", "wrong"),
    [
        ("gate", [True, False], ["yes", 1, 0, "true", None]),
        ("depth", [0, -3, 10**12], [True, 2.0, "2", None, [2]]),
        ("rate", [0.5, 1, -2.5], ["0.5", True, None, float("nan"), float("inf")]),
        ("pool", ["mean", "max"], ["median", "", None, 0]),
        ("size", ["auto", 3], ["big", 1.5, None]),
        ("widths", [[], [1, 2]], [[1.5], "88", (1, 2), 3, None]),
    ],
)
def test_values_are_checked_strictly(option, right, wrong):
    for value in right:
        assert check_options(Wrapper, {option: value}, "here") == {option: value}
    for value in wrong:
        with pytest.raises(PlanError, match=f"here.{option}"):
            check_options(Wrapper, {option: value}, "here")


def test_an_unknown_option_gets_the_nearest_name():
    with pytest.raises(PlanError, match="fuse: unknown option 'dept'; did you mean 'depth'"):
        check_options(Wrapper, {"dept": 3}, "fuse")
    with pytest.raises(PlanError, match="unknown option 'zzz'; known: depth, gate"):
        check_options(Wrapper, {"zzz": 3}, "fuse")


def test_an_option_without_annotation_or_default_is_a_mistake_of_ours():
    def no_default(*, width: int) -> None: ...

    def no_annotation(*, width=3) -> None: ...

    def none(*, width: int | None = None) -> None: ...

    for part in (no_default, no_annotation, none):
        with pytest.raises(TypeError, match="'width' needs an annotation and a default"):
            options_of(part)


def test_the_registry_says_what_it_knows():
    with pytest.raises(PlanError, match="unknown encoder 'lsmt'; did you mean 'lstm'"):
        registry.lookup("encoder", "lsmt")
    with pytest.raises(
        PlanError,
        match="unknown head 'qqq'; known: autoregressive, boxes, category, contrastive, diffusion, gan, identity",
    ):
        registry.lookup("head", "qqq")
    assert issubclass(PlanError, RanvierError)


@pytest.mark.parametrize("kind", sorted(registry.TABLES))
def test_every_registered_part_is_there_and_has_a_schema(kind):
    for name in registry.names(kind):
        assert isinstance(options_of(registry.lookup(kind, name)), dict)


def test_did_you_mean():
    assert did_you_mean("rat", ["rate", "batch"]) == "did you mean 'rate'?"
    assert did_you_mean("zzz", []) == "none are known"
    assert did_you_mean("zzz", map(str, range(30))).endswith("...")
