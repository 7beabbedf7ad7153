"""SDV's Gaussian copula, not private: `python peer_sdv.py JOB`; linked tables by HMA."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from cost import cpu
from sdv.metadata import Metadata
from sdv.multi_table import HMASynthesizer
from sdv.single_table import GaussianCopulaSynthesizer


def main() -> None:
    """One job: fit, sample, and what each took."""
    job = Path(sys.argv[1])
    told = json.loads((job / "job.json").read_text())
    np.random.seed(told["seed"])
    linked = told.get("linked")
    tables = {name: pd.read_parquet(job / f"{name}.parquet") for name in linked or ["train"]}
    metadata = Metadata.detect_from_dataframes(tables)
    for name, columns in told["categorical"].items():
        for column in columns:
            metadata.update_column(column, table_name=name, sdtype="categorical")
    for name, columns in told["numerical"].items():
        for column in columns:
            metadata.update_column(column, table_name=name, sdtype="numerical")
    start = cpu()
    model = HMASynthesizer(metadata) if linked else GaussianCopulaSynthesizer(metadata)
    model.fit(tables)
    fitted = cpu()
    made = model.sample_scale(1) if linked else model.sample(num_rows=told["rows"])
    ended = cpu()
    for name, table in made.items():
        table.to_parquet(job / (f"out_{name}.parquet" if linked else "out.parquet"))
    cost = {"fit_cpu": fitted - start, "sample_cpu": ended - fitted, "rows": told["rows"]}
    (job / "cost.json").write_text(json.dumps(cost))


main()
