"""The verbs that write: generate, chat."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ranvier.cli import options as o
from ranvier.cli.show import as_json
from ranvier.cli.use import warnings_as_notes

Prompt = Annotated[str, typer.Argument(metavar="[PROMPT]", help="What it continues, or answers.", show_default=False)]
Count = Annotated[int, typer.Option("--count", "-n", min=1, help="So many texts.")]
Stop = Annotated[
    list[str] | None, typer.Option(help="A text before which writing ends (\\n: a new line); repeat for several.")
]
Text = Annotated[str, typer.Option("--target", "-t", help="Which text is written, of a model that writes several.")]
Seed = Annotated[int | None, typer.Option(help="Of what is drawn; without it another each time.")]
Beam = Annotated[int | None, typer.Option(help="Ways that a search follows; 1 = none.")]
Temperature = Annotated[float | None, typer.Option(help="0 = the likeliest, 1 = as learnt, above: wilder.")]
TopK = Annotated[int | None, typer.Option(help="Draw from so many tokens, the likeliest.")]
TopP = Annotated[float | None, typer.Option(help="Draw from the likeliest tokens of so much probability.")]
MinP = Annotated[float | None, typer.Option(help="Draw from tokens so many times as likely as the likeliest, or more.")]
Repetition = Annotated[float | None, typer.Option(help="Above 1: what was said becomes less likely.")]
NoRepeat = Annotated[int | None, typer.Option(help="No run of so many tokens is said twice.")]
Avoid = Annotated[
    list[Path] | None, typer.Option(metavar="FILE", help="No long run of tokens of its texts is written; repeatable.")
]
AvoidRun = Annotated[int | None, typer.Option(help="How long; without it 10 subwords, or 40 characters.")]
Longest = Annotated[int | None, typer.Option(help="Tokens at most.")]
WAYS = ["beam", "temperature", "top_k", "top_p", "min_p", "repetition", "no_repeat", "avoid", "avoid_run", "longest"]


def generate(
    model: o.ModelFile,
    prompt: Prompt = "",
    count: Count = 1,
    target: Text = "",
    stop: Stop = None,
    seed: Seed = None,
    beam: Beam = None,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    min_p: MinP = None,
    repetition: Repetition = None,
    no_repeat: NoRepeat = None,
    avoid: Avoid = None,
    avoid_run: AvoidRun = None,
    longest: Longest = None,
    json: o.Json = False,
) -> None:
    """Write a text: what follows a prompt, or answers it.

    Example:  ranvier generate kjv.rv "And it came to pass" --seed 1
    """
    from ranvier.model.generate import beam_of
    from ranvier.model.model import load

    how = o.given(locals(), WAYS)
    loaded = load(model)
    with warnings_as_notes():
        planned = max(one.head.get("beam", 1) for one in loaded.plan.targets.values())
        if count == 1 and not json and beam_of(planned, how) == 1:  # what is searched for is there at once
            _stream(loaded.generate(prompt, target=target, stream=True, stop=_lines(stop), seed=seed, **how))
            return
        texts = loaded.generate([prompt] * count, target=target, stop=_lines(stop), seed=seed, **how)
    if json:
        as_json({"prompt": prompt, "texts": texts})
    else:
        print("\n\n".join(texts))


def chat(
    model: o.ModelFile,
    history: Annotated[int, typer.Option(min=0, help="Turns before that stand in front of each prompt.")] = 0,
    stop: Stop = None,
    seed: Seed = None,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    min_p: MinP = None,
    repetition: Repetition = None,
    no_repeat: NoRepeat = None,
    longest: Longest = None,
) -> None:
    """Talk with a model that writes texts.

    Ctrl-C stops a reply, /forget begins anew, /quit or Ctrl-D ends. Without a terminal each line is a prompt.

    Example:  ranvier chat replies.rv --history 2
    """
    from ranvier.model.chat import Chat
    from ranvier.model.model import load

    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # of bytes that are no text
    talk = Chat(load(model), history=history, stop=_lines(stop), seed=seed, **o.given(locals(), WAYS))
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
