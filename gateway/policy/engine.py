"""The embedded Rego engine: one function, as an engine belongs to the thread that makes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import regorus

from gateway.policy.documents import Documents, PolicyDataError


def build_engine(rego: Mapping[str, str], documents: Documents) -> Any:  # regorus has no types
    """An engine with these rules and data, for use by the calling thread only.

    Rules that do not parse are a `PolicyDataError` with file, line and excerpt.
    """
    engine = regorus.Engine()
    try:
        for path, text in rego.items():
            engine.add_policy(path, text)
        engine.add_data_json(orjson.dumps(documents).decode())
    except RuntimeError as error:
        raise PolicyDataError(engine_words(error)) from None
    return engine


def engine_words(error: BaseException) -> str:
    """The engine's message without its stack backtrace."""
    return str(error).split("\n\nStack backtrace")[0].strip()
