"""What a service is that cleans a caller's own texts: no cells, no release, one operation.

One folder, `policies/catalogue/<id>/`, with `text.yaml` (this model). Who may ask and what it costs
is said in the words every service has. The texts are cleaned by `gateway.freetext`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from gateway.catalogue.folders import contracts
from gateway.catalogue.frozen import Frozen
from gateway.catalogue.model import Text
from gateway.catalogue.tariff import Tariff

FILE = "text.yaml"


class TextContract(Frozen):
    """The contract of one service of texts. `params` are the choices a question may make."""

    id: str = Field(pattern=r"^S\d\d$")
    code: str
    version: str
    title: Text
    summary: Text
    notes: tuple[Text, ...] = ()
    consumers: tuple[str, ...]
    grain: Literal["text"]
    output_level: Literal["L1"]
    sdc: Literal["DC0"]
    scenarios: tuple[str, ...]
    min_lag_days: Literal[0]
    tariff: Tariff
    free_for: tuple[str, ...] = ()
    params: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], ...]
    formats: tuple[Literal["json"], ...]

    def policy_view(self) -> dict[str, object]:
        """The service as policy data: as every service, with nothing that could be a cell."""
        none: tuple[str, ...] = ("periods", "geo", "dims", "forbidden", "measures")
        return {
            **self.model_dump(mode="json", exclude={"id", "title", "summary", "notes", "tariff"}),
            **{name: [] for name in none},
            "ops": ["deidentify"],
            "axes": {},
            "columns": {},
            "bulk": False,
            "tariff": self.tariff.view(),
        }

    def described(self) -> Iterator[str]:
        """Its section of the reference page."""
        yield f"## {self.id} `{self.code}` {self.title.zh}"
        yield f"\n{self.title.en}. {self.summary.en}\n\n{self.summary.zh}\n"
        yield f"- Version {self.version}; no cells: `POST /v1/text/deidentify`"
        yield f"- Consumers: {', '.join(self.consumers)}; scenarios: {', '.join(self.scenarios)}"
        yield f"- Disclosure profile {self.sdc}; output level {self.output_level}"
        yield f"- Tariff: {self.tariff.unit}"
        yield from (f"- Note: {note.en} {note.zh}" for note in self.notes)
        yield ""


def load_texts(root: Path) -> Mapping[str, TextContract]:
    """Every service of texts, by id; raises `CatalogueError` at the first fault."""
    return {one.id: one for _, one in contracts(root, FILE, TextContract.model_validate)}
