"""The agreed terms of sharing, from `policies/billing/terms.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.errors import OperatorError
from metering.plausible import Bounds
from metering.sharing import Deductions, Strategy

FILE = Path("billing") / "terms.yaml"

_Bp = Annotated[int, Field(ge=0, le=10_000)]


class Terms(BaseModel):
    """Deductions and the way of sharing, as a month is closed under them."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    tax_bp: _Bp
    operator_cost_bp: _Bp
    operator_cost_ceiling_fen: Annotated[int, Field(ge=0)]
    public_interest_bp: _Bp
    strategy: Strategy
    services: dict[str, Strategy]
    bureau: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    grace_days: Annotated[int, Field(ge=0, le=60)]
    dispute_days: Annotated[int, Field(ge=1, le=365)]
    approved_income_fen: dict[
        Annotated[int, Field(ge=2000, le=2200, strict=False)], Annotated[int, Field(ge=0)]
    ]

    issuer: dict[Literal["zh", "en"], Annotated[str, Field(min_length=1, max_length=80)]] = {}
    # Above these a result is taken for impossible: the closing stops until a person has looked.
    largest_line_fen: Annotated[int, Field(gt=0)] = 10_000_000_000
    largest_client_fen: Annotated[int, Field(gt=0)] = 50_000_000_000

    @property
    def issuer_names(self) -> dict[str, str]:
        """What the data office is called, by language."""
        return {str(language): name for language, name in self.issuer.items()}

    @property
    def bounds(self) -> Bounds:
        """More than this nobody expects of a line, or of a client's month."""
        return Bounds(self.largest_line_fen, self.largest_client_fen)

    def strategy_of(self, service: str) -> Strategy:
        """How the providers of a service share."""
        return self.services.get(service, self.strategy)

    def deductions(self, fees_fen: int) -> Deductions:
        """What comes off the fees of a service-month; the tax is contained in them."""
        whole = 10_000 + self.tax_bp
        tax = (2 * fees_fen * self.tax_bp + whole) // (2 * whole)
        operator = (fees_fen - tax) * self.operator_cost_bp // 10_000
        return Deductions(
            tax, min(operator, self.operator_cost_ceiling_fen), self.public_interest_bp
        )


def read_terms(policies: Path) -> Terms:
    """The terms in force; says which of them is missing or wrong."""
    try:
        return Terms.model_validate(
            yaml.load((policies / FILE).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        )
    except OSError as error:
        raise OperatorError("billing_terms", f"{FILE} cannot be read.") from error
    except (ValidationError, yaml.YAMLError) as error:
        wrong = (
            ", ".join(".".join(map(str, part["loc"])) or "form" for part in error.errors())
            if isinstance(error, ValidationError)
            else "not YAML"
        )
        raise OperatorError("billing_terms", f"{FILE} is wrong in: {wrong}.") from error
