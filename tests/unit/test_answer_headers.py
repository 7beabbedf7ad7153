"""Headers of an answer whose body has no place for its meta."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from gateway.api.queries import answer_response
from gateway.serving.accept import CSV
from gateway.serving.model import Answer


@pytest.mark.parametrize("reason", ["供应商修复", "30 × 2 · é", "😀", 'a "quoted" \\ word'])
def test_meta_in_a_header_is_json_whatever_letters_it_has(reason: str) -> None:
    meta: dict[str, object] = {"quota": {}, "watermark": "w", "waivers": [{"reason": reason}]}
    reply = answer_response(Answer(b"", CSV, meta, None), datetime(2025, 6, 2, tzinfo=UTC))
    told = reply.headers["Sluice-Meta"]
    assert told.isascii()
    assert json.loads(told) == meta
