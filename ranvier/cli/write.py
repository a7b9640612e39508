"""The verbs that write: generate, chat."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranvier.cli import options as o
from ranvier.cli.sample import given_values
from ranvier.cli.show import as_json
from ranvier.cli.use import warnings_as_notes
from ranvier.core.errors import PlanError

if TYPE_CHECKING:
    from ranvier.model.model import Model

Prompt = Annotated[str, typer.Argument(metavar="[PROMPT]", help="What it continues, or answers.", show_default=False)]
Count = Annotated[int, typer.Option("--count", "-n", min=1, help="So many texts.")]
Stop = Annotated[
    list[str] | None, typer.Option(help="A text before which writing ends (\\n: a new line); repeat for several.")
]
Text = Annotated[str, typer.Option("--target", "-t", help="Which text is written, of a model that writes several.")]
Seed = Annotated[int | None, typer.Option(help="Of what is drawn; without it another each time.")]


def generate(
    model: o.ModelFile,
    prompt: Prompt = "",
    count: Count = 1,
    given: o.Given = None,
    target: Text = "",
    stop: Stop = None,
    seed: Seed = None,
    beam: o.Beam = None,
    temperature: o.Temperature = None,
    top_k: o.TopK = None,
    top_p: o.TopP = None,
    min_p: o.MinP = None,
    repetition: o.Repetition = None,
    no_repeat: o.NoRepeat = None,
    avoid: o.Avoid = None,
    avoid_run: o.AvoidRun = None,
    longest: o.Longest = None,
    json: o.Json = False,
) -> None:
    """Write a text: what follows a prompt, or answers it.

    Example:  ranvier generate kjv.rv "And it came to pass" --seed 1

    Of a model with several inputs:  ranvier generate shop.rv --given name=Lamp --given colour=red
    """
    from ranvier.model.generate import beam_of
    from ranvier.model.model import load

    how = o.given(locals(), o.WAYS)
    if prompt and given:
        raise PlanError("give a prompt or, of each input, --given COLUMN=VALUE; not both")
    loaded = load(model)
    asked, rows = _asked_for(prompt, given, loaded)
    with warnings_as_notes():
        planned = max(one.head.get("beam", 1) for one in loaded.plan.targets.values())
        if len(rows) * count == 1 and not json and beam_of(planned, how) == 1:  # what is searched for is there at once
            _stream(loaded.generate(asked, target=target, stream=True, stop=_lines(stop), seed=seed, **how))
            return
        told = loaded.generate(asked, target=target, n=count, stop=_lines(stop), seed=seed, **how)
    texts = [told] if isinstance(told, str) else told
    if json:
        as_json({"given": given, "texts": texts} if given else {"prompt": prompt, "texts": texts})
    else:
        named = [f"{row}:\n" for row in rows for _ in range(count)] if len(rows) > 1 else [""] * len(texts)
        print("\n\n".join(name + text for name, text in zip(named, texts, strict=True)))


def chat(
    model: o.ModelFile,
    history: Annotated[int, typer.Option(min=0, help="Turns before that stand in front of each prompt.")] = 0,
    stop: Stop = None,
    seed: Seed = None,
    temperature: o.Temperature = None,
    top_k: o.TopK = None,
    top_p: o.TopP = None,
    min_p: o.MinP = None,
    repetition: o.Repetition = None,
    no_repeat: o.NoRepeat = None,
    longest: o.Longest = None,
) -> None:
    """Talk with a model that writes texts.

    Ctrl-C stops a reply, /forget begins anew, /quit or Ctrl-D ends. Without a terminal each line is a prompt.

    Example:  ranvier chat replies.rv --history 2
    """
    from ranvier.model.chat import Chat
    from ranvier.model.model import load

    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # of bytes that are no text
    talk = Chat(load(model), history=history, stop=_lines(stop), seed=seed, **o.given(locals(), o.WAYS))
    while (prompt := _asked()) is not None:
        if prompt == "/quit":
            return
        if prompt == "/forget":
            talk.forget()
        elif prompt.startswith("/"):
            print(f"note: {prompt} is no command; they are /forget and /quit", file=sys.stderr)
        elif prompt:
            with warnings_as_notes():
                try:
                    _stream(talk.say(prompt))
                except KeyboardInterrupt:
                    print()


def _asked_for(prompt: str, given: list[str] | None, model: Model) -> tuple[Any, list[str]]:
    """What is gone on with or answered, and what each of its rows is. Raises PlanError, DataError."""
    if not given:
        return prompt, [prompt]
    import polars as pl

    values = given_values(given, model)
    rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    told = [", ".join(f"{name}={value}" for name, value in row.items()) for row in rows]
    return (rows[0] if len(rows) == 1 else pl.DataFrame(values)), told


def _lines(stop: list[str] | None) -> list[str]:
    """The texts, with what stands for a new line in a shell as one."""
    return [one.replace(r"\n", "\n") for one in stop or []]


def _asked() -> str | None:
    """A line of the person's; None at the end."""
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except (EOFError, KeyboardInterrupt):
        return None


def _stream(pieces: Any) -> None:
    for piece in pieces:
        print(piece, end="", flush=True)
    print()
