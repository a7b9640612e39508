"""The command `ranvier`: its verbs, and what becomes of errors."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from ranvier.cli import codes, demo, embeddings, identity, look, pretrain, rate, sample, style, train, use, write
from ranvier.core.elsewhere import COMMANDS, SETTINGS, WRITING
from ranvier.core.errors import RanvierError, did_you_mean
from ranvier.core.version import VERSION

UsageError: Any = typer.BadParameter.__bases__[0]  # click's, wherever this version of typer keeps it
USER_ERROR, INTERRUPTED = 2, 130

WELCOME = """\
Ranvier learns some columns of your data from the others, and keeps what it learnt in one file.

Type first:
  ranvier demo                                  trains on pictures that come with the package (about a minute)
  ranvier columns data.csv --target y           what each column of your data is taken for, and why
  ranvier fit data.csv --target y -o model.rv   trains a model that predicts y

Then:
  ranvier predict model.rv new.csv              uses it
  ranvier --help                                all verbs; ranvier fit --help explains one
"""

app = typer.Typer(
    name="ranvier",
    help="Columns in, columns out: from a data file to a trained, evaluated, saved network.",
    epilog="Example:  ranvier fit data.csv --target y --time 5m -o model.rv",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (
    look.columns,
    look.plan,
    rate.lr,
    train.fit,
    train.resume,
    use.evaluate,
    use.predict,
    use.anomalies,
    use.embed,
    codes.compress,
    codes.decompress,
    identity.verify,
    identity.identify,
    identity.learn,
    sample.sample,
    style.style,
    write.generate,
    write.chat,
    embeddings.embeddings,
    pretrain.pretrain,
    use.show,
    demo.demo,
):
    app.command()(verb)


def _version(asked: bool) -> None:
    if asked:
        print(f"ranvier {VERSION}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def start(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Columns in, columns out: from a data file to a trained, evaluated, saved network."""
    if ctx.invoked_subcommand is None:
        print(WELCOME, end="")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line (`arguments`, or those of the process) and gives its exit code.

    0: done. 2: an error of the user's, told in one message on standard error. 130: interrupted.
    """
    try:
        return int(app(args=arguments, prog_name="ranvier", standalone_mode=False) or 0)
    except UsageError as error:
        return _usage_error(error)
    except RanvierError as error:
        print(f"error: {error}", file=sys.stderr)
        if "--json" in (sys.argv[1:] if arguments is None else arguments):
            print(json.dumps({"error": str(error)}))
        return USER_ERROR
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        print(f"error: cannot use{where}: {error.strerror or error}", file=sys.stderr)
        return USER_ERROR
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _usage_error(error: Exception) -> int:
    """Says what is wrong with the command itself, and where its help is."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "ranvier"
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    unknown = str(getattr(error, "option_name", "")) if hasattr(error, "possibilities") else ""
    if unknown and context is not None and (meant := _meant(unknown, context)):
        message = f"No such option: {unknown}; here it is {meant}"
    if context is not None and (strange := re.match(r"No such command '([^']*)'", message)):
        message = f"No such command {strange[1]!r}; {did_you_mean(strange[1], context.command.commands, COMMANDS)}"
    print(f"error: {message} (see: {path} --help)", file=sys.stderr)
    return USER_ERROR


def _meant(option: str, context: Any) -> str:
    """What an unknown option is called here, if other libraries have it or it is a place in the plan; else ""."""
    from ranvier.core.plan import TrainPlan

    name = option.lstrip("-").replace("-", "_").lower()
    taken = {one.name: one for one in context.command.params}
    told = re.search(r"'([^']+)'", (WRITING | SETTINGS).get(name, ""))
    here = told[1] if told else name
    for one in (name, here):
        if one in taken and taken[one].param_type_name == "argument":
            return f"{one.upper()}, which stands there without a name"
    options = {called.lstrip("-"): one.opts[0] for one in taken.values() for called in (one.name, *one.opts)}
    if here in options:
        return str(options[here])
    place = f"train.{here}" if here.split(".")[0] in TrainPlan.model_fields else here
    return f"--set {place}=VALUE" if "set_" in options and "." in place else ""
