"""Forms in which tenants, clients and grants are entered: checked where they come in, once."""

from __future__ import annotations

import ipaddress
import unicodedata
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from gateway.errors import OperatorError
from gateway.identity.addresses import address_fault, redirect_fault
from gateway.identity.model import AuthMethod, Binding, CutOffStrategy, GrantType
from gateway.identity.uscc import uscc_fault

_WIDEST = {4: 8, 6: 32}
_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # control, direction, half characters, line ends
_NO_CONTROLS = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"  # but line breaks and tabs

Id: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{1,63}$")]


def plain_fault(text: str) -> str | None:
    """What is wrong with a line of text that people will read; None when nothing is."""
    if any(unicodedata.category(each) in _INVISIBLE for each in text):
        return "invisible characters are not accepted here"
    return None


def _plain(text: str) -> str:
    if fault := plain_fault(text):
        raise ValueError(fault)
    return text


Line: TypeAlias = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain)]
Credit: TypeAlias = Annotated[int, Field(ge=0, le=10**12)]
"""The most that may be owed for a month, in fen; where it is left out nothing bounds it."""
MaybeLine: TypeAlias = Annotated[str, Field(max_length=200), AfterValidator(_plain)]


def _network(text: str) -> str:
    network = ipaddress.ip_network(text, strict=False)
    if network.prefixlen < _WIDEST[network.version]:
        raise ValueError("an allow-list names no network that wide")
    return str(network)


def _digits(value: object) -> object:
    """YAML reads an unquoted region code as a number; six digits are meant as a code."""
    return str(value) if type(value) is int and 100_000 <= value <= 999_999 else value


def _redirect(uri: str) -> str:
    if fault := redirect_fault(uri):
        raise ValueError(fault)
    return uri


def _https(uri: str) -> str:
    if fault := address_fault(uri):
        raise ValueError(fault)
    return uri


def _uscc(text: str) -> str:
    fault = uscc_fault(text) if text else None
    if fault:
        raise ValueError(fault)
    return text


Uscc: TypeAlias = Annotated[str, AfterValidator(_uscc)]
"""A unified social credit number, or nothing."""
RedirectUri: TypeAlias = Annotated[str, AfterValidator(_redirect)]
HttpsUri: TypeAlias = Annotated[str, AfterValidator(_https)]
Region: TypeAlias = Annotated[str, BeforeValidator(_digits), Field(pattern=r"^(\*|\d{6})$")]
Network: TypeAlias = Annotated[str, AfterValidator(_network)]
Thumbprint: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]


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
    uscc: Uscc = ""
    env: Literal["prod", "sandbox"] = "prod"
    crypto: Literal["intl", "gm"] = "intl"
    data_security_officer: MaybeLine = ""
    qualifications: tuple[QualificationEntry, ...] = ()
    source_ips: tuple[Network, ...] = ()
    cert_thumbprints: tuple[Thumbprint, ...] = ()
    contact: MaybeLine = ""
    credit_limit_fen: Credit | None = None
    signed_requests: bool = False


class TenantUpdate(Entry):
    """Facts of a tenant to be replaced; None leaves a fact as it is."""

    name: Line | None = None
    contact: MaybeLine | None = None
    crypto: Literal["intl", "gm"] | None = None
    data_security_officer: MaybeLine | None = None
    qualifications: tuple[QualificationEntry, ...] | None = None
    source_ips: tuple[Network, ...] | None = None
    cert_thumbprints: tuple[Thumbprint, ...] | None = None
    credit_limit_fen: Credit | None = None
    signed_requests: bool | None = None


class LimitEntry(Entry):
    """How far a limited tenant may still ask, and when it ends."""

    cut_off_date: date
    strategy: CutOffStrategy = "historical"
    termination_date: date | None = None


class ProductEntry(Entry):
    """A software product to be registered; its uploaded keys are checked by `jwks`."""

    id: Id
    tenant: Id
    name_zh: Line
    name_en: Line
    logo_uri: HttpsUri | None = None
    redirect_uris: Annotated[tuple[RedirectUri, ...], Field(max_length=20)] = ()
    jwks: dict[str, object] | None = None
    jwks_uri: HttpsUri | None = None
    security_contact: Line

    @model_validator(mode="after")
    def _one_key_source(self) -> Self:
        if (self.jwks is None) == (self.jwks_uri is None):
            raise ValueError("give either jwks or jwks_uri")
        return self


class ClientEntry(Entry):
    """A machine client to be registered; its keys are checked by `jwks`."""

    id: Id
    tenant: Id
    name: Line


class ClientTerms(Entry):
    """How a client proves itself and what it may ask for; the default is a machine with DPoP."""

    product_id: Id | None = None
    jwks_uri: HttpsUri | None = None
    redirect_uris: Annotated[tuple[RedirectUri, ...], Field(max_length=20)] = ()
    grant_types: tuple[GrantType, ...] = ("client_credentials",)
    auth_method: AuthMethod = "private_key_jwt"
    tls_subject_dn: Annotated[str, Field(min_length=3, max_length=500)] | None = None
    tls_san_dns: Annotated[str, Field(pattern=r"^[a-z0-9.-]{1,200}$")] | None = None
    binding: Binding = "dpop"
    message_signing: bool = False
    answer_encryption: Literal["ECDH-ES+A256KW", "RSA-OAEP-256"] | None = None
    registration_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        names = (self.tls_subject_dn, self.tls_san_dns)
        if (self.auth_method == "tls_client_auth") != (sum(map(bool, names)) == 1):
            raise ValueError("tls_client_auth needs one of tls_subject_dn or tls_san_dns")
        if not self.grant_types or len(set(self.grant_types)) < len(self.grant_types):
            raise ValueError("name each grant type once, and at least one")
        asks_people = "authorization_code" in self.grant_types
        if asks_people != bool(self.redirect_uris):
            raise ValueError("authorization_code and redirect_uris go together")
        if "refresh_token" in self.grant_types and not asks_people:
            raise ValueError("refresh_token needs authorization_code")
        return self


class GrantEntry(Entry):
    """A scenario licence to be reviewed; approvals are acts of two people, not part of it."""

    id: Id
    tenant: Id
    scenario: Annotated[str, Field(pattern=r"^SC\d\d$")]
    product_name: Line
    purpose_text: Annotated[str, Field(min_length=1, max_length=2000, pattern=_NO_CONTROLS)]
    regions: tuple[Region, ...]
    services: tuple[Annotated[str, Field(pattern=r"^S\d\d$")], ...]
    dims: tuple[Line, ...] = ("*",)
    measures: tuple[Line, ...] = ("*",)
    valid_from: date
    valid_to: date
    providers: tuple[Line, ...] = ()
    price_plan: Line
    credit_limit_fen: Credit | None = None
    agreement_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    enrolment_list_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    own_institution: Annotated[str, Field(pattern=r"^[A-Z][0-9]{11}$")] | None = None


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
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
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
