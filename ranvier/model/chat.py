"""A conversation with a model that writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from unicodedata import category

from ranvier.core.errors import DataError, PlanError
from ranvier.model.frames import tell
from ranvier.model.generate import Pen
from ranvier.model.model import Model

NO_REPEAT = 4  # tokens in a run that a reply does not say twice, where nothing else is asked
DRAWN = {"temperature": 0.7, "top_p": 0.9}  # of replies, where nothing else is asked
TURN = "\n"  # between what was said and what is said
TRIES = 4  # draws of a reply until one says something


class Chat:
    """Prompts and replies in turn.

    history: how many turns before stand in front of each prompt; 0 = each prompt by itself, as a model has learnt that
    was trained on prompts and replies alone. stop, how: see `Model.generate`. A model of replies draws them, as DRAWN
    says unless a temperature is given (0 = the likeliest), for the likeliest reply to most prompts is one and the same
    (Li et al., NAACL 2016); no run of NO_REPEAT tokens is said twice, and a reply of nothing but punctuation is drawn
    again. Raises PlanError for a model that writes no text,
    or reads more than one column.
    """

    def __init__(
        self, model: Model, *, history: int = 0, stop: str | Sequence[str] = (), seed: int | None = None, **how: Any
    ) -> None:
        if not isinstance(history, int) or history < 0:
            raise PlanError(f"history = {history!r}: the number of turns to remember, at least 0")
        if len(model.plan.inputs) > 1:
            raise PlanError(
                f"this model reads {', '.join(model.plan.inputs)}; a chat has nothing but the prompt: fit the model "
                "with that as its only input (inputs=['prompt'], --input prompt)"
            )
        self.history, self.turns = history, list[tuple[str, str]]()
        drawn = DRAWN if model.plan.inputs and "temperature" not in how else {}
        self._seed = seed
        ways = {"no_repeat": NO_REPEAT, **drawn, **how}
        self._pen = Pen(model.networks[0], model._read, "", ways, stop, seed)
        self._tell()
        self._pen.stream("")  # refuses at once what cannot be said in pieces
        self._pen.notes.clear()  # of a prompt that nobody wrote

    def say(self, prompt: str) -> Iterator[str]:
        """The reply, in pieces as they come; what was given of it is remembered, also if the caller stops early."""
        if not isinstance(prompt, str):
            raise DataError(f"chat: a prompt is a text, not {prompt!r:.60}")
        turns = self.turns[len(self.turns) - self.history :] if self.history else []
        before = [part for turn in turns for part in turn]
        if self._seed is not None:
            self._pen.seed(self._seed + len(self.turns))
        said: list[str] = []
        try:
            for piece in self._reply(TURN.join([*before, prompt])):
                said.append(piece)
                yield piece
        finally:
            self.turns.append((prompt, "".join(said).strip()))

    def forget(self) -> None:
        """Begins anew."""
        self.turns.clear()

    def _reply(self, text: str) -> Iterator[str]:
        """A reply in pieces, the first of them with all that comes before something is said."""
        for more in reversed(range(TRIES if self._pen.draws else 1)):
            pieces = self._pen.stream(text)
            self._tell()
            held = ""
            for piece in pieces:
                held += piece
                if not more or _says(held):
                    yield held
                    yield from pieces
                    return

    def _tell(self) -> None:
        """What was found on the way, once."""
        tell(self._pen.notes)
        self._pen.notes.clear()


def _says(text: str) -> bool:
    """Whether a letter, a digit or a picture is in it."""
    return any(kind[0] in "LN" or kind == "So" for kind in map(category, text))
