"""Read what grants are measured against: scenarios, services and regions under `policies/`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gateway.catalogue.load import load_catalogue
from gateway.catalogue.remembered import Remembered
from gateway.errors import OperatorError
from gateway.identity.narrowing import Boundaries


def load_boundaries(policies: Path) -> Boundaries:
    """Scenarios, catalogue and regions as they lie on disk; fails when one of them is missing."""
    return _KNOWN.of(policies)


def _load(policies: Path) -> Boundaries:
    data = policies / "data"
    scenarios: dict[str, Any] = {}
    for path in sorted((data / "scenarios").glob("*.yaml")):
        scenarios |= _mapping(path)
    if not scenarios:
        raise OperatorError(
            "policy.scenarios_missing", f"No scenario found in {data / 'scenarios'}."
        )
    regions = _mapping(data / "regions.yaml")
    return Boundaries(
        scenarios=scenarios,
        services={**load_catalogue(policies).as_policy_data(), **_person_services(policies)},
        regions=regions.get("regions", regions),
    )


_KNOWN = Remembered(_load)


def _person_services(policies: Path) -> dict[str, Any]:
    """Services about one person: they have no cells, so a grant names no dims or measures."""
    path = policies / "person" / "services.yaml"
    listed = _mapping(path) if path.is_file() else {}
    return {
        service: {**entry, "grain": "person", "dims": [], "measures": []}
        for service, entry in listed.items()
    }


def _mapping(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise OperatorError("policy.unreadable", f"Cannot read {path}: {error}.") from error
    if not isinstance(content, Mapping):
        raise OperatorError("policy.unreadable", f"{path} must hold a mapping.")
    # YAML has dates and other types that policy data, which is JSON, has not.
    plain: dict[str, Any] = json.loads(json.dumps(content, default=str))
    return plain
