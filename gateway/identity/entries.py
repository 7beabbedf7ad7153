"""Forms in which tenants, clients and grants are entered: checked where they come in, once."""

from __future__ import annotations

import ipaddress
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from gateway.errors import OperatorError

Id: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{1,63}$")]
Line: TypeAlias = Annotated[str, Field(min_length=1, max_length=200)]


def _network(text: str) -> str:
    return str(ipaddress.ip_network(text, strict=False))


def _digits(value: object) -> object:
    """YAML reads an unquoted region code as a number; six digits are meant as a code."""
    return str(value) if type(value) is int and 100_000 <= value <= 999_999 else value


Region: TypeAlias = Annotated[str, BeforeValidator(_digits), Field(pattern=r"^(\*|\d{6})$")]
Network: TypeAlias = Annotated[str, AfterValidator(_network)]


class Entry(BaseModel):
    """What a person enters: closed form, no silent conversion of unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class QualificationEntry(Entry):
    code: Line
    valid_to: date
    evidence_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class TenantEntry(Entry):
    """An organisation to be registered."""

    id: Id
    type: Annotated[str, Field(pattern=r"^[a-z_]{2,32}$")]
    name: Line
    uscc: Annotated[str, Field(pattern=r"^([0-9A-HJ-NPQRTUWXY]{18})?$")] = ""
    env: Literal["prod", "sandbox"] = "prod"
    crypto: Literal["intl", "gm"] = "intl"
    data_security_officer: Annotated[str, Field(max_length=200)] = ""
    qualifications: tuple[QualificationEntry, ...] = ()
    source_ips: tuple[Network, ...] = ()
    cert_thumbprints: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")], ...] = ()


class ClientEntry(Entry):
    """A machine client to be registered; its keys are checked by `jwks`."""

    id: Id
    tenant: Id
    name: Line


class GrantEntry(Entry):
    """A scenario licence to be reviewed; approvals are acts of two people, not part of it."""

    id: Id
    tenant: Id
    scenario: Annotated[str, Field(pattern=r"^SC\d\d$")]
    product_name: Line
    purpose_text: Annotated[str, Field(min_length=1, max_length=2000)]
    regions: tuple[Region, ...]
    services: tuple[Annotated[str, Field(pattern=r"^S\d\d$")], ...]
    dims: tuple[Line, ...] = ("*",)
    measures: tuple[Line, ...] = ("*",)
    valid_from: date
    valid_to: date
    providers: tuple[Line, ...] = ()
    price_plan: Line
    agreement_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class RegionEntry(Entry):
    """Parts of a region's document that the bureau sets; None leaves a part as it is."""

    title_zh: Line | None = None
    level: Literal["province", "city", "county"] | None = None
    parent: Annotated[str, Field(pattern=r"^\d{6}$")] | None = None
    insured: Annotated[int, Field(ge=0)] | None = None
    data_open: bool | None = None
    pilot: tuple[Annotated[str, Field(pattern=r"^SC\d\d$")], ...] | None = None
    blackout: tuple[Annotated[str, Field(pattern=r"^\d{4}(-\d\d|Q[1-4])?$")], ...] | None = None


EntryType = TypeVar("EntryType", bound=Entry)


def read_entry(form: type[EntryType], path: Path) -> EntryType:
    """The entry in a YAML (or JSON) file; an error names the file and each field that is wrong."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise OperatorError("entry.unreadable", f"Cannot read {path}: {error}.") from error
    return check_entry(form, content, str(path))


def check_entry(form: type[EntryType], content: object, source: str) -> EntryType:
    """The entry made of plain values; an error names each field that is wrong."""
    try:
        return form.model_validate(content)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'document'}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        )
        raise OperatorError("entry.invalid", f"{source}: {faults}.") from error
