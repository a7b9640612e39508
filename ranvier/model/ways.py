"""How `predict` and `evaluate` are to write the texts of their targets, by the options of `generate`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ranvier.core.elsewhere import WRITING
from ranvier.core.errors import PlanError, did_you_mean
from ranvier.model.generate import WAYS, Pen, Read, beam_of
from ranvier.model.network import Network

# options of the verbs themselves
OWN = {"predict": ("uncertainty", "keep", "to", "batch"), "evaluate": ("batch", "show")}


def ways(verb: str, network: Network, read: Read, how: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """What the heads that write texts are given, of what the verb was asked; the same rows get the same draws.

    read: what a table of texts to avoid is read by. Raises PlanError for an unknown option, for one that nothing is
    written by, and as `generate` does.
    """
    known = [*WAYS, "seed"]
    for name in how:
        if name not in known:
            raise PlanError(f"{verb}: unknown {name!r}; {did_you_mean(name, [*known, *OWN[verb]], WRITING)}")
    targets = network.plan.targets
    texts = [name for name, target in targets.items() if target.head["name"] == "text"]
    if how and not texts:
        told = ", ".join(f"{name!r} ({target.head['name']})" for name, target in targets.items())
        raise PlanError(f"{verb}: {next(iter(how))} is for texts that are written, and this model predicts {told}")
    if how and verb == "evaluate" and not network.plan.inputs:
        raise PlanError(
            f"evaluate: {next(iter(how))} is for texts that are written, and a model of a language is judged by the "
            "true ones alone"
        )
    given: dict[str, Any] = {}
    asked = {name: value for name, value in how.items() if name != "seed"}
    for name in texts if how else ():
        one = "" if how.get("avoid") is not None else name  # what is avoided is told by the tokens of a single text
        pen = Pen(network, read, one, asked, (), how.get("seed", 0))
        pen.check_draws(pen.beam)
        given = {**pen.how, "generator": pen.generator}
        notes += pen.notes
    if beam := beam_of(0, asked):  # else each text is written as planned
        given["beam"] = beam
    return given
