"""What a service is that checks packs by their trace codes: no cells, one code at a time.

One folder, `policies/catalogue/<id>/`, with `trace.yaml` (this model). Who may ask and what it
costs is said in the words every service has. Packs are looked up by `gateway.traces`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from gateway.catalogue.folders import contracts
from gateway.catalogue.plain import PlainContract, Worked

FILE = "trace.yaml"


class Checked(Worked):
    """One worked example of a check."""

    operation: Literal["check"] = "check"


class TraceContract(PlainContract):
    """The contract of one service of trace codes. `params` are all names a question may give."""

    # To look a code up is one operation for the policy, whichever list or source it is in.
    OP: ClassVar[str] = "lookup"
    SAID: ClassVar[str] = "`POST …/check`, one code at a time"

    grain: Literal["reference"]
    output_level: Literal["L1"]
    sdc: Literal["DC0"]
    min_lag_days: Literal[0]
    formats: tuple[Literal["json"], ...]
    worked: tuple[Checked, ...] = ()


def load_traces(root: Path) -> Mapping[str, TraceContract]:
    """Every service of trace codes, by id; raises `CatalogueError` at the first fault."""
    return {one.id: one for _, one in contracts(root, FILE, TraceContract.model_validate)}
