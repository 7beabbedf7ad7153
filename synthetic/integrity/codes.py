"""National code lists: which values a coded field may take, and the one spelling we store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from synthetic.warehouse.schema import TABLES


@dataclass(frozen=True)
class CodeList:
    """A code table: its canonical width, values, and heads that regions may extend."""

    width: int
    values: tuple[str, ...]
    extends: tuple[str, ...] = ()

    def valid_sql(self, expression: str) -> str:
        """SQL that is true when the expression is a code of this list."""
        member = f"{expression} IN ({_literals(self.values)})"
        if not self.extends:
            return f"({member})"
        heads = _literals(self.extends)
        size = len(self.extends[0])
        local = f"length({expression}) > {size} AND left({expression}, {size}) IN ({heads})"
        return f"({member} OR ({local} AND regexp_full_match({expression}, '\\d+')))"

    def canonical_sql(self, expression: str) -> str:
        """SQL that respells "1", "1.0" and "01" as the one code of this list they mean."""
        same = f"{expression} IN ({_literals(self.values)})"
        drifted = f"regexp_full_match({expression}, '0*\\d{{1,{self.width}}}(\\.0+)?')"
        number = f"CAST(TRY_CAST({expression} AS BIGINT) AS VARCHAR)"
        return (
            f"CASE WHEN {same} THEN {expression} "
            f"WHEN {drifted} THEN lpad({number}, {self.width}, '0') ELSE {expression} END"
        )


def _literals(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def _load() -> Mapping[str, CodeList]:
    text = Path(__file__).with_name("codes.yaml").read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.load(
        text, Loader=yaml.CSafeLoader
    )  # Any: YAML is typed by use below
    lists = {
        name: CodeList(entry["width"], tuple(entry["values"]), tuple(entry.get("extends", ())))
        for name, entry in document["lists"].items()
    }
    return MappingProxyType({field: lists[name] for field, name in document["fields"].items()})


CODES: Mapping[str, CodeList] = _load()


def invalid_codes_sql(table: str) -> str:
    """SQL that is true for a row of the table with any value outside its code list."""
    wrong = [
        f"({column.name} IS NOT NULL AND NOT {CODES[column.name].valid_sql(column.name)})"
        for column in TABLES[table].columns
        if column.name in CODES
    ]
    return " OR ".join(wrong) or "false"
