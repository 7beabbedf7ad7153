"""Parquet files with fixed options, written block by block, and the manifest that names them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from synthetic.warehouse.schema import TABLES

_SEQUENTIAL = {  # ids that rise row by row: cheaper as differences than as a dictionary
    "psn_info_b": {"psn_no", "certno"},
    "psn_insu_d": {"psn_insu_rlts_id"},
    "mdtrt_d": {"mdtrt_id", "medins_setl_id", "ipt_otp_no"},
    "setl_d": {"setl_id", "medins_setl_id", "invono"},
    "setl_fund_d": {"setl_id"},
    "fee_list_d": {"bkkp_sn", "feedetl_sn"},
    "setl_diag_list_d": {"diag_info_id"},
    "drg_rslt_d": {"setl_id"},
    "dip_rslt_d": {"setl_id"},
    "opsp_reg_d": {"trt_dcla_detl_sn"},
    "sel_trac_d": {"sel_sn", "drug_trac_codg"},
    "trac_flow_d": {"flow_sn"},
}


@dataclass(frozen=True)
class Written:
    """What a finished file holds."""

    rows: int
    sha256: str
    bytes: int


class Writer:
    """Writes every table's file; blocks must arrive in order. A context manager."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._open: dict[str, pq.ParquetWriter] = {}
        self._rows: dict[str, int] = {}

    def add(self, name: str, block: pa.Table) -> None:
        """Append one row group to a table's file."""
        if name not in self._open:
            self._open[name] = self._start(name, block.schema)
            self._rows[name] = 0
        self._open[name].write_table(block, row_group_size=max(1, block.num_rows))
        self._rows[name] += block.num_rows

    def _start(self, name: str, schema: pa.Schema) -> pq.ParquetWriter:
        rising = _SEQUENTIAL.get(name, set())
        coded = [c.name for c in TABLES[name].columns if c.kind in ("date", "str", "int")]
        # Bounds help a reader skip row groups by key or by day; codes occur in every row group.
        bounded = [c.name for c in TABLES[name].columns if c.kind != "str" or c.name in rising]
        return pq.ParquetWriter(
            self._folder / f"{name}.parquet",
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=[c for c in coded if c not in rising],
            column_encoding=dict.fromkeys(sorted(rising), "DELTA_BYTE_ARRAY"),
            dictionary_pagesize_limit=16 << 20,
            store_decimal_as_integer=True,
            store_schema=False,
            write_statistics=bounded,
        )

    def close(self) -> dict[str, Written]:
        """Finish the files; returns what each holds."""
        for parquet in self._open.values():
            parquet.close()
        return {name: self._measure(name) for name in sorted(self._open)}

    def _measure(self, name: str) -> Written:
        path = self._folder / f"{name}.parquet"
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Written(self._rows[name], digest, path.stat().st_size)

    def document(self, name: str, content: Mapping[str, object]) -> None:
        """Write a JSON file beside the tables."""
        text = json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True)
        (self._folder / name).write_text(text + "\n", encoding="utf-8")


def manifest(head: Mapping[str, object], files: Mapping[str, Written]) -> dict[str, object]:
    """What the warehouse is; no clock in it, so the same seed gives the same bytes."""
    tables = {
        name: {"rows": w.rows, "sha256": w.sha256, "bytes": w.bytes}
        for name, w in sorted(files.items())
    }
    return {**head, "tables": tables}
