"""What a service is that checks packs by their trace codes: no cells, one code at a time.

One folder, `policies/catalogue/<id>/`, with `trace.yaml` (this model). Who may ask and what it
costs is said in the words every service has. Packs are looked up by `gateway.traces`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import orjson

from gateway.catalogue.folders import contracts
from gateway.catalogue.frozen import Frozen
from gateway.catalogue.model import Text
from gateway.catalogue.plain import PlainContract

FILE = "trace.yaml"


class Worked(Frozen):
    """One worked example: a question, and the part of `result` it is to show."""

    about: Text
    asked: dict[str, Any]  # a JSON body
    told: dict[str, Any]


class TraceContract(PlainContract):
    """The contract of one service of trace codes. `params` are all names a question may give."""

    # To look a code up is one operation for the policy, whichever list or source it is in.
    OP: ClassVar[str] = "lookup"
    SAID: ClassVar[str] = "`POST …/check`, one code at a time"
    UNTOLD: ClassVar[frozenset[str]] = PlainContract.UNTOLD | {"worked"}

    grain: Literal["reference"]
    output_level: Literal["L1"]
    sdc: Literal["DC0"]
    min_lag_days: Literal[0]
    formats: tuple[Literal["json"], ...]
    worked: tuple[Worked, ...] = ()

    def examples(self) -> Iterator[str]:
        """Worked examples."""
        for number, one in enumerate(self.worked, 1):
            yield f"\n**Worked example {number}.** {one.about.en} {one.about.zh}\n"
            asked, told = (orjson.dumps(part).decode() for part in (one.asked, one.told))
            yield f"`POST /v1/services/{self.id}/check`\n"
            yield f"```json\n{asked}\n```\n\nThe answer has in `result`:\n\n```json\n{told}\n```"


def load_traces(root: Path) -> Mapping[str, TraceContract]:
    """Every service of trace codes, by id; raises `CatalogueError` at the first fault."""
    return {one.id: one for _, one in contracts(root, FILE, TraceContract.model_validate)}
