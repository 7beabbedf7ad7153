"""What a service of reference data is: no cells, a closed set of operations on code lists.

One folder, `policies/catalogue/<id>/`, with `reference.yaml` (this model). Who may ask and what it
costs is said in the words every service has. The lists come in bundles (`gateway.codes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from gateway.catalogue.folders import contracts
from gateway.catalogue.plain import PlainContract, Worked

FILE = "reference.yaml"


class Looked(Worked):
    """One worked example of an operation on code lists."""

    operation: Literal["search", "lookup", "validate-code", "validate-list", "translate"]


class Reference(PlainContract):
    """The contract of one service of reference data."""

    OP: ClassVar[str] = "lookup"
    SAID: ClassVar[str] = "operations on code lists"

    grain: Literal["reference"]
    output_level: Literal["L1"]
    sdc: Literal["DC0"]
    min_lag_days: Literal[0]
    worked: tuple[Looked, ...] = ()


def load_references(root: Path) -> Mapping[str, Reference]:
    """Every service of reference data, by id; raises `CatalogueError` at the first fault."""
    return {one.id: one for _, one in contracts(root, FILE, Reference.model_validate)}
