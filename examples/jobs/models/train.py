"""Train one model on the pack and one on the input, test both on persons of the input held out.

In the sandbox the input is the pack, so both are alike; in a validation run it is the bureau's
view, and the difference is what the pack is not good for. Only figures of quality are left behind.
"""

import argparse
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import mean_absolute_error, roc_auc_score

asked = argparse.ArgumentParser()
asked.add_argument("--table", required=True)
asked.add_argument("--target", required=True)
given = asked.parse_args()
seed = int(os.environ["SLUICE_SEED"])


def read(name):
    """Features as codes, the target, and whether each row's person is held out."""
    table = pq.read_table(Path(os.environ["SLUICE_INPUT"]) / name / f"{given.table}.parquet")
    columns = {column: table[column].to_pylist() for column in table.column_names}
    target, person = columns.pop(given.target), columns.pop("person")
    held = [hashlib.sha256(f"{seed}/{p}".encode()).digest()[0] < 77 for p in person]
    return columns, target, np.array(held)


here, pack = read(given.table), read(f"{given.table}-pack")
words = {c: {w: n for n, w in enumerate(sorted({*here[0][c], *pack[0][c]}))} for c in here[0]}


def matrix(columns):
    """One column of codes for each feature; what is a number keeps its order by its place."""
    return np.array([[words[c][w] for w in columns[c]] for c in sorted(columns)], float).T


def fitted(columns, target, rows):
    """A model of the rows, and what it says of those held out of the input."""
    x, y, test = matrix(columns)[rows], np.array(target)[rows], matrix(here[0])[here[2]]
    if given.target == "fee":
        model = HistGradientBoostingRegressor(max_iter=60, random_state=seed)
        return model.fit(x, np.log(y.astype(float))).predict(test)
    model = HistGradientBoostingClassifier(max_iter=60, random_state=seed)
    return model.fit(x, y == "yes").predict_proba(test)[:, 1]


truth = np.array(here[1])[here[2]]
name = "mean_absolute_log_error" if given.target == "fee" else "auc"


def score(told):
    """How far what a model says is from the truth, or how well it tells both kinds apart."""
    if given.target == "fee":
        return mean_absolute_error(np.log(truth.astype(float)), told)
    return roc_auc_score(truth == "yes", told)


of_pack = score(fitted(pack[0], pack[1], ~pack[2]))
of_here = score(fitted(here[0], here[1], ~here[2]))
result = {
    f"{name}_trained_on_pack": round(of_pack, 3),
    f"{name}_trained_here": round(of_here, 3),
    "gap": round(of_pack - of_here, 3),
}
(Path(os.environ["SLUICE_OUTPUT"]) / "metrics.json").write_text(json.dumps(result))
