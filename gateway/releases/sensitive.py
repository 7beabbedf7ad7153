"""Codes that give a sensitive diagnosis away, and where a profile may show them (SPEC §4.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.catalogue.model import Dim, Service
from gateway.errors import OperatorError
from gateway.releases.domains import SENSITIVE, Domain, listed
from gateway.releases.shapes import dims_by_column

ROLL_UP = "roll_up_chapter"


def rolled_up(service: Service, document: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """Diagnosis codes that are always counted as their chapter's `sensitive_other`, by column."""
    return {
        column: frozenset(code for code in listed(dim, column) if is_sensitive(document, dim, code))
        for column, dim in dims_by_column(service).items()
        if dim.name in service.disclosure.sensitive_dims and _kind(document, dim) == "dx"
    }


def banned(
    service: Service,
    domains: Mapping[str, Domain],
    document: Mapping[str, Any],
    profile: Mapping[str, Any],
) -> Mapping[str, Sequence[int]]:
    """Places of the codes that a profile never shows, by column.

    Where a profile rolls up to the chapter, the top of an axis and `sensitive_other` may be shown;
    every other profile shows nothing that names the set.
    """
    gentle = profile.get("sensitive_dx") == ROLL_UP
    found = {}
    for column, dim in dims_by_column(service).items():
        if dim.name not in service.disclosure.sensitive_dims:
            continue
        top = domains[column].coarser is None and _has_finer(domains, column)
        if gentle and top:
            continue
        found[column] = [
            place
            for place, code in enumerate(domains[column].values)
            if (not gentle and code.startswith(f"{SENSITIVE}."))
            or is_sensitive(document, dim, code)
        ]
    return found


def _has_finer(domains: Mapping[str, Domain], column: str) -> bool:
    return any(domain.coarser == column for domain in domains.values())


def is_sensitive(document: Mapping[str, Any], dim: Dim, code: str) -> bool:
    """Whether the code belongs to an enabled set, by diagnosis range or by prefix."""
    enabled = {entry["id"]: entry for entry in document["dx"] if entry["enabled"]}
    if _kind(document, dim) == "dx":
        return any(
            first <= code[:3] <= last
            for entry in enabled.values()
            for first, last in entry["ranges"]
        )
    return any(
        code.startswith(entry["prefix"]) and entry["implies"] in enabled
        for family in _families(document, dim)
        for entry in document["prefix"].get(family, ())
    )


def _kind(document: Mapping[str, Any], dim: Dim) -> str:
    """Whether a dim's codes are diagnoses or are compared by prefix; a dim that nothing is said of
    is not taken for harmless."""
    listed = document["dims"].get(dim.name)
    if listed is not None:
        return str(listed)
    if dim.sensitive is None:
        raise OperatorError(
            "sensitive_dim_unknown",
            f"Dim {dim.name} is named in sensitive_dims, but neither data/sensitive.yaml nor its "
            "own `sensitive` says what its codes are.",
            f"维度{dim.name}列为敏感维度，但未说明其编码类别。",
        )
    return "dx" if dim.sensitive == "dx" else "prefix"


def _families(document: Mapping[str, Any], dim: Dim) -> Sequence[str]:
    """The prefix lists a dim's codes are compared with."""
    own = (dim.sensitive,) if dim.sensitive and dim.name not in document["dims"] else ()
    found: Sequence[str] = document["families"].get(dim.name, own)
    return found
