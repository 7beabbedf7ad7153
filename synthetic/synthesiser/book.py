"""What all fits to the same people have cost: a file that grows only and refuses to overspend.

Its first line is the budget; each further line a fit, with the hash of the line before it. A fit is
entered before its data are read: one that fails afterwards has been paid for, and is not refunded.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from pathlib import Path
from typing import IO, Any

from synthetic.synthesiser.accounting import epsilon_at, mu_at
from synthetic.tables.errors import SynthesisError

SLACK = 1e-9


def open_book(path: Path, epsilon: float, delta: float) -> None:
    """Begin a ledger with the (ε, δ) that all fits together may cost.

    Raises:
        SynthesisError: `synth_ledger`, where there is one; `synth_budget`.
    """
    mu_at(epsilon, delta)
    line = json.dumps({"epsilon": epsilon, "delta": delta})
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(line + "\n")
    except FileExistsError as error:
        raise _refused(f"{path.name} exists already") from error


def enter(path: Path, epsilon: float, delta: float, what: str) -> float:
    """Book a fit that is about to be made; ε of all fits so far, at the budget's δ.

    Raises:
        SynthesisError: `synth_overspent`, nothing is booked; `synth_ledger`, the file is no ledger
            or was changed.
    """
    cost = mu_at(epsilon, delta) ** 2
    try:
        with path.open("r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            budget, entries, last = _read(path, file)
            spent = sum(float(entry["mu2"]) for entry in entries)
            if spent + cost > mu_at(budget["epsilon"], budget["delta"]) ** 2 * (1 + SLACK):
                raise SynthesisError(
                    "synth_overspent",
                    f"The ledger's budget does not hold a further fit of ε {epsilon:g} at δ "
                    f"{delta:g}; nothing was read.",
                    "隐私总预算不足，未读取任何数据。",
                )
            entry = {"what": what, "epsilon": epsilon, "delta": delta, "mu2": cost, "after": last}
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _refused(f"{path.name} cannot be written: {error.strerror}") from error
    return epsilon_at((spent + cost) ** 0.5, budget["delta"])


def _read(path: Path, file: IO[str]) -> tuple[dict[str, Any], list[dict[str, Any]], str]:
    lines = file.read().splitlines()
    try:
        budget, *entries = [json.loads(line) for line in lines]
        mu_at(budget["epsilon"], budget["delta"])
        hashes = [hashlib.sha256(line.encode()).hexdigest() for line in lines]
        if [entry["after"] for entry in entries] != hashes[:-1]:
            raise _refused(f"{path.name} is not as it was written")
    except (ValueError, KeyError, TypeError) as error:
        raise _refused(f"{path.name} is no ledger, or not as it was written") from error
    return budget, entries, hashes[-1]


def _refused(what: str) -> SynthesisError:
    return SynthesisError("synth_ledger", f"The ledger cannot be used: {what}.", "隐私账本不可用。")
