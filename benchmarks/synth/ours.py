"""Sluice's own job: `python -m benchmarks.synth.ours JOB SCHEMA NAME`, measured like the peers."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.synth.cost import cpu
from synthetic.synthesiser.fitting import fit
from synthetic.synthesiser.sampling import sampled
from synthetic.tables.loading import read_schema


def main() -> None:
    """Fit, sample, and what each took. No column is told to be a target."""
    job, schema, name = Path(sys.argv[1]), read_schema(Path(sys.argv[2])), sys.argv[3]
    told = json.loads((job / "job.json").read_text())
    start = cpu()
    model = fit(
        schema,
        {name: [job / "train.parquet"]},
        epsilon=told["epsilon"],
        delta=told["delta"],
        seed=told["seed"],
    )
    fitted = cpu()
    made = pa.concat_tables([tables[name] for tables in sampled(model, told["rows"], told["seed"])])
    ended = cpu()
    pq.write_table(made, job / "out.parquet")
    cost = {"fit_cpu": fitted - start, "sample_cpu": ended - fitted, "rows": told["rows"]}
    (job / "cost.json").write_text(json.dumps(cost))


main()
