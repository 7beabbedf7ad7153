"""A page at hand serves only the question, tenant, release and obligations it was made for."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.policy.port import ColumnRule, Obligations, TariffRule
from gateway.serving.accept import ARROW, CSV, JSON
from gateway.serving.charge import Counted
from gateway.serving.pages import Pages, Ready
from gateway.serving.render import RENDER, Finish, Table

TABLE = Table(1, {"geo": ["990100"]}, {"n": [12]}, {"n": ["o"]}, {"n": "count"})
OBLIGED = Obligations(
    profile={"name": "p", "k": 11},
    columns=(ColumnRule("n", "C06-01", "L2", "none"),),
    sensitive_dx="hide",
    max_cells=100,
    quota={},
    watermark="per_answer",
    log_level="full",
    notify_person=False,
    tariff=TariffRule("per_1000_cells", 1, "p/2026", "p", free=False),
    ttl=300,
)
SERVICE, MANIFEST = object(), object()


def asked(**changes: Any) -> Any:
    """What a page depends on of a decided question."""
    fact = {"service": SERVICE, "manifest": MANIFEST, "tenant": "T-1", "digest": "d", "offset": 0}
    fact |= changes
    question = SimpleNamespace(service=fact["service"], page_size=500)
    pinned = SimpleNamespace(
        question=question,
        manifest=fact["manifest"],
        digest=fact["digest"],
        offset=fact["offset"],
        measures=("n",),
    )
    caller = SimpleNamespace(tenant_id=fact["tenant"])
    return SimpleNamespace(pinned=pinned, case=SimpleNamespace(caller=caller))


def page(rows: int = 10) -> Ready:
    return Ready(Counted(rows, rows, 0), rows, rows, {}, Finish(b"", lambda _meta, _cursor: b""))


def test_a_page_is_found_again_under_equal_obligations() -> None:
    pages, made = Pages(), page()
    pages.keep(asked(), OBLIGED, JSON, made)
    assert pages.find(asked(), replace(OBLIGED), JSON) is made


@pytest.mark.parametrize(
    "changes",
    [
        {"tenant": "T-2"},
        {"digest": "e"},
        {"offset": 1},
        {"manifest": object()},
        {"service": object()},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_page_serves_nothing_else(changes: dict[str, Any]) -> None:
    pages = Pages()
    pages.keep(asked(), OBLIGED, JSON, page())
    assert pages.find(asked(**changes), OBLIGED, JSON) is None


@pytest.mark.parametrize(
    "other",
    [
        {"columns": (ColumnRule("n", "C06-01", "L2", "suppress"),)},
        {"profile": {"name": "p", "k": 30}},
        {"max_cells": 1},
        {"watermark": "per_tenant"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_page_is_made_anew_when_the_policy_obliges_to_something_else(
    other: dict[str, Any],
) -> None:
    pages = Pages()
    pages.keep(asked(), OBLIGED, JSON, page())
    assert pages.find(asked(), replace(OBLIGED, **other), JSON) is None
    assert pages.find(asked(), OBLIGED, CSV) is None


def test_pages_nobody_asked_for_longest_make_room() -> None:
    pages = Pages(most_cells=25)
    for digest in ("a", "b"):
        pages.keep(asked(digest=digest), OBLIGED, JSON, page(10))
    pages.find(asked(digest="a"), OBLIGED, JSON)
    pages.keep(asked(digest="c"), OBLIGED, JSON, page(10))
    pages.keep(asked(digest="huge"), OBLIGED, JSON, page(26))
    found = [d for d in "abc" if pages.find(asked(digest=d), OBLIGED, JSON)]
    assert found == ["a", "c"]
    assert pages.find(asked(digest="huge"), OBLIGED, JSON) is None


@pytest.mark.parametrize("media", [JSON, CSV, ARROW])
def test_the_hash_on_record_is_that_of_the_body(media: str) -> None:
    finish = RENDER[media](TABLE)
    for meta in ({}, {"time": "2025-06-02"}):
        body = finish(meta, "next")
        assert finish.sha256(body) == hashlib.sha256(body).hexdigest()
