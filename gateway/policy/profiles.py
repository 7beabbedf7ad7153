"""Disclosure profiles: the policy's own merge rule, evaluated once for every service and scenario.

Release building, decisions and an OPA server all read the result, so they cannot differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from gateway.policy.documents import Documents, PolicyDataError, read_documents, read_rego
from gateway.policy.engine import build_engine


def merged_profiles(
    policies: Path, catalogue: Mapping[str, Any]
) -> dict[tuple[str, str], dict[str, Any]]:
    """The merged profile of each (service, scenario) that name each other.

    `catalogue` is the services' policy data (`Catalogue.as_policy_data()`).
    """
    documents = {**read_documents(policies), "services": dict(catalogue)}
    found = profile_table(read_rego(policies), documents)
    return {(service, name): dict(p) for service, by in found.items() for name, p in by.items()}


def profile_key(profile: Mapping[str, Any]) -> str:
    """Name of the cell file a profile belongs to; equal rules, equal key."""
    text = orjson.dumps(dict(profile), option=orjson.OPT_SORT_KEYS)
    return f"{profile['name']}-{hashlib.sha256(text).hexdigest()[:8]}"


def profile_table(rego: Mapping[str, str], documents: Documents) -> Documents:
    """`profiles[service][scenario]` as `data.profile.by_service` works it out."""
    engine = build_engine(rego, documents)
    engine.set_input_json("{}")
    found: Documents = orjson.loads(engine.eval_rule_as_json("data.profile.by_service"))
    missing = _expected(documents) - {
        (service, name) for service in found for name in found[service]
    }
    if missing:
        raise PolicyDataError(f"These pairs have no merged profile: {sorted(missing)}")
    return found


def _expected(documents: Documents) -> set[tuple[str, str]]:
    return {
        (service, name)
        for service, contract in documents["services"].items()
        for name, scenario in documents["scenarios"].items()
        if service in scenario["services"] and {"*", name} & set(contract["scenarios"])
    }
