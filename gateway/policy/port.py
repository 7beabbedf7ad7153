"""What the gateway asks the policy and what it is told; any engine answers in these words.

`PolicyInput` is the only form in which a question reaches a rule: every attribute present, typed
and bounded, none unknown. An engine that cannot answer raises `PolicyUnavailable`; nobody may read
that as consent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from ipaddress import ip_address
from typing import Annotated, Any, Final, Literal, Protocol, TypeAlias

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from gateway.errors import Unavailable

Ident: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}$")]
Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Parameter: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
Code: TypeAlias = Annotated[str, Field(min_length=1, max_length=64)]
Count: TypeAlias = Annotated[int, Field(ge=0, le=10**12)]
Address: TypeAlias = Annotated[str, AfterValidator(lambda text: str(ip_address(text)))]
Names: TypeAlias = Annotated[tuple[Name, ...], Field(max_length=64, strict=False)]
Service: TypeAlias = Annotated[str, Field(pattern=r"^S\d\d$")]
Scope: TypeAlias = Annotated[str, Field(pattern=r"^[A-Z][A-Z_]{0,63}$")]
Reference: TypeAlias = Annotated[str, Field(max_length=200)]


class _Form(BaseModel):
    """Exactly these attributes, of exactly these types."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True
    )


class AskingTenant(_Form):
    """The organisation as the connection proved it."""

    id: Ident
    cert_thumbprint: Annotated[str, Field(pattern=r"^[A-Za-z0-9_:=+/-]{1,128}$")] | None = None
    ip: Address


class AskingUser(_Form):
    """Who acts for the organisation; a program acts in the role `application`."""

    id: Ident
    role: Name = "application"
    mfa: bool = False


class AskedPeriod(_Form):
    """First and last period, both of the grain named."""

    start: Annotated[str, Field(pattern=r"^[1-9]\d{3}(-(0[1-9]|1[0-2])|Q[1-4])?$", alias="from")]
    to: Annotated[str, Field(pattern=r"^[1-9]\d{3}(-(0[1-9]|1[0-2])|Q[1-4])?$")]
    grain: Literal["month", "quarter", "year"]


class Usage(_Form):
    """What the grant has used already, this question not counted; but for two attributes that are
    about this question: `smallest_difference`, the fewest persons by which it differs from one
    answered before (null where the service counts no cohorts, `NO_EARLIER` where none was answered
    before), and `estimate_fen`, the most it can cost."""

    rps: Count = 0
    calls_day: Count = 0
    cells_day: Count = 0
    cells_month: Count = 0
    distinct_queries_day: Count = 0
    persons_day: Count = 0
    calls_per_person_day: Count = 0
    queries_per_study: Count = 0
    queries_month: Count = 0
    reports_month: Count = 0
    downloads_month: Count = 0
    datasets_month: Count = 0
    smallest_difference: Count | None = None
    epsilon_spent_micro: Count = 0
    spent_month_fen: Count = 0
    tenant_spent_month_fen: Count = 0
    revenue_year_fen: Count | None = None  # of all who have the price plan; null: nobody counts it
    estimate_fen: Count = 0


NO_EARLIER: Final = 10**12
"""The difference from earlier questions where there are none."""


class ConsentFacts(_Form):
    """A person's consent as it stands at the moment of the question; "" where there is none."""

    id: Ident
    state: Literal[
        "DRAFT",
        "AWAITING_PERSON",
        "AUTHORISED",
        "CONSUMED",
        "EXPIRED",
        "REVOKED",
        "REJECTED",
        "SUSPENDED",
    ]
    receiver: Ident
    scenario: Annotated[str, Field(pattern=r"^SC\d\d$")]
    purpose_code: Name
    services: Annotated[tuple[Service, ...], Field(max_length=64, strict=False)]
    scopes: Annotated[tuple[Scope, ...], Field(max_length=16, strict=False)]
    subject_ref: Ident | None
    claim_ref: Reference
    policy_ref: Reference
    window_from: date  # of the data
    window_to: date
    valid_from: AwareDatetime | None
    valid_to: AwareDatetime | None
    uses: Count
    uses_max: Count
    minor: bool
    guardian_relation: Annotated[str, Field(max_length=64)]


class PolicyInput(_Form):
    """One question, complete. An empty `measures` asks for all the grant may see.

    `consent` is what is on file under `consent_id`, null when nothing is; an aggregate question has
    neither. `subject_stopped`: the bureau has stopped all use of this person's data.
    """

    request_id: Ident
    time: AwareDatetime
    tenant: AskingTenant
    user: AskingUser
    grant_id: Ident
    service: Service
    version: Annotated[str, Field(pattern=r"^v?\d{1,3}(\.\d{1,3}){0,2}$")]
    op: Literal["cells", "report", "verify", "job", "lookup", "deidentify"] = "cells"
    period: AskedPeriod
    geo: Annotated[
        tuple[Annotated[str, Field(pattern=r"^\d{6}$")], ...], Field(max_length=500, strict=False)
    ]
    dims: Names = ()
    measures: Names = ()
    levels: Annotated[dict[Name, Annotated[int, Field(ge=1, le=9)]], Field(max_length=16)] = {}
    where: Annotated[dict[Name, Code], Field(max_length=16)] = {}
    fields: Names = ()
    params: Annotated[
        dict[Parameter, Annotated[str, Field(max_length=200)] | int | bool], Field(max_length=16)
    ] = {}
    consent_id: Ident | None = None
    consent: ConsentFacts | None = None
    subject_ref: Ident | None = None
    subject_stopped: bool = False
    purpose_code: Name
    env: Literal["prod", "sandbox"]
    format: Name = "json"
    destination: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] = "CN"
    bulk: bool = False
    release: Ident | None = None
    qty_estimate: Count = 0
    epsilon_micro: Count = 0  # the privacy budget this question would use
    usage: Usage

    def question(self) -> str:
        """The question as the rules read it: JSON with every attribute spelled out."""
        return self.model_dump_json(by_alias=True)


@dataclass(frozen=True)
class ColumnRule:
    """One column that may leave, with its class and the mask it leaves under."""

    field: str
    item: str
    level: str
    mask: str


RowValue: TypeAlias = str | tuple[str, ...] | tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class RowRule:
    """One condition on the rows that may be read (`gateway.policy.filters` knows the words);
    `column` is "table.column"."""

    column: str
    op: str
    value: RowValue


@dataclass(frozen=True)
class TariffRule:
    """What the answer is counted in; free use is counted at price zero."""

    unit: str
    qty_estimate: int
    price_ref: str
    price_plan: str
    free: bool


@dataclass(frozen=True)
class Obligations:
    """What an allowed answer must observe."""

    profile: Mapping[str, Any]  # field names are policy data; figures and words of SPEC 6.2
    columns: tuple[ColumnRule, ...]
    sensitive_dx: str  # "show", or the profile's word on what becomes of sensitive diagnoses
    max_cells: int
    quota: Mapping[str, int]
    watermark: str
    log_level: str
    notify_person: bool
    tariff: TariffRule
    ttl: int
    own_institution: str = ""  # whose own rows the answer may hold, no others; "": of nobody
    rows: tuple[RowRule, ...] = ()  # all must hold; none: answered from releases, reads no row


@dataclass(frozen=True)
class Holds:
    """How long and how far an answer holds: from `since` until just before `before` (nanoseconds
    since 1970), and for counters of at most `usage`; a counter not named was not looked at."""

    since: int
    before: int
    usage: Mapping[str, int]


@dataclass(frozen=True)
class Decision:
    """The answer to one question and the revision of rules and data that gave it."""

    allow: bool
    deny: tuple[str, ...]
    obligations: Obligations | None
    policy_version: str
    decision_id: str
    holds: Holds | None = field(default=None, repr=False)
    quota: Mapping[str, int] = field(default_factory=dict, repr=False)  # where one of them refuses


class PolicyUnavailable(Unavailable):
    """No decision could be had: refuse with 503, never answer."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "policy_unavailable",
            "The authorisation decision could not be made; try again shortly.",
            "暂时无法完成授权判定，请稍后重试。",
            deny="D000",
        )
        self.reason = reason


class Policy(Protocol):
    """Decides one question; raises `PolicyUnavailable` rather than guess."""

    @property
    def version(self) -> str:
        """Revision of rules and data that decides now."""

    @property
    def healthy(self) -> bool:
        """Whether a question would be decided at all."""

    def decide(self, question: PolicyInput) -> Decision:
        """Allow with obligations, or refuse with reasons."""

    async def decide_soon(self, question: PolicyInput) -> Decision:
        """As `decide`, without holding the event loop while the engine works."""

    def load(self, data: Mapping[str, Any]) -> None:
        """Decide from these directory documents from now on; keep the old ones if they are bad."""

    def close(self) -> None:
        """Give back threads or connections."""
