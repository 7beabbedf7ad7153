"""mostlyai's TabularARGN, not private, small model, two minutes: `python peer_mostlyai.py JOB`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import pandas as pd
from cost import cpu
from mostlyai.sdk import MostlyAI

MINUTES = 2


def main() -> None:
    """One job: fit, sample, and what each took."""
    job = Path(sys.argv[1])
    told = json.loads((job / "job.json").read_text())
    mostly = MostlyAI(local=True, quiet=True, local_dir=str(job / "mostly"))
    training = {
        "model": "MOSTLYAI/Small",
        "max_training_time": MINUTES,
        "enable_model_report": False,
    }
    start = cpu()
    if linked := told.get("linked"):
        parent, child = linked
        tables = [
            {
                "name": parent,
                "data": pd.read_parquet(job / f"{parent}.parquet"),
                "primary_key": told["key"],
                "tabular_model_configuration": training,
            },
            {
                "name": child,
                "data": pd.read_parquet(job / f"{child}.parquet"),
                "foreign_keys": [
                    {"column": told["foreign_key"], "referenced_table": parent, "is_context": True}
                ],
                "tabular_model_configuration": training,
            },
        ]
    else:
        tables = [
            {
                "name": "out",
                "data": pd.read_parquet(job / "train.parquet"),
                "tabular_model_configuration": training,
            }
        ]
    generator = mostly.train(config={"name": "bench", "tables": tables}, progress_bar=False)
    fitted = cpu()
    made = mostly.probe(generator, size=told["rows"])
    ended = cpu()
    for name, table in (made if isinstance(made, dict) else {"out": made}).items():
        table.to_parquet(job / ("out.parquet" if name == "out" else f"out_{name}.parquet"))
    cost = {"fit_cpu": fitted - start, "sample_cpu": ended - fitted, "rows": told["rows"]}
    (job / "cost.json").write_text(json.dumps(cost))


main()
