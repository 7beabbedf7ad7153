"""Who mends what the quality report names, and until when (policies/staff/quality.yaml)."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.errors import OperatorError

Weight: TypeAlias = Literal["block", "kpi", "warn", "info"]


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Owner(_Closed):
    """A desk or department, Chinese first."""

    zh: str
    en: str


class Duties(_Closed):
    """Owners by table, one of them `default`, and days by weight of a fault."""

    owners: dict[str, Owner]
    days: dict[Weight, Annotated[int, Field(ge=1, le=365)]]

    def owner(self, table: str) -> Owner:
        """Who mends faults of this table."""
        return self.owners.get(table, self.owners["default"])

    def due(self, weight: Weight, today: date) -> date:
        """Until when a fault found today is to be mended."""
        return today + timedelta(days=self.days[weight])


def read_duties(policies: Path) -> Duties:
    """The duties of this installation."""
    path = policies / "staff" / "quality.yaml"
    try:
        found = Duties.model_validate(
            yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        )
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise OperatorError(
            "quality.duties", f"{path.name} cannot be read: {str(error).splitlines()[0]}"
        ) from error
    if "default" not in found.owners or set(found.days) != set(get_args(Weight)):
        raise OperatorError("quality.duties", f"{path.name}: owners.default or days is missing.")
    return found
