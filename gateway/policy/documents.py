"""The documents the rules read: policy data from files, the directory's tenants and grants.

Files under `policies/data/` are merged at their folder path, as OPA does: `scenarios/SC01.yaml`
holding `{SC01: …}` becomes `data.scenarios.SC01`. A tenant or grant that is not of the agreed form
is left out, so that it is unknown and refused, while everybody else goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import orjson
import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from gateway.errors import OperatorError

Documents: TypeAlias = dict[str, Any]  # JSON trees; their form is checked against policies/schemas
Credit: TypeAlias = Annotated[int, Field(ge=0)]
Moment: TypeAlias = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d(T[0-9:.]+(Z|[+-]\d\d:\d\d))?$")]


class PolicyDataError(OperatorError):
    """Policy files that cannot be used; nothing is loaded."""

    def __init__(self, message: str) -> None:
        super().__init__("policy_data", message)


class _Document(BaseModel):
    """A document of the directory; attributes the rules do not read may come along."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)


class Held(_Document):
    """A qualification on file, good until the end of its last day."""

    code: str
    valid_to: Moment


class Tenant(_Document):
    """An organisation that may ask."""

    type: str
    uscc: str
    status: str
    env: Literal["prod", "sandbox"]
    qualifications: list[Held]
    source_ips: list[str]
    cert_thumbprints: list[str]
    credit_limit_fen: Credit = 0  # where there is none, none is set


class Grant(_Document):
    """What one organisation was granted under one scenario."""

    id: str
    tenant: str
    scenario: str
    regions: list[str]
    services: list[str]
    dims: list[str]
    measures: list[str]
    valid_from: Moment
    valid_to: Moment
    approved_by: list[str]
    price_plan: str
    agreement_hash: str
    status: str
    credit_limit_fen: Credit = 0
    enrolment_list_hash: str = ""  # of the consents of a programme's members, where there are
    own_institution: str = ""  # whose own data the grant opens, where it is an institution's


class Region(_Document):
    """An administrative division; insured persons are those of its own pooling area."""

    level: Literal["county", "city", "province"]
    parent: str = ""
    insured: Annotated[int, Field(ge=0)]
    data_open: bool
    pilot: list[str] = []
    blackout: list[Annotated[str, Field(pattern=r"^[1-9]\d{3}(-(0[1-9]|1[0-2])|Q[1-4])?$")]] = []


@dataclass(frozen=True)
class Directory:
    """Directory documents fit for the rules, and why others were left out."""

    documents: Documents
    left_out: tuple[str, ...] = field(default=())


def read_documents(policies: Path) -> Documents:
    """All policy data under `policies/data`, merged by folder."""
    root = policies / "data"
    found: Documents = {}
    for path in sorted((*root.rglob("*.yaml"), *root.rglob("*.json"))):
        place = found
        for part in path.relative_to(root).parent.parts:
            place = place.setdefault(part, {})
        _merge(place, _read(path), path)
    if not found:
        raise PolicyDataError(f"No policy data under {root.name}/; is this the policies folder?")
    return found


def admit(directory: Mapping[str, Any], known_regions: Mapping[str, Any]) -> Directory:
    """Directory documents, malformed ones left out and empty parts filled in.

    What the directory says about a region replaces, attribute by attribute, what the files say.
    """
    left_out: list[str] = []
    said = directory.get("regions", {})
    regions = {
        c: {**_REGION, **known_regions.get(c, {}), **said.get(c, {})}
        for c in {*known_regions, *said}
    }
    tenants = _admitted("tenant", _TENANT, directory.get("tenants", {}), left_out)
    grants = {
        tenant: _admitted(f"grant of {tenant}", _GRANT, granted, left_out)
        for tenant, granted in directory.get("grants", {}).items()
    }
    stops = {kind: directory.get("stops", {}).get(kind, {}) for kind in _STOPS}
    documents = {
        "tenants": tenants,
        "grants": grants,
        "regions": _admitted("region", _REGION_FORM, regions, left_out),
        "stops": stops,
        "releases": directory.get("releases", {}),
    }
    return Directory(documents, tuple(left_out))


def digest(rego: Mapping[str, str], documents: Documents) -> str:
    """Revision of rules and data together: edition and hash; equal content, equal revision."""
    summed = hashlib.sha256()
    for path, text in sorted(rego.items()):
        summed.update(f"{path}\0{text}\0".encode())
    summed.update(orjson.dumps(documents, option=orjson.OPT_SORT_KEYS))
    edition = documents.get("policy", {}).get("version", "0")
    return f"{edition}+{summed.hexdigest()[:16]}"


def read_rego(policies: Path, *, tests: bool = False) -> dict[str, str]:
    """Every rule file by its path inside the policies folder; test files only when asked for."""
    return {
        str(path.relative_to(policies)): path.read_text(encoding="utf-8")
        for path in sorted(policies.rglob("*.rego"))
        if tests or not path.name.endswith("_test.rego")
    }


_TENANT: TypeAdapter[Tenant] = TypeAdapter(Tenant)
_GRANT: TypeAdapter[Grant] = TypeAdapter(Grant)
_REGION_FORM: TypeAdapter[Region] = TypeAdapter(Region)
_REGION: Documents = {"pilot": [], "blackout": []}
_STOPS = ("tenant", "scenario", "service", "region", "brake")


def _admitted(
    kind: str, form: TypeAdapter[Any], found: Mapping[str, Any], left_out: list[str]
) -> dict[str, Any]:
    kept = {}
    for key, document in found.items():
        try:
            form.validate_python(document)
        except ValidationError as error:
            fields = sorted(
                {str(part["loc"][0]) if part["loc"] else "form" for part in error.errors()}
            )
            left_out.append(f"{kind} {key}: {', '.join(fields)}")
        else:
            kept[key] = document
    return kept


def _read(path: Path) -> Documents:
    try:
        text = path.read_text(encoding="utf-8")
        content = orjson.loads(text) if path.suffix == ".json" else yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise PolicyDataError(f"{path.name} cannot be read as policy data: {error}") from error
    if not isinstance(content, dict):
        raise PolicyDataError(f"{path.name} must hold a mapping at its top.")
    return content


def _merge(place: Documents, content: Documents, path: Path) -> None:
    for key, value in content.items():
        if isinstance(place.get(key), dict) and isinstance(value, dict):
            _merge(place[key], value, path)
        elif key in place:
            raise PolicyDataError(f"{path.name} says {key!r} a second time.")
        else:
            place[key] = value


class _Loader(yaml.CSafeLoader):
    """YAML without a second value for one key: a repeated key is a mistake, not an override."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if len(set(keys)) != len(keys):
            raise yaml.constructor.ConstructorError(
                None, None, "a key occurs twice", node.start_mark
            )
        return super().construct_mapping(node, deep)
