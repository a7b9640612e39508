"""A conversation with a model that writes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from ranvier.core.errors import PlanError, RanvierWarning
from ranvier.model.model import Model

NO_REPEAT = 4  # tokens in a run that a reply does not say twice, where nothing else is asked
DRAWN = {"temperature": 0.7, "top_p": 0.9}  # of replies, where nothing else is asked
TURN = "\n"  # between what was said and what is said


class Chat:
    """Prompts and replies in turn.

    history: how many turns before stand in front of each prompt; 0 = each prompt by itself, as a model has learnt that
    was trained on prompts and replies alone. stop, how: see `Model.generate`. A model of replies draws them, as DRAWN
    says unless a temperature is given (0 = the likeliest), for the likeliest reply to most prompts is one and the same
    (Li et al., NAACL 2016); no run of NO_REPEAT tokens is said twice. Raises PlanError for a model that writes no text,
    or reads more than one column.
    """

    def __init__(
        self, model: Model, *, history: int = 0, stop: str | Sequence[str] = (), seed: int | None = None, **how: Any
    ) -> None:
        if history < 0:
            raise PlanError(f"history = {history}: the number of turns to remember, at least 0")
        if len(model.plan.inputs) > 1:
            raise PlanError(f"this model reads {', '.join(model.plan.inputs)}; a chat has nothing but the prompt")
        self.model, self.history, self.turns = model, history, list[tuple[str, str]]()
        drawn = DRAWN if model.plan.inputs and "temperature" not in how else {}
        self._given = {"stop": stop, "no_repeat": NO_REPEAT, **drawn, **how}
        self._seed = seed
        with warnings.catch_warnings():  # of a prompt that nobody wrote
            warnings.simplefilter("ignore", RanvierWarning)
            model.generate("", longest=1, beam=1)  # refuses at once what cannot write

    def say(self, prompt: str) -> Iterator[str]:
        """The reply, in pieces as they come; what was given of it is remembered, also if the caller stops early."""
        turns = self.turns[len(self.turns) - self.history :] if self.history else []
        before = [part for turn in turns for part in turn]
        seed = None if self._seed is None else self._seed + len(self.turns)
        said: list[str] = []
        try:
            for piece in self.model.generate(TURN.join([*before, prompt]), stream=True, seed=seed, **self._given):
                said.append(piece)
                yield piece
        finally:
            self.turns.append((prompt, "".join(said).strip()))

    def forget(self) -> None:
        """Begins anew."""
        self.turns.clear()
