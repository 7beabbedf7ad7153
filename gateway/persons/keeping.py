"""Which tables and columns the person source has: those that some service may tell of a person,
those that conditions on rows name, and no other.

A person stands in it under the internal token that consents use (`subject_ref`), in the column
`psn_no` that the conditions name; neither person number nor certificate number is copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

from gateway.catalogue.load import Catalogue
from gateway.consent.subjects import Subjects, normal
from gateway.errors import OperatorError
from gateway.policy.documents import read_documents
from gateway.policy.readable import Columns, Kind, Readable, of_warehouse

PERSON: Final = "psn_no"
KNOWN: Final = "person"
"""The table of who there is: a keyed hash of the name, the days of birth and of death."""
KNOWN_COLUMNS: Final[Columns] = {
    PERSON: "str",
    "name_mac": "str",
    "died": "date",
    "born": "date",
}
Reads: TypeAlias = Mapping[str, Any]  # the document `data/reads.yaml`


@dataclass(frozen=True)
class Kept:
    """Tables with the kind of every column, in a fixed order; amounts are kept as exact text."""

    tables: Mapping[str, Columns]

    def whole(self) -> Mapping[str, Columns]:
        """Everything there is, the table of persons included."""
        return {**self.tables, KNOWN: KNOWN_COLUMNS}


def kept(catalogue: Catalogue, reads: Reads) -> Kept:
    """What these services tell and these conditions name; raises for a column nobody knows."""
    wanted: dict[str, set[str]] = {}
    for contract in catalogue.persons.values():
        entry = reads["services"].get(contract.id)
        if entry is None:
            raise OperatorError("person_reads", f"{contract.id} is not in data/reads.yaml.")
        for table, columns in contract.columns.items():
            wanted.setdefault(table, set()).update(columns)
        for table, read in entry["tables"].items():
            wanted.setdefault(table, set()).update(_named(table, read, entry, reads))
        for read in entry["tables"].values():
            if "among" in read:
                table, _, column = read["among"]["of"].partition(".")
                wanted.setdefault(table, set()).add(column)
    return Kept({name: _kinds(name, columns) for name, columns in sorted(wanted.items())})


def kept_by(policies: Path, catalogue: Catalogue) -> Kept:
    """As `kept`, by the policy data of a folder."""
    return kept(catalogue, read_documents(policies)["reads"])


def _named(table: str, read: Reads, entry: Reads, reads: Reads) -> Iterable[str]:
    """Columns that conditions on a table of a service can name."""
    said = reads["tables"][table]
    yield from said["columns"].values()
    yield from (each["column"] for each in said["time"])
    if "valid" in said:
        yield said["valid"]["column"]
    if "among" in read:
        yield read["among"]["column"]
    for place in entry.get("params", {}).values():
        where, _, column = place.partition(".")
        if where == table:
            yield column


def _kinds(table: str, columns: set[str]) -> Columns:
    known = readable().tables[table]
    strange = sorted(columns - known.keys())
    if strange:
        raise OperatorError("person_column", f"{table} has no column {', '.join(strange)}.")
    return {name: kind for name, kind in known.items() if name in columns}


@cache
def readable() -> Readable:
    """What conditions on rows may name: the canonical columns, numbers as the exact text they are
    kept as. A column that is not kept makes the read fail."""
    return Readable(
        {
            table: {name: _text_for(kind) for name, kind in columns.items()}
            for table, columns in of_warehouse().tables.items()
        }
    )


def _text_for(kind: Kind) -> Kind:
    return "str" if kind in ("decimal", "int") else kind


def name_mac(subjects: Subjects, name: str) -> str:
    """The keyed hash by which a name is compared; spaces and width do not matter."""
    return subjects.mac("person-name", normal(name))
