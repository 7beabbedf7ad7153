"""From files to findings: read the sides, find other real persons, attack, appraise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from synthetic.evaluation.questions import Question
from synthetic.evaluation.report import Promise, Report, appraise
from synthetic.evaluation.sides import Files, add_side, halves, rows_of, write_side
from synthetic.evaluation.verdict import Limits
from synthetic.synthesiser.fitting import fit
from synthetic.synthesiser.model import Model
from synthetic.synthesiser.sampling import sampled
from synthetic.tables.errors import SynthesisError


@dataclass(frozen=True)
class Sources:
    """The files: those the model was fitted to, what was drawn from it, and, where there are any,
    those of other real persons it never saw."""

    real: Files
    synthetic: Path
    holdout: Files | None = None


def measured(
    model: Model, sources: Sources, questions: Sequence[Question], limits: Limits, seed: int = 0
) -> Report:
    """The report of a synthetic set. Without other real persons the real ones are halved: one
    half is the other's floor, and the attacks are made on a set drawn from a model that was
    fitted, with the same promise, to the first half alone.

    Raises:
        SynthesisError: `synth_files`, `synth_data`.
        LearnerMissing: scikit-learn is not installed.
    """
    schema, attacked = model.schema, "synthetic"
    connection = duckdb.connect()
    add_side(connection, schema, "synthetic", drawn_files(model, sources.synthetic))
    if sources.holdout is not None:
        add_side(connection, schema, "real", sources.real)
        add_side(connection, schema, "holdout", sources.holdout)
        told = f"{rows_of(connection, 'holdout', schema.root):,} that the model never saw"
    else:
        add_side(connection, schema, "whole", sources.real)
        halves(connection, schema, "whole", ("real", "holdout"), seed)
        with TemporaryDirectory() as folder:
            _refit(connection, model, Path(folder), seed)
        attacked = "refitted"
        told = (
            "a random half of the real persons; attacks are on a set drawn from a model fitted, "
            "with the same promise, to the other half alone"
        )
    return appraise(
        connection,
        schema,
        promise_of(model),
        questions,
        limits,
        holdout=told,
        attacked=attacked,
        seed=seed,
    )


def promise_of(model: Model) -> Promise:
    """What the model's own statement says."""
    told = model.statement
    return Promise(
        told.unit,
        {name: model.schema.unit_rows(name) for name in model.schema.ordered},
        told.epsilon,
        told.delta,
        told.mu**2,
        [
            {"what": e.what, "queries": e.queries, "sensitivity": e.sensitivity, "sigma": e.sigma}
            for e in told.entries
        ],
    )


def drawn_files(model: Model, folder: Path) -> Files:
    """The files of a folder that `synth sample` wrote, by table.

    Raises:
        SynthesisError: `synth_files`: a table has none.
    """
    found = {}
    for name, table in model.schema.tables.items():
        files = sorted([*folder.glob(f"{name}.parquet"), *folder.glob(f"{name}.csv")])
        if files:
            found[name] = files[:1]
        elif table.columns:
            raise SynthesisError(
                "synth_files",
                f"The synthetic folder holds no {name}.parquet or {name}.csv.",
                "合成数据文件夹缺少某个表的文件。",
            )
    return found


def _refit(connection: duckdb.DuckDBPyConnection, model: Model, folder: Path, seed: int) -> None:
    told = model.statement
    files = write_side(connection, model.schema, "real", folder)
    again = fit(model.schema, files, epsilon=told.epsilon, delta=told.delta, seed=seed)
    units = rows_of(connection, "real", model.schema.root)
    blocks = list(sampled(again, units, seed))
    made = {}
    for name in blocks[0]:
        path = folder / f"drawn-{name}.parquet"
        pq.write_table(pa.concat_tables([block[name] for block in blocks]), path)
        made[name] = [path]
    add_side(connection, model.schema, "refitted", made)
