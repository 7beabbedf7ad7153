"""Rules of detection as data: what a rule reads, over which time it measures what, when it is too
much, and what happens then. One YAML file per rule under `policies/detection/rules`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gateway.errors import OperatorError

FOLDER: Final = Path("detection") / "rules"
HOUR: Final = 3600

Who: TypeAlias = Literal["tenant", "service", "network"]
Response: TypeAlias = Literal["alert", "throttle", "deny", "stop"]
"""From the mildest to the hardest: tell; slow the tenant; suspend its grants; emergency stop."""
Field_: TypeAlias = Literal["subject", "shape", "deny", "probe", "consent", "query"]
Amount: TypeAlias = Literal["calls", "cells", "suppressed", "figures"]
Word: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Sentence: TypeAlias = Annotated[str, Field(min_length=10, max_length=400)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Reads(_Form):
    """Which events a rule looks at; what is empty does not narrow. `deny` are beginnings of codes;
    `young_days`: only while less than so many days of the tenant have been seen."""

    kinds: tuple[Word, ...] = ("read",)
    results: tuple[Word, ...] = ()
    deny: tuple[Word, ...] = ()
    reasons: tuple[Word, ...] = ()
    services: tuple[Word, ...] = ()
    hours: Literal["any", "off"] = "any"
    canary: bool = False
    nearer_than: Annotated[int, Field(ge=1)] | None = None
    young_days: Annotated[int, Field(ge=1, le=90)] | None = None


class Total(_Form):
    """The sum of an amount."""

    kind: Literal["total"]
    of: Amount


class Distinct(_Form):
    """How many different values there are."""

    kind: Literal["distinct"]
    of: Field_


class Crowd(_Form):
    """The most different persons behind one device."""

    kind: Literal["crowd"]


class Share(_Form):
    """One amount as a part of another, once the whole is at least `whole_from`."""

    kind: Literal["share"]
    part: Amount
    whole: Amount
    whole_from: Annotated[int, Field(ge=1)]


class Places(_Form):
    """`switches`: how often one key went back and forth between networks of which one is strange to
    its tenant; `strangers`: calls from strange networks. Strange is a network first seen less than
    `strange_days` ago, once the tenant has been seen for so long."""

    kind: Literal["places"]
    count: Literal["switches", "strangers"]
    strange_days: Annotated[int, Field(ge=1, le=30)]


class Edge(_Form):
    """Days on which a grant used at least the part `least` of a quota, and never all of it."""

    kind: Literal["edge"]
    least: Annotated[float, Field(gt=0, lt=1)]


Statistic: TypeAlias = Annotated[
    Total | Distinct | Crowd | Share | Places | Edge, Field(discriminator="kind")
]


class Window(_Form):
    """Hours measured over, in slots: what is older than a window falls out slot by slot."""

    hours: Annotated[int, Field(ge=1, le=24 * 60)]
    slots: Annotated[int, Field(ge=1, le=30)]

    @property
    def slot_seconds(self) -> int:
        return self.hours * HOUR // self.slots

    @model_validator(mode="after")
    def _whole_slots(self) -> Window:
        if self.hours * HOUR % self.slots:
            raise ValueError("slots do not divide the window into whole seconds")
        return self


class Fixed(_Form):
    """The same for everybody."""

    kind: Literal["fixed"]
    at: Annotated[float, Field(gt=0)]


class Learnt(_Form):
    """From the last windows of the same tenant: `times` their median or `spreads` robust standard
    deviations above it, whichever is more, and never below `floor`; `start` until `least` are
    known. `below`: too little is the alarm, and `times` and `spreads` are measured downwards."""

    kind: Literal["learnt"]
    times: Annotated[float, Field(gt=0)]
    spreads: Annotated[float, Field(gt=0)]
    floor: Annotated[float, Field(ge=0)]
    start: Annotated[float, Field(gt=0)] | None = None
    least: Annotated[int, Field(ge=2, le=30)]
    below: bool = False


class Rule(_Form):
    """One rule of detection."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,40}$")]
    title_zh: Annotated[str, Field(min_length=2, max_length=40)]
    title_en: Annotated[str, Field(min_length=5, max_length=120)]
    why: Sentence
    who: Who
    reads: Reads
    statistic: Statistic
    window: Window
    threshold: Annotated[Fixed | Learnt, Field(discriminator="kind")]
    severity: Literal["low", "high", "critical"]
    response: Response
    quiet_hours: Annotated[int, Field(ge=1, le=24 * 31)]

    @model_validator(mode="after")
    def _sensible(self) -> Rule:
        if self.response != "alert" and self.who == "network":
            raise ValueError("a network has no grants: such a rule can only alert")
        if self.response in {"throttle", "deny"} and self.who != "tenant":
            raise ValueError("only a tenant is slowed or has its grants suspended")
        if self.reads.young_days is not None and self.who != "tenant":
            raise ValueError("only a tenant is young")
        return self


class DetectionRuleError(OperatorError):
    """A rule file cannot be used."""

    def __init__(self, name: str, fault: str) -> None:
        super().__init__("detection.rule", f"{name}: {fault}", f"检测规则 {name} 无法使用。")


def load_rules(policies: Path) -> tuple[Rule, ...]:
    """Every rule in order of name; raises `DetectionRuleError` naming the file and the fault."""
    paths = sorted((policies / FOLDER).glob("*.yaml"))
    if not paths:
        raise DetectionRuleError(str(FOLDER), "there is no rule")
    return tuple(map(_read, paths))


def _read(path: Path) -> Rule:
    try:
        content: Any = yaml.safe_load(
            path.read_text(encoding="utf-8")
        )  # Any: whatever stands there
        rule = Rule.model_validate(content)
    except (yaml.YAMLError, ValidationError) as error:
        raise DetectionRuleError(path.name, _first(error)) from error
    if rule.id != path.stem:
        raise DetectionRuleError(path.name, f"its id is {rule.id}")
    return rule


def _first(error: yaml.YAMLError | ValidationError) -> str:
    if isinstance(error, yaml.YAMLError):
        return "it is no YAML"
    fault = error.errors()[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
