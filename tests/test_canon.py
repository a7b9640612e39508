"""The pages on the canon of training: every example and call runs, all parts are named, both languages say the same."""

from __future__ import annotations

import ast
import contextlib
import copy
import io
import re
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from pages import BLOCK, ROOT, both

from ranvier.core.errors import RanvierWarning
from ranvier.core.plan import Plan
from ranvier.core.registry import TABLES
from ranvier.evaluate.figures import MEANINGS
from ranvier.planning.settle import settle

DOCS = ROOT / "docs"
TEXTS = dict(zip(("en", "zh"), both("docs/canon"), strict=True))
KINDS = ("activation", "init", "norm", "loss", "optimizer", "schedule", "augment", "mix")
LARGEST = 15_000  # bytes of a picture

PRINTS = re.compile(r"print\(.*\)  # (->|about|约) (.+)$", re.MULTILINE)


def blocks(text: str) -> list[tuple[int, str]]:
    """The Python examples of a page, each with the number of its first line."""
    return [(text.count("\n", 0, found.start(1)) + 1, found[1]) for found in BLOCK.finditer(text)]


def spans(text: str) -> list[str]:
    """What stands between backticks outside of the examples."""
    return re.findall(r"`([^`\n]+)`", BLOCK.sub("", text))


def pieces(text: str) -> list[tuple[int, str, list[str]]]:
    """Each example with its line, and the calls and settings in the text between it and the next one."""
    starts = [found.start() for found in BLOCK.finditer(text)] + [len(text)]
    between = [text[a:b] for a, b in pairwise(starts)]
    return [
        (line, code, [span for span in spans(part) if span.startswith(("rv.", "plan.")) and re.search(r"[(=]", span)])
        for (line, code), part in zip(blocks(text), between, strict=True)
    ]


def said(code: str) -> list[tuple[str, str]]:
    """(how, what) the example says that it prints."""
    return [("->" if how == "->" else "about", what) for how, what in PRINTS.findall(code)]


def check_printed(code: str, printed: str, where: str) -> None:
    """Every line that the example announces is printed, in this order; numbers "about" to a tenth or 0.1."""
    lines = iter(printed.splitlines())
    for how, what in said(code):
        if how == "->":
            assert any(line.strip() == what for line in lines), f"{where}: {what!r} is not printed, but\n{printed}"
        else:
            close = pytest.approx(float(what), rel=0.1, abs=0.1 if float(what) > 0.1 else 0.01)
            assert any(_number(line) == close for line in lines), f"{where}: not about {what}, but\n{printed}"


def _number(line: str) -> float:
    try:
        return float(line)
    except ValueError:
        return float("inf")


def execute(code: str, line: int, namespace: dict[str, Any]) -> str:
    """What the code of `docs/canon.md`, from that line on, prints."""
    out = io.StringIO()
    padded = "\n" * (line - 1) + code  # so that a traceback names the line of the page
    with contextlib.redirect_stdout(out), warnings.catch_warnings():
        if ".notes" in code:  # the example shows what is warned of
            warnings.simplefilter("ignore", RanvierWarning)
        exec(compile(padded, str(DOCS / "canon.md"), "exec"), namespace)
    return out.getvalue()


def run_span(span: str, namespace: dict[str, Any]) -> None:
    """A call, or a setting of the example's plan, which then is settled."""
    if span.startswith("rv."):
        eval(span, dict(namespace))
        return
    plan = namespace["plan"]
    edited: Plan = copy.deepcopy(plan)
    edited._memory = plan._memory
    exec(span, {**namespace, "plan": edited})
    settle(edited)


def test_every_example_and_call_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each block after the first one alone, so that a reader may begin anywhere; then the calls that follow it."""
    monkeypatch.chdir(tmp_path)
    (line, first, _), *others = pieces(TEXTS["en"])
    setup: dict[str, Any] = {"__name__": "canon"}
    execute(first, line, setup)
    for line, code, calls in others:
        where = f"canon.md:{line}"
        namespace = dict(setup)
        check_printed(code, execute(code, line, namespace), where)
        changed = [name for name in setup if name != "__builtins__" and namespace[name] is not setup[name]]
        assert not changed, f"{where} gives {changed} of the first block another value, which later blocks would meet"
        for span in calls:
            try:
                run_span(span, namespace)
            except Exception as error:
                raise AssertionError(f"{where}: `{span}` fails: {type(error).__name__}: {error}") from error


def test_both_languages_have_the_same_examples():
    english, chinese = (blocks(TEXTS[language]) for language in ("en", "zh"))
    assert [ast.dump(ast.parse(code)) for _, code in chinese] == [ast.dump(ast.parse(code)) for _, code in english]
    assert [said(code) for _, code in chinese] == [said(code) for _, code in english]


def test_both_languages_have_the_same_shape():
    """Headings by level, pictures, links, and what the tables call and name."""

    def shape(text: str) -> dict[str, list[str]]:
        text = BLOCK.sub("", text)
        return {
            "headings": re.findall(r"^(#+) ", text, re.MULTILINE),
            "pictures": re.findall(r"!\[.*?\]\((.*?)\)", text),
            "rows": re.findall(r"^\| (`.*?`)", text, re.MULTILINE),
            "calls": [span for span in spans(text) if span.startswith(("rv.", "plan."))],
        }

    assert shape(TEXTS["zh"]) == shape(TEXTS["en"])


@pytest.mark.parametrize("language", TEXTS)
def test_all_parts_and_metrics_are_named(language: str):
    named = set(spans(TEXTS[language]))
    assert [(kind, name) for kind in KINDS for name in TABLES[kind] if name not in named] == []
    assert [(kind, name) for kind, figures in MEANINGS.items() for name in figures if name not in named] == []


@pytest.mark.parametrize("language", TEXTS)
def test_links_lead_somewhere(language: str):
    text = BLOCK.sub("", TEXTS[language])
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = re.findall(r"\]\((?!https?:)([^)]+)\)", text)
    assert [link for link in links if link.startswith("#") and link[1:] not in anchors] == []
    assert [link for link in links if not link.startswith("#") and not (DOCS / link).exists()] == []


def test_pictures_are_small_sound_and_shown():
    shown = set(re.findall(r"\]\(img/(.*?)\)", "".join(page.read_text(encoding="utf-8") for page in DOCS.glob("*.md"))))
    files = {path.name: path for path in (DOCS / "img").glob("*.svg")}
    assert set(files) == shown
    for name, path in files.items():
        assert path.stat().st_size <= LARGEST, name
        drawn = ElementTree.parse(path).getroot()
        assert drawn.tag.endswith("svg")
        backgrounds = [e for e in drawn if e.tag.endswith("rect")]  # of its own, so that any page will do
        assert backgrounds
        assert backgrounds[0].get("width") in ("100%", drawn.get("width"))
