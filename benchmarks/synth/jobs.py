"""One job a method, a set, a seed and an ε: a folder with the training rows, what the method is
told, what it made, and what that cost. A job that was done is not done again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from synthetic.evaluation.marginals import Codes
from synthetic.evaluation.sides import Raw, add_side, coded, raw
from synthetic.tables.loading import read_schema
from synthetic.tables.schema import Category, Edge, Schema, day_number

HERE = Path(__file__).parent
DELTA = 1e-6
TRAIN = 0.7
LIMIT = 1200
"""Seconds after which a peer is given up."""
_SET = {**os.environ, "JAX_ENABLE_X64": "1", "JAX_ENABLE_COMPILATION_CACHE": "0"}


@dataclass(frozen=True)
class Set:
    """A public set: `targets` as the report reads them; `tied` also hides the answer."""

    name: str
    targets: tuple[str, ...]

    @property
    def schema(self) -> Schema:
        """Its schema file."""
        return read_schema(HERE / "sets" / f"{self.name}.yaml")


SETS = {
    "randhie": Set("randhie", ("randhie.meddol>341", "randhie.totadm>0", "randhie.meddol")),
    "rwm": Set("rwm", ("rwm.docvis>5", "rwm.hospvis>0")),
    "insurance": Set("insurance", ("insurance.whi", "insurance.whrswk>0")),
}


def prepare(one: Set, data: Path, folder: Path) -> None:
    """Split the rows by person, write `train.parquet`, `test.parquet` and the coded rows."""
    if (folder / "sizes.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    whole = pq.read_table(data / f"{one.name}.parquet")
    persons = np.unique(whole["person"].to_numpy())
    picked = np.random.default_rng(7).permutation(persons)[: int(TRAIN * len(persons))]
    inside = np.isin(whole["person"].to_numpy(), picked)
    columns = list(one.schema.tables[one.name].columns)
    for name, mask in {"train": inside, "test": ~inside}.items():
        pq.write_table(whole.filter(pa.array(mask)).select(columns), folder / f"{name}.parquet")
    table = rows(one, folder / "train.parquet")
    codes = coded(one.schema, one.name, table)
    pq.write_table(pa.table(dict(codes.columns)), folder / "coded.parquet")
    (folder / "sizes.json").write_text(json.dumps(codes.sizes))


def rows(one: Set, path: Path) -> Raw:
    """A file of the set as numbers."""
    connection = duckdb.connect()
    add_side(connection, one.schema, "side", {one.name: [path]})
    return raw(connection, one.schema, "side", one.name)


def run(peer: str, one: Set, base: Path, job: Path, seed: int, epsilon: float | None) -> str:
    """Have a peer do a job; what went wrong, or nothing."""
    if (job / "cost.json").exists():
        return ""
    command = _command(peer, one, job)
    if command is None:
        return "not installed here (benchmarks/synth/peers.sh)"
    job.mkdir(parents=True, exist_ok=True)
    for name in ("train.parquet", "coded.parquet"):
        (job / name).unlink(missing_ok=True)
        (job / name).symlink_to((base / name).resolve())
    kinds = one.schema.tables[one.name].columns
    listed = [name for name, what in kinds.items() if isinstance(what, Category)]
    told = {
        "epsilon": epsilon,
        "delta": DELTA,
        "seed": seed,
        "rows": pq.read_metadata(base / "train.parquet").num_rows,
        "sizes": json.loads((base / "sizes.json").read_text()),
        "categorical": {"train": listed},
        "numerical": {"train": [name for name in kinds if name not in listed]},
    }
    (job / "job.json").write_text(json.dumps(told))
    with (job / "log.txt").open("w") as log:
        try:
            done = subprocess.run(
                command, stdout=log, stderr=log, timeout=LIMIT, check=False, env=_SET
            )
        except subprocess.TimeoutExpired:
            return f"not finished in {LIMIT} s"
    return "" if done.returncode == 0 else f"failed: {job / 'log.txt'}"


def _command(peer: str, one: Set, job: Path) -> list[str] | None:
    if peer == "sluice":
        schema = HERE / "sets" / f"{one.name}.yaml"
        return [sys.executable, "-m", "benchmarks.synth.ours", str(job), str(schema), one.name]
    python = Path("var/peers") / peer / "bin" / "python"
    if not python.exists():
        return None
    return [str(python.absolute()), "-W", "ignore", str(HERE / f"peer_{peer}.py"), str(job)]


def decoded(one: Set, path: Path, seed: int) -> Path:
    """Values for a file of codes: even inside the public bins, on the grid."""
    draw = np.random.default_rng(seed)
    table = pq.read_table(path)
    made = {}
    for name, what in one.schema.tables[one.name].columns.items():
        codes = table[name].to_numpy().astype(np.int64)
        if isinstance(what, Category):
            values = np.array([what.values[0], *what.values], object)
            made[name] = pa.array(values[codes].tolist())
            continue
        made[name] = pa.array(_inside(what.bins, getattr(what, "step", 1.0), codes, draw))
    out = path.with_name("out.parquet")
    pq.write_table(pa.table(made), out)
    return out


def _inside(
    bins: tuple[Edge, ...], step: float, codes: Codes, draw: np.random.Generator
) -> np.ndarray:
    edges = np.array([day_number(edge) for edge in bins])
    place = np.clip(codes, 1, len(edges) - 1)
    low, high = np.round(edges[place - 1] / step), np.round(edges[place] / step)
    return np.round(np.floor(low + draw.random(len(codes)) * (high - low)) * step, 6)
