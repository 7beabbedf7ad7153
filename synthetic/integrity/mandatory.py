"""Which fields a record must fill: the mandatory columns and those its kind of care adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from synthetic.warehouse.schema import TABLES

_STAY = "left(t.med_type, 2) IN ('21', '22', '23', '24', '25', '26', '27', '28', '52')"
_DISCHARGED = f"({_STAY} AND coalesce(t.inhosp_stas, '0') = '0')"
# Pharmacies have no departments, and the antenatal package 51 legally lacks many fields.
_HAS_DEPARTMENT = "left(t.med_type, 2) NOT IN ('41', '51')"


@dataclass(frozen=True)
class Expected:
    """A column that must be filled where the condition holds."""

    column: str
    condition: str


_CONDITIONAL: Mapping[str, tuple[Expected, ...]] = {
    "mdtrt_d": (
        Expected("adm_dept_codg", _STAY),
        Expected("dscg_maindiag_code", _DISCHARGED),
        Expected("dscg_way", _DISCHARGED),
        Expected("endtime", _DISCHARGED),
    ),
    "fee_list_d": (Expected("bilg_dept_codg", _HAS_DEPARTMENT),),
}


def always_expected(table: str) -> tuple[str, ...]:
    """Columns every record of the table must fill."""
    return tuple(column.name for column in TABLES[table].columns if column.mandatory)


def sometimes_expected(table: str) -> tuple[Expected, ...]:
    """Columns expected only for some records of the table."""
    return _CONDITIONAL.get(table, ())
