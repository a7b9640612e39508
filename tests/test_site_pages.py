"""The pages of the site: examples print what they announce, both languages say the same, what is made is whole."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import pytest
from pages import ROOT, both, check_same, printed
from pydantic import Field

from ranvier.cli.main import app
from ranvier.core.registry import TABLES, lookup
from ranvier.core.schema import one_of, options_of

SAYS = re.compile(r"# -> (.+)$", re.MULTILINE)
PAGES = ("start", "concepts", "plan", "errors", "columns", "networks")
TRANSLATED = {"start": 7, "concepts": 7}  # parts of each
KINDS = ("column", "encoder", "fuse", "head", "augment", "mix", "optimizer", "schedule")


def _reference() -> ModuleType:
    """docs/site/reference.py, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs/site/reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE = _reference()


def page(name: str) -> str:
    return (ROOT / f"docs/{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_examples_print_what_they_announce(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    announced = 0
    for block, lines in printed(name, page(name), capsys):
        for expected in SAYS.findall(block):
            assert expected in lines
            announced += 1
    assert announced


@pytest.mark.parametrize("name", TRANSLATED)
def test_both_languages_run_the_same(name: str):
    check_same(*both(f"docs/{name}"), parts=TRANSLATED[name])


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_and_option_is_told(kind: str):
    made = REFERENCE.made(kind)
    for name in TABLES[kind]:
        own = made.partition(f"### `{name}` ")[2].partition("\n### ")[0]
        assert own.strip()
        assert re.findall(r"^\| `(\w+)` ", own, re.MULTILINE) == list(options_of(lookup(kind, name)))


@pytest.mark.parametrize("kind", REFERENCE.SHORT)
def test_every_name_is_told(kind: str):
    assert re.findall(r"^\| `(\w+)` \| \S", REFERENCE.made(kind), re.MULTILINE) == list(TABLES[kind])


def test_every_verb_and_option_is_told():
    made = REFERENCE.made("verbs")
    assert re.findall(r"^### `ranvier (\w+)`", made, re.MULTILINE) == [
        one.name or one.callback.__name__ for one in app.registered_commands
    ]
    fit = made.partition("### `ranvier fit`")[2].partition("\n### ")[0]
    assert "| `--target -t` | a text, or several |" in fit
    assert "| `DATA` | a text |" in fit
    assert "```sh\nranvier fit reviews.csv" in fit


@pytest.mark.parametrize("room", ["face", "nets", "ops", "train"])
def test_every_public_name_is_told(room: str):
    assert re.fullmatch(r"(::: ranvier\.[\w.]+(\n\n|$))+", REFERENCE.made(f"api.{room}"))


def test_pages_ask_for_every_kind():
    asked = [what for name in ("columns", "networks", "commands", "api") for what in REFERENCE.MARK.findall(page(name))]
    assert set(asked) == {*TABLES, "verbs", "api.face", "api.nets", "api.ops", "api.train"}
    assert len(set(asked)) == len(asked)


def test_what_cannot_be_made_is_refused():
    with pytest.raises(KeyError):
        REFERENCE.filled("<!-- made: nothing -->")


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        (bool, "true or false"),
        (int | Literal["auto"], 'a whole number or `"auto"`'),
        (Literal["a", "b"], '`"a"`, `"b"`'),
        (list[float], "a list, each a number"),
        (Annotated[float, Field(ge=0, lt=1)], "a number ≥ 0 and < 1"),
        (Annotated[str, one_of("activation")], "the name of an activation"),
    ],
)
def test_what_options_take(annotation: Any, said: str):
    assert REFERENCE.takes(annotation) == said


def test_docstrings_are_no_markdown():
    assert REFERENCE.prose("NAME_p_<class> and `a_b`, x * y | z") == r"NAME\_p\_\<class\> and `a_b`, x \* y \| z"
