"""Write drawn tables to a folder, with a manifest that names the model, the seed and each file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from synthetic.synthesiser.model import Model
from synthetic.synthesiser.sampling import sampled
from synthetic.tables.errors import SynthesisError

MANIFEST = "synthetic.json"
Form = Literal["parquet", "csv"]


@dataclass
class _Writers:
    """One open file for each table."""

    out: Path
    form: Form

    def __post_init__(self) -> None:
        self._open: dict[str, Any] = {}  # two writers of pyarrow, which has no types
        self.rows: dict[str, int] = {}

    def add(self, name: str, table: pa.Table) -> None:
        """Append a block's rows."""
        if name not in self._open:
            self._open[name] = self._writer(self.out / f"{name}.{self.form}", table.schema)
            self.rows[name] = 0
        self._open[name].write_table(table)
        self.rows[name] += table.num_rows

    def _writer(self, path: Path, schema: pa.Schema) -> Any:
        if self.form == "csv":
            return pc.CSVWriter(path, schema)
        return pq.ParquetWriter(path, schema, compression="zstd")

    def close(self) -> None:
        """Finish the files."""
        for writer in self._open.values():
            writer.close()


def write(
    model: Model,
    out: Path,
    *,
    units: int,
    seed: int,
    workers: int = 1,
    form: Form = "parquet",
    progress: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Draw `units` units with all their rows into `out`; the manifest.

    The same model, units and seed give the same bytes, whatever the number of workers.

    Raises:
        SynthesisError: `synth_out`, where `out` holds something already; `synth_size`.
    """
    if out.exists() and any(out.iterdir()):
        raise SynthesisError("synth_out", f"{out} is not empty.", "输出目录非空。")
    out.mkdir(parents=True, exist_ok=True)
    writers = _Writers(out, form)
    try:
        for number, block in enumerate(sampled(model, units, seed, workers)):
            for name, table in block.items():
                writers.add(name, table)
            progress(number + 1)
    finally:
        writers.close()
    manifest = {
        "synthetic": True,
        "model": model.digest,
        "seed": seed,
        "units": units,
        "privacy": {
            k: v for k, v in model.statement.as_dict().items() if k not in {"entries", "curve"}
        },
        "tables": {
            name: {"file": f"{name}.{form}", "rows": rows, "sha256": _digest(out, name, form)}
            for name, rows in writers.rows.items()
        },
    }
    text = json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"
    (out / MANIFEST).write_text(text, "utf-8")
    return manifest


def _digest(out: Path, name: str, form: Form) -> str:
    with (out / f"{name}.{form}").open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
