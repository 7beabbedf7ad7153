"""What a service about one person is: blocks of fields, each of one table, opened by scopes.

One folder, `policies/catalogue/<id>/`, with `person.yaml` (this model). There is no release behind
it: its rows are those the decision's row filters leave of the person source (`gateway.persons`),
which keeps no column but those named here and those the filters need.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field

from gateway.catalogue.faults import CatalogueError
from gateway.catalogue.folders import contracts
from gateway.catalogue.frozen import Frozen
from gateway.catalogue.model import GeoLevel, Text
from gateway.catalogue.terms import Terms

FILE = "person.yaml"
_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class Told(Frozen):
    """A field of the answer: its column, its classification item (SPEC §4.1) and its mask.

    `form` is what becomes of the value before it is masked: `token` a reference that only this
    receiver can use for this consent, `hash` one that whoever knows the value can compute again.
    """

    title: Text
    column: _Name
    item: str = Field(pattern=r"^C(0[1-9]|1[0-2])-\d\d$")
    level: Literal["L1", "L2", "L3", "L4"]
    mask: str = "none"
    form: Literal["text", "day", "amount", "number", "token", "hash", "flag", "year", "codes"] = (
        "text"
    )


class Block(Frozen):
    """Fields of one table. `scopes` open it, as `data/reads.yaml` says of the table; `keys` join
    its rows to those of other blocks and never leave. `inside` are columns that a decision made
    inside looks at: they are no fields, so nothing can let them leave."""

    table: _Name
    scopes: tuple[str, ...] = ("*",)
    keys: tuple[_Name, ...] = ()
    inside: tuple[_Name, ...] = ()
    fields: dict[_Name, Told] = Field(default_factory=dict)


class Worked(Frozen):
    """One worked example: what is asked, and the `data` it is answered with."""

    about: Text
    asked: dict[str, Any]  # a JSON body
    told: dict[str, Any]


class PersonContract(Terms):
    """The contract of one service about single persons; `params` are all that the rules may be
    told of a question beside person, consent and months."""

    grain: Literal["person"]
    output_level: Literal["L3", "L4"]
    sdc: Literal["DC5"]
    min_lag_days: Literal[0]
    geo: tuple[GeoLevel, ...]
    params: tuple[_Name, ...] = ()
    blocks: dict[_Name, Block]
    derived: dict[_Name, Told] = Field(default_factory=dict)
    worked: tuple[Worked, ...] = ()

    @property
    def fields(self) -> dict[str, Told]:
        """Every field by name; where blocks share one, as the first says."""
        every = [*(block.fields for block in self.blocks.values()), self.derived]
        return {name: told for fields in reversed(every) for name, told in fields.items()}

    @property
    def columns(self) -> dict[str, set[str]]:
        """Columns of each table that its answers are made from."""
        found: dict[str, set[str]] = {}
        for block in self.blocks.values():
            told = {told.column for told in block.fields.values()}
            named = told | {*block.keys} | {*block.inside}
            found.setdefault(block.table, set()).update(named)
        return found

    def policy_view(self) -> dict[str, object]:
        """The service as policy data: no cells, a column for each field."""
        none: tuple[str, ...] = ("dims", "forbidden", "measures")
        said = ("code", "version", "consumers", "grain", "output_level", "sdc", "scenarios")
        return {
            **self.model_dump(mode="json", include={*said, "min_lag_days", "free_for", "params"}),
            **{name: [] for name in none},
            "axes": {},
            "bulk": False,
            "periods": ["month"],
            "ops": ["verify"],
            "geo": [level.model_dump() for level in self.geo],
            "tariff": self.tariff.view(),
            "columns": {
                name: {"item": told.item, "level": told.level, "mask": told.mask}
                for name, told in self.fields.items()
            },
        }

    def described(self, prices: Iterator[str]) -> Iterator[str]:
        """Its section of the reference page."""
        yield f"## {self.id} `{self.code}` {self.title.zh}"
        yield f"\n{self.title.en}. {self.summary.en}\n\n{self.summary.zh}\n"
        yield f"- Version {self.version}; one person, by that person's consent"
        yield f"- Consumers: {', '.join(self.consumers)}; scenarios: {', '.join(self.scenarios)}"
        yield f"- Disclosure profile {self.sdc}; output level {self.output_level}"
        yield from (f"- Tariff: {price}" for price in prices)
        yield from (f"- Note: {note.en} {note.zh}" for note in self.notes)
        yield "\n| field | 内容 | meaning | item | of | mask | opened by |"
        yield "|---|---|---|---|---|---|---|"
        for name, block in self.blocks.items():
            opened = ", ".join(block.scopes).replace("*", "any scope")
            yield from (_row(key, told, name, opened) for key, told in block.fields.items())
        yield from (_row(key, told, "—", "see notes") for key, told in self.derived.items())
        yield from self._inside()
        for number, one in enumerate(self.worked, 1):
            yield f"\n**Worked example {number}.** {one.about.en} {one.about.zh}\n"
            asked, answer = (orjson.dumps(part).decode() for part in (one.asked, one.told))
            yield f"`POST /v1/services/{self.id}/verify`\n"
            yield f"```json\n{asked}\n```\n\nThe answer has in `data`:\n\n```json\n{answer}\n```"
        yield ""

    def _inside(self) -> Iterator[str]:
        """What is read for the decision alone."""
        read = {block.table: block.inside for block in self.blocks.values() if block.inside}
        if read:
            yield "\nRead inside for the decision and never told 仅供域内判定、不对外给出:\n"
            yield from (f"- `{table}`: {', '.join(names)}" for table, names in read.items())


def _row(name: str, told: Told, block: str, opened: str) -> str:
    title = told.title
    return (
        f"| `{name}` | {title.zh} | {title.en} | {told.item} | {block} | {told.mask} | {opened} |"
    )


def load_persons(root: Path) -> Mapping[str, PersonContract]:
    """Every service about persons, by id; raises `CatalogueError` at the first fault."""
    found = {}
    for path, one in contracts(root, FILE, PersonContract.model_validate):
        _check_shared(path, one)
        _check_inside(path, one)
        found[one.id] = one
    return found


def _check_shared(path: Path, contract: PersonContract) -> None:
    """A field of two blocks has one class and one mask: the decision knows it by its name alone."""
    for block in contract.blocks.values():
        for name, told in block.fields.items():
            first = contract.fields[name]
            if (first.item, first.level, first.mask) != (told.item, told.level, told.mask):
                raise CatalogueError("catalogue_reference", f"{path}: {name} is of two classes")


def _check_inside(path: Path, contract: PersonContract) -> None:
    """What is read for a decision inside is told by no field of the same service."""
    inside = {(one.table, name) for one in contract.blocks.values() for name in one.inside}
    for block in contract.blocks.values():
        for told in block.fields.values():
            if (block.table, told.column) in inside:
                raise CatalogueError(
                    "catalogue_reference", f"{path}: {told.column} is read inside and told as well"
                )
