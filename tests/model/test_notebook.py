"""What notebooks show of plans, models and reports: sound, escaped, by itself, and with what matters in it."""

from __future__ import annotations

import pickle
from html.parser import HTMLParser

import polars as pl
import pytest

import ranvier as rv
from ranvier.core.html import card, folded, lines, table
from ranvier.core.plan import Plan

NAME = "<b>si&ze</b>"  # of a column
ROWS = pl.DataFrame({NAME: [1.0, 2.0, 3.0, 4.5] * 10, "kind": ["<i>a</i>", "b"] * 20, "x": [0.5, 1.5] * 20})


class Sound(HTMLParser):
    """Refuses tags that are not closed in their order; keeps tags, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.styles = ""
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.styles += "".join(str(value) for _, value in attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def model() -> rv.Model:
    return rv.fit(ROWS, target="kind", epochs=1, progress=False)


def check(html: str) -> str:
    """The text in it; no tag of the data's, nothing fetched or run, no colour that one of dark and light would hide."""
    found = Sound(html)
    assert found.tags <= {"div", "p", "b", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"}
    assert found.attributes == {"style"}
    assert "url(" not in found.styles
    assert "#" not in found.styles
    return found.text


def test_plan_shows_columns_choices_and_reasons():
    plan = rv.plan(ROWS, target="kind")
    text = check(plan._repr_html_())
    assert f"Plan: {NAME}, x → kind" in text
    assert plan.why["train.batch"].why in text
    assert plan.why["columns.kind.type"].why in text


def test_plan_shows_what_it_will_do_where_it_was_changed():
    plan = rv.plan(ROWS, target="kind")
    plan.train.batch = 17
    assert "train.batch17" in check(plan._repr_html_())


def test_plan_of_nothing():
    assert "Plan: nothing → nothing" in check(Plan()._repr_html_())


def test_report_shows_figures_meanings_and_confusion(model: rv.Model):
    report = model.judge(ROWS)
    text = check(report._repr_html_())
    assert "Figures: test" in text
    assert f"accuracy{report.metrics['accuracy']:.5g}share of rows whose class is right" in text
    assert "truth \\ predicted<i>a</i>b" in text
    assert f"brier_score{report.metrics['brier_score']:.5g}" in text


def test_what_evaluate_gives_is_a_dict_that_shows_the_report(model: rv.Model):
    report = model.judge(ROWS)
    figures = model.evaluate(ROWS, show=False)
    assert figures == report.metrics
    again = pickle.loads(pickle.dumps(figures))
    assert again == figures
    assert check(again._repr_html_()) == check(report._repr_html_())


def test_model_shows_figures_plan_and_notes(model: rv.Model):
    text = check(model._repr_html_())
    assert repr(model) in text
    assert "Figures: validation (used for selection)" in text
    assert "Plan: " in text
    assert all(note in text for note in model.notes)


def test_pieces_escape_all_they_are_given():
    evil = '<script>"&'
    for html in (card(evil), table([evil], [[evil]]), lines([evil]), folded(evil, "")):
        assert "<script" not in html
        assert evil in Sound(html).text


def test_values_are_short():
    text = Sound(table(["x"], [[0.123456789], [list(range(100))]])).text
    assert "0.12346" in text
    assert len(text) < 100
