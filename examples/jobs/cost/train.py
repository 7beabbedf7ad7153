"""Fit cost on age by least squares over `people.csv` (age, cost) of the pack; leave the error."""

import argparse
import csv
import json
import os
import random
from pathlib import Path

asked = argparse.ArgumentParser()
asked.add_argument("--degree", type=int, default=1)
degree = asked.parse_args().degree

rows = list(csv.DictReader((Path(os.environ["SLUICE_INPUT"]) / "pack" / "people.csv").open()))
random.Random(int(os.environ["SLUICE_SEED"])).shuffle(rows)  # noqa: S311  # a split, no secret
points = [
    ([(float(r["age"]) / 100) ** p for p in range(degree + 1)], float(r["cost"])) for r in rows
]
train, test = points[: len(points) // 2], points[len(points) // 2 :]

weights = [0.0] * (degree + 1)
for _ in range(2000):
    slope = [0.0] * len(weights)
    for features, cost in train:
        off = sum(w * f for w, f in zip(weights, features, strict=True)) - cost
        slope = [s + off * f for s, f in zip(slope, features, strict=True)]
    weights = [w - s / len(train) for w, s in zip(weights, slope, strict=True)]

error = sum(
    abs(sum(w * f for w, f in zip(weights, features, strict=True)) - cost)
    for features, cost in test
) / len(test)
result = {"mean_absolute_error": round(error, 2), "rows": len(rows)}
(Path(os.environ["SLUICE_OUTPUT"]) / "metrics.json").write_text(json.dumps(result))
print(f"fitted {len(train)} rows, degree {degree}")  # noqa: T201  # the job's log
