"""The mask of every column of the warehouse, for views that show rows; a gap is an error.

`policies/person/row_masks.yaml` says it by classification item and for single columns. Nothing is
shown of a column without item or mask: the check runs when the gateway starts and when an edition
is looked at, and `row_masks` runs it again for the table it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.errors import OperatorError, wrong_places
from gateway.masking.grammar import parse_mask
from gateway.masking.operators import MaskError
from synthetic.warehouse.schema import TABLES, Column

FILE = Path("person") / "row_masks.yaml"
_CLASSIFICATION = Path("data") / "classification.yaml"
Place: TypeAlias = tuple[str, str]


class RowMasks(BaseModel):
    """Mask texts by item (`C01-04`) and, before them, by column name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: dict[str, str]
    fields: dict[str, str] = {}

    def of(self, column: Column) -> str:
        """The mask's text; KeyError if nothing is said of the column or its item."""
        return self.fields[column.name] if column.name in self.fields else self.items[column.item]


def load_row_masks(policies: Path) -> RowMasks:
    """The masks of a policies folder; OperatorError if the file cannot be used."""
    path = policies / FILE
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        return RowMasks.model_validate(document)
    except ValidationError as error:
        raise OperatorError("masking.row_masks", wrong_places(path.name, error)) from error
    except (OSError, yaml.YAMLError) as error:
        raise OperatorError("masking.row_masks", f"{path.name} cannot be read as YAML.") from error


def classified_items(policies: Path) -> frozenset[str]:
    """The items of the classification catalogue."""
    text = (policies / _CLASSIFICATION).read_text(encoding="utf-8")
    return frozenset(yaml.load(text, Loader=yaml.CSafeLoader)["classification"]["items"])


def faults(masks: RowMasks, items: Iterable[str]) -> Iterator[str]:
    """What keeps the gateway from starting: one sentence per column, item or mask."""
    known = frozenset(items)
    for name in sorted(known - masks.items.keys()):
        yield f"item {name} has no row mask"
    for name in sorted(masks.items.keys() - known):
        yield f"row masks name {name}, which is no item of the classification"
    columns = {column.name for table in TABLES.values() for column in table.columns}
    for name in sorted(masks.fields.keys() - columns):
        yield f"row masks name {name}, which is no column of the warehouse"
    for place, text in {**masks.items, **masks.fields}.items():
        try:
            parse_mask(text)
        except MaskError as error:
            yield f"row mask of {place}: {error.message}"
    for table, column in _places():
        if TABLES[table].column(column).item not in known:
            yield f"{table}.{column} is not mapped to an item of the classification"


def _places() -> Iterator[Place]:
    return ((name, column.name) for name, table in TABLES.items() for column in table.columns)


def check_row_masks(policies: Path) -> RowMasks:
    """The row masks of a folder; OperatorError names every gap, so that nothing is served."""
    masks = load_row_masks(policies)
    found = list(faults(masks, classified_items(policies)))
    if found:
        raise OperatorError(
            "masking.unmapped",
            "Not every column of the warehouse has a mask: " + "; ".join(found) + ".",
            "并非每个数据列都有脱敏规则，服务不予启动。",
        )
    return masks


def row_masks(masks: RowMasks, table: str, columns: pa.Schema) -> Mapping[str, str]:
    """Column → mask text of a table of rows; MaskError if it has a column that is not mapped."""
    known = TABLES[table]
    names = {column.name for column in known.columns}
    unknown = [name for name in columns.names if name not in names]
    if unknown:
        listed = ", ".join(unknown)
        raise MaskError(f"{table} has columns nobody classified: {listed}. Use `sluice classify`.")
    return {name: masks.of(known.column(name)) for name in columns.names}
