"""What a service of reference data is: no cells, a closed set of operations on code lists.

One folder, `policies/catalogue/<id>/`, with `reference.yaml` (this model). Who may ask and what it
costs is said in the words every service has. The lists come in bundles (`gateway.codes`).
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

FILE = "reference.yaml"


class Worked(Frozen):
    """One worked example: a question, and the part of the answer it is to show."""

    about: Text
    operation: Literal["search", "lookup", "validate-code", "validate-list", "translate"]
    asked: dict[str, Any]  # a JSON body
    told: dict[str, Any]  # must be in the answer; of lists the first elements


class Reference(PlainContract):
    """The contract of one service of reference data."""

    OP: ClassVar[str] = "lookup"
    SAID: ClassVar[str] = "operations on code lists"
    UNTOLD: ClassVar[frozenset[str]] = PlainContract.UNTOLD | {"worked"}

    grain: Literal["reference"]
    output_level: Literal["L1"]
    sdc: Literal["DC0"]
    min_lag_days: Literal[0]
    worked: tuple[Worked, ...] = ()

    def examples(self) -> Iterator[str]:
        """Worked examples."""
        for number, one in enumerate(self.worked, 1):
            yield f"\n**Worked example {number}.** {one.about.en} {one.about.zh}\n"
            asked, told = (orjson.dumps(part).decode() for part in (one.asked, one.told))
            yield f"`POST /v1/services/{self.id}/{one.operation}`\n"
            yield f"```json\n{asked}\n```\n\nThe answer has in `result`:\n\n```json\n{told}\n```"


def load_references(root: Path) -> Mapping[str, Reference]:
    """Every service of reference data, by id; raises `CatalogueError` at the first fault."""
    return {one.id: one for _, one in contracts(root, FILE, Reference.model_validate)}
