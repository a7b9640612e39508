"""How `predict` and `evaluate` are to answer: how texts are written, by the options of `generate`, and other ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ranvier.core import registry
from ranvier.core.elsewhere import WRITING
from ranvier.core.errors import PlanError, did_you_mean
from ranvier.core.schema import options_of
from ranvier.model.generate import WAYS, Pen, Read, beam_of
from ranvier.model.network import Network

# options of the verbs themselves
OWN = {"predict": ("uncertainty", "keep", "to", "batch"), "evaluate": ("batch", "show")}
GENERATES = ("n", "stop", "stream", "target")  # of `generate` alone


def ways(verb: str, network: Network, read: Read, how: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """What the heads are given, of what the verb was asked; the same rows get the same draws.

    Heads of texts take those of `generate`. A head that draws nothing takes those of its options that are its `ways`,
    checked as options are; but not to be judged, for figures are of all thresholds. read: what a table of texts to
    avoid is read by. Raises PlanError for an unknown option, one that nothing is written by, and as `generate` does.
    """
    targets = network.plan.targets
    heads = [registry.lookup("head", target.head["name"]) for target in targets.values()]
    own = {way: options_of(head)[way] for head in heads if not head.draws for way in head.ways if verb == "predict"}
    writing = [*WAYS, "seed"]
    for name, value in how.items():
        if name in own:
            own[name].check(value, f"{verb}: {name}")
        elif name not in writing:
            raise PlanError(f"{verb}: {_not_here(name, [*own, *writing, *OWN[verb]])}")
    given = {name: value for name, value in how.items() if name in own}
    written = {name: value for name, value in how.items() if name not in own}
    texts = [name for name, target in targets.items() if target.head["name"] == "text"]
    if written and not texts:
        told = ", ".join(f"{name!r} ({target.head['name']})" for name, target in targets.items())
        raise PlanError(f"{verb}: {next(iter(written))} is for texts that are written, and this model predicts {told}")
    if written and verb == "evaluate" and not network.plan.inputs:
        raise PlanError(
            f"evaluate: {next(iter(written))} is for texts that are written, and a model of a language is judged by "
            "the true ones alone"
        )
    asked = {name: value for name, value in written.items() if name != "seed"}
    for name in texts if written else ():
        one = "" if written.get("avoid") is not None else name  # what is avoided is told by the tokens of a single text
        pen = Pen(network, read, one, asked, (), written.get("seed", 0))
        pen.check_draws(pen.beam)
        given |= {**pen.how, "generator": pen.generator}
        notes += pen.notes
    if beam := beam_of(0, asked):  # else each text is written as planned
        given["beam"] = beam
    return given


def _not_here(name: str, known: Sequence[str]) -> str:
    """What an option is that the verb does not know, or not of this model."""
    if name in GENERATES:
        return f"{name} is an option of generate"
    heads = {head: registry.lookup("head", head) for head in registry.names("head")}
    of = next((head for head, kind in heads.items() if not kind.draws and name in kind.ways), "")
    if of:
        return f"{name} is a way to predict {of}"
    return f"unknown {name!r}; {did_you_mean(name, known, WRITING)}"
