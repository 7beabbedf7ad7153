"""What a service is that cleans a caller's own texts: no cells, no release, one operation.

One folder, `policies/catalogue/<id>/`, with `text.yaml` (this model). Who may ask and what it costs
is said in the words every service has. The texts are cleaned by `gateway.freetext`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from gateway.catalogue.folders import contracts
from gateway.catalogue.plain import PlainContract

FILE = "text.yaml"


class TextContract(PlainContract):
    """The contract of one service of texts. `params` are the choices a question may make."""

    OP: ClassVar[str] = "deidentify"
    SAID: ClassVar[str] = "`POST /v1/text/deidentify`"

    grain: Literal["text"]
    output_level: Literal["L1"]
    sdc: Literal["DC0"]
    min_lag_days: Literal[0]
    formats: tuple[Literal["json"], ...]


def load_texts(root: Path) -> Mapping[str, TextContract]:
    """Every service of texts, by id; raises `CatalogueError` at the first fault."""
    return {one.id: one for _, one in contracts(root, FILE, TextContract.model_validate)}
