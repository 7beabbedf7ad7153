"""What a service of reference data is: no cells, a closed set of operations on code lists.

One folder, `policies/catalogue/<id>/`, with `reference.yaml` (this model). Who may ask and what it
costs is said in the words every service has. The lists come in bundles (`gateway.codes`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field

from gateway.catalogue.folders import contracts
from gateway.catalogue.frozen import Frozen
from gateway.catalogue.model import Text
from gateway.catalogue.tariff import Tariff

FILE = "reference.yaml"


class Worked(Frozen):
    """One worked example: a question, and the part of the answer it is to show."""

    about: Text
    operation: Literal["search", "lookup", "validate-code", "validate-list", "translate"]
    asked: dict[str, Any]  # a JSON body
    told: dict[str, Any]  # must be in the answer; of lists the first elements


class Reference(Frozen):
    """The contract of one service of reference data. `params` are all names a question may give,
    `formats` the forms in which it is answered."""

    id: str = Field(pattern=r"^S\d\d$")
    code: str
    version: str
    title: Text
    summary: Text
    notes: tuple[Text, ...] = ()
    consumers: tuple[str, ...]
    grain: Literal["reference"]
    output_level: Literal["L1"]
    sdc: Literal["DC0"]
    scenarios: tuple[str, ...]
    min_lag_days: Literal[0]
    tariff: Tariff
    free_for: tuple[str, ...] = ()
    params: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], ...]
    formats: tuple[str, ...]
    worked: tuple[Worked, ...] = ()

    def policy_view(self) -> dict[str, object]:
        """The service as policy data: as every service, with nothing that could be a cell."""
        none: tuple[str, ...] = ("periods", "geo", "dims", "forbidden", "measures")
        return {
            **self.model_dump(
                mode="json", exclude={"id", "title", "summary", "notes", "tariff", "worked"}
            ),
            **{name: [] for name in none},
            "ops": ["lookup"],
            "axes": {},
            "columns": {},
            "bulk": False,
            "tariff": self.tariff.view(),
        }

    def described(self) -> Iterator[str]:
        """Its section of the reference page."""
        yield f"## {self.id} `{self.code}` {self.title.zh}"
        yield f"\n{self.title.en}. {self.summary.en}\n\n{self.summary.zh}\n"
        yield f"- Version {self.version}; no cells: operations on code lists"
        yield f"- Consumers: {', '.join(self.consumers)}; scenarios: {', '.join(self.scenarios)}"
        yield f"- Disclosure profile {self.sdc}; output level {self.output_level}"
        yield f"- Tariff: {self.tariff.unit}"
        yield from (f"- Note: {note.en} {note.zh}" for note in self.notes)
        for number, one in enumerate(self.worked, 1):
            yield f"\n**Worked example {number}.** {one.about.en} {one.about.zh}\n"
            asked, told = (orjson.dumps(part).decode() for part in (one.asked, one.told))
            yield f"`POST /v1/services/{self.id}/{one.operation}`\n"
            yield f"```json\n{asked}\n```\n\nThe answer has in `result`:\n\n```json\n{told}\n```"
        yield ""


def load_references(root: Path) -> Mapping[str, Reference]:
    """Every service of reference data, by id; raises `CatalogueError` at the first fault."""
    return {one.id: one for _, one in contracts(root, FILE, Reference.model_validate)}
