"""The console's declarations are whole: words for everything, templates that use their context."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from gateway.console import pages
from gateway.console.cells import cell, moment, money
from gateway.console.fields import body_of, fields_of, kind_of
from gateway.console.routes import WORDS
from gateway.console.site import read_site
from gateway.console.tables import localised, parts_of
from gateway.errors import OperatorError
from gateway.identity.entries import GrantEntry, LimitEntry, TenantEntry
from gateway.pages.charts import Point, bars
from gateway.pages.words import SHARED_WORDS, Words, read_words

SITE = read_site()
TOLD = read_words(SHARED_WORDS, WORDS)
ZH, EN = Words(TOLD, "zh"), Words(TOLD, "en")
TEMPLATES = Path(pages.__file__).parent / "templates"
CONTEXTS = list(pages.Page.__subclasses__())


def test_every_sentence_is_in_both_languages() -> None:
    assert [key for key, said in TOLD.items() if said.keys() != {"zh", "en"}] == []
    assert [key for key, said in TOLD.items() if not all(map(str.strip, said.values()))] == []


def test_every_page_act_column_and_field_has_words() -> None:
    acts = [act for page in SITE.pages.values() for act in (*page.make, *page.acts)]
    forms = [form for act in acts if (form := SITE.endpoint(act.do).form)]
    wanted = {f"group_{each}" for each in SITE.groups} | {f"page_{each}" for each in SITE.pages}
    wanted |= {f"act_{act.do.replace('.', '_')}" for act in acts}
    wanted |= {f"lead_{name}" for name, page in SITE.pages.items() if not page.own}
    columns = [each for page in SITE.pages.values() for each in page.columns]
    wanted |= {f"field_{each.partition(':')[0]}" for each in columns}
    for form in forms:
        known = fields_of(form, EN, {}, {})
        wanted |= {f"field_{each.name.rpartition('.')[2]}" for each in known}
    assert sorted(each for each in wanted if each not in TOLD) == []


def test_every_state_an_act_waits_for_has_words() -> None:
    acts = [act for page in SITE.pages.values() for act in page.acts]
    states = {f"value_{state}" for act in acts for state in act.when}
    assert sorted(states - TOLD.keys()) == []


@pytest.mark.parametrize("page", CONTEXTS, ids=lambda each: each.__name__)
def test_a_template_is_small_and_uses_every_field_of_its_context(page: type[pages.Page]) -> None:
    text = (TEMPLATES / page.template).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    base = (TEMPLATES / "base.html").read_text(encoding="utf-8")
    used = set(re.findall(r"\bpage\.(\w+)", text + base))
    assert used == {each.name for each in dataclasses.fields(page)}


def test_no_python_of_the_pages_writes_html() -> None:
    for file in Path(pages.__file__).parent.rglob("*.py"):
        assert not re.search(r"</?[a-z]+[ >]", file.read_text(encoding="utf-8")), file.name


def test_what_is_typed_is_what_the_operation_takes() -> None:
    said = {
        "cut_off_date": ["2026-12-01"], "strategy": ["historical"], "termination_date": [""],
        "unknown": ["dropped"],
    }  # fmt: skip
    assert body_of(LimitEntry, said) == {"cut_off_date": "2026-12-01", "strategy": "historical"}
    lists = {"regions": ["990100\r\n990200"], "services": ["S01", "S02"]}
    told = body_of(GrantEntry, lists)
    assert told["regions"] == ["990100", "990200"]
    assert told["services"] == ["S01", "S02"]


@pytest.mark.parametrize(("typed", "fen"), [("0.01", 1), ("12,345.60", 1234560), ("-3", -300)])
def test_amounts_are_exact(typed: str, fen: int) -> None:
    assert body_of(TenantEntry, {"credit_limit_fen": [typed]})["credit_limit_fen"] == fen


@pytest.mark.parametrize("typed", ["0.001", "abc", "NaN", "Infinity", "1e400000000"])
def test_what_is_no_amount_is_told(typed: str) -> None:
    with pytest.raises(OperatorError, match="credit_limit_fen"):
        body_of(TenantEntry, {"credit_limit_fen": [typed]})


def test_fields_know_how_they_are_typed() -> None:
    kinds = {name: kind_of(name, info) for name, info in TenantEntry.model_fields.items()}
    assert kinds["credit_limit_fen"] == "money"
    assert kinds["env"] == "choice"
    assert kinds["source_ips"] == "lines"
    assert kinds["qualifications"] == "json"
    assert kind_of("purpose_text", GrantEntry.model_fields["purpose_text"]) == "text"
    assert kind_of("valid_to", GrantEntry.model_fields["valid_to"]) == "date"


def test_values_read_as_people_write_them() -> None:
    assert (money(-123456), money(5)) == ("-¥1,234.56", "¥0.05")
    assert moment("2026-11-23T16:00:00+00:00") == "2026-11-24 00:00:00"
    assert moment("not a time") == "not a time"
    assert cell(True, ZH).text == "是"
    assert cell("suspended", EN, "state").tone == "warn"
    assert cell("nobody-classed-this", EN, "state").tone == ""
    assert cell(None, EN).text == "—"


def test_documents_become_tables_where_they_have_the_shape_of_one() -> None:
    document = {
        "id": "S01",
        "title": {"zh": "概览", "en": "Overview"},
        "dims": [{"name": "a", "classification": {"item": "x", "level": 2}}],
        "cells": {"k11": 3, "k5": 4},
        "deep": {"a": {"b": {"c": [1, {"d": 2}]}}},
        "text": "line\nline",
    }
    facts, tables, texts = parts_of(localised(document, "zh"), ZH, {})
    assert [each.cell.text for each in facts] == ["S01", "概览"]
    assert [[cell.text for cell in row] for row in tables[0].rows] == [["a", "x", "2"]]
    assert len(tables) == 2
    assert [each.cell.kind for each in texts] == ["json", "text"]


def test_bars_stand_on_zero_and_reach_no_further_than_the_chart() -> None:
    chart = bars("t", [Point("a", 0, "0"), Point("b", 7, "7"), Point("c", 8, "8")])
    assert chart.marks[0].height == 0
    assert chart.marks[2].height / chart.marks[1].height == pytest.approx(8 / 7, rel=1e-3)
    assert all(mark.y >= 0 and mark.y + mark.height <= chart.height for mark in chart.marks)
    assert all(mark.x >= 0 and mark.x + mark.width <= chart.width for mark in chart.marks)
    assert [tick.text for tick in chart.ticks] == ["0", "2", "4", "6", "8"]
    assert bars("empty", []).marks == []
