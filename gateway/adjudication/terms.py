"""What the bureau allows a rule package: `policies/person/adjudication.yaml`, as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from gateway.errors import OperatorError

FILE = Path("person") / "adjudication.yaml"


class Reason(BaseModel):
    """One of the reasons that may be given, and no other words beside them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    zh: str
    en: str
    given_by: str = Field(pattern="^(rules|engine)$")


class Bounds(BaseModel):
    """How much a package may tell, and how large it may be.

    `bits` bound log2 of the number of distinct coded outcomes; `categories_min` is the fewest
    three-character diagnoses that may stand behind one outcome; `sensitive_share_max` the largest
    share of sensitive ones among them; `likeness_max` how alike two packages of one insurer may be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bits: int = Field(gt=0)
    reasons_max: int = Field(gt=0)
    categories_min: int = Field(gt=0)
    sensitive_share_max: float = Field(ge=0, le=1)
    likeness_max: float = Field(gt=0, le=1)
    rows_max: int = Field(gt=0)
    codes_max: int = Field(gt=0)
    layers_max: int = Field(gt=0)


@dataclass(frozen=True)
class Terms:
    """Bounds, the list of reasons, and what is sensitive: ranges of categories of diagnoses, and
    prefixes of national drug codes that give such a diagnosis away (SPEC 4.4)."""

    bounds: Bounds
    reasons: Mapping[str, Reason]
    sensitive: tuple[tuple[str, str], ...]
    sensitive_drugs: tuple[str, ...]
    unseen: frozenset[str]
    """Three-character categories that are nobody's main diagnosis: naming them hides nobody."""

    def is_sensitive(self, category: str) -> bool:
        """Whether a three-character diagnosis is of the bureau's sensitive set."""
        return any(low <= category <= high for low, high in self.sensitive)


def read_terms(policies: Path) -> Terms:
    """The terms under a folder of policies; OperatorError (`rules_terms`) where they are wrong."""
    try:
        listed = policies / "data" / "sensitive.yaml"
        return _made((policies / FILE).read_bytes(), listed.read_bytes())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise OperatorError(
            "rules_terms",
            f"{FILE.as_posix()} does not say what rule packages may tell; restore it.",
            "规则包条款文件不可用，请恢复。",
        ) from error


@lru_cache(maxsize=4)
def _made(adjudication: bytes, sensitive: bytes) -> Terms:
    """The terms of these two files; every decision asks for them, and they rarely change."""
    told = yaml.load(adjudication, Loader=yaml.CSafeLoader)
    listed = yaml.load(sensitive, Loader=yaml.CSafeLoader)["sensitive"]
    reasons = {code: Reason.model_validate(one) for code, one in told["reasons"].items()}
    bounds, unseen = Bounds.model_validate(told["bounds"]), _categories(told["never_main"])
    return Terms(bounds, reasons, _ranges(listed), _drugs(listed), unseen)


def _categories(ranges: Iterable[str]) -> frozenset[str]:
    """Categories of ranges within one letter, written `A10-A14` or `A29`."""
    found = set()
    for one in ranges:
        low, _, high = one.partition("-")
        found |= {f"{low[0]}{n:02}" for n in range(int(low[1:]), int((high or low)[1:]) + 1)}
    return frozenset(found)


def _ranges(listed: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    enabled = (one for one in listed["dx"] if one["enabled"])
    return tuple((low, high) for one in enabled for low, high in one["ranges"])


def _drugs(listed: Mapping[str, Any]) -> tuple[str, ...]:
    """National codes of Western drugs: an `X` before the ATC code."""
    enabled = {one["id"] for one in listed["dx"] if one["enabled"]}
    told = (one for one in listed["prefix"]["atc"] if one["implies"] in enabled)
    return tuple(f"X{one['prefix']}" for one in told)
