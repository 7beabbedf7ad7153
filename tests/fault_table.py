"""The table of faults: a line of JSON for each cell while the tests run, Markdown afterwards.

`SLUICE_FAULT_ROWS` names the file of lines; `python -m tests.fault_table` prints the page from it.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.fault_load import Compared, Told

ROWS = "SLUICE_FAULT_ROWS"
_HEAD = """# What was broken under load, and what came of it

Written by `make faults` from the rows that its runs left; nothing here is typed by hand.
Two replicas behind one issuer, each with an OPA, one PostgreSQL, one Valkey; two clients that
repeat a question under its Idempotency-Key until it is answered, and beside them
three who may not ask. A pause lasts ten seconds, any other fault six.
Nobody does anything but start again what ended.

- *clients saw*: answers and codes of those who may ask; *refused*: of those who may not (a 2xx
  fails the run).
- *gap*: the longest time in which one client got no answer; *back*: from the fault's end until a
  schedule's `sluice quota rebuild --unless-open` had run and both replicas were ready and answered.
  Both are of this run on a shared machine and promise nothing.
- *records*: questions answered = counted in the central store; every answer was found there, each
  once, with a decision that allows it. *lost*, *doubled*: must be 0.

| part | fault | clients saw | refused | gap s | back s | answered | records | lost | doubled |
|---|---|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Row:
    """One cell of the matrix; how many seconds after the fault both replicas answered again."""

    part: str
    fault: str
    recovered: float


def write_row(row: Row, told: Sequence[Told], found: Compared) -> None:
    """Keep it where the run was told to; without a place, nothing."""
    if path := os.environ.get(ROWS):
        seen = {
            "codes": sum((each.codes for each in told), Counter[str]()),
            "refused": sum((each.refused for each in told), Counter[str]()),
            "longest": max(each.longest for each in told),
        }
        with Path(path).open("a") as file:
            file.write(json.dumps({**asdict(row), **seen, "found": asdict(found)}) + "\n")


def _told(codes: dict[str, int]) -> str:
    return ", ".join(f"{code} × {count}" for code, count in sorted(codes.items()))


def _line(row: dict[str, Any]) -> str:
    found = row["found"]
    cells = (
        row["part"],
        row["fault"],
        _told(row["codes"]),
        _told(row["refused"]),
        f"{row['longest']:.1f}",
        f"{row['recovered']:.1f}",
        found["answered"],
        found["records"],
        found["missing"],
        found["doubled"],
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def page(lines: list[str]) -> str:
    """The page of a run."""
    return _HEAD + "\n".join(_line(json.loads(line)) for line in lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page(Path(sys.argv[1]).read_text().splitlines()))
