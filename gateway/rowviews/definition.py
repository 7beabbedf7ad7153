"""How a view of rows is defined: tables, SQL over their allowed rows, a mask for every column."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gateway.catalogue.model import Text
from gateway.errors import OperatorError, wrong_places
from gateway.masking.grammar import parse_mask
from gateway.masking.keyed import KEYED
from gateway.masking.operators import MaskError

FILES: Final = "catalogue/S??/view_*.yaml"
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class RowView(BaseModel):
    """One view: what its SQL gives, each column under its mask."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    title: Text
    tables: tuple[Name, ...] = Field(min_length=1)
    person: Name
    quasi: tuple[Name, ...] = Field(min_length=1, max_length=16)
    masks: dict[Name, str]
    sql: str

    @model_validator(mode="after")
    def _sound(self) -> Self:
        unknown = ({self.person, *self.quasi}) - self.masks.keys()
        if unknown:
            raise ValueError(f"no mask for {', '.join(sorted(unknown))}")
        for text in self.masks.values():
            try:
                parse_mask(text)
            except MaskError as error:
                raise ValueError(error.message) from None
        if not isinstance(parse_mask(self.masks[self.person]), KEYED):
            raise ValueError("the person's mask needs a key, such as token")
        return self


def load_view(policies: Path, name: str) -> RowView:
    """A view of a policies folder; OperatorError (`view.unknown`, `view.definition`)."""
    known = {path.stem.removeprefix("view_"): path for path in sorted(policies.glob(FILES))}
    if name not in known:
        listed = ", ".join(known) or "none"
        raise OperatorError("view.unknown", f"There is no view {name[:40]!r}; there are: {listed}.")
    try:
        document = yaml.load(known[name].read_text("utf-8"), Loader=yaml.CSafeLoader)
        found = RowView.model_validate(document)
    except ValidationError as error:
        raise OperatorError("view.definition", wrong_places(known[name].name, error)) from None
    except (OSError, yaml.YAMLError) as error:
        text = f"{known[name].name} cannot be read as YAML."
        raise OperatorError("view.definition", text) from error
    if found.name != name:
        raise OperatorError("view.definition", f"{known[name].name} names another view.")
    return found
