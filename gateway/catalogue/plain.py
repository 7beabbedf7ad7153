"""What services without cells have in common: who may ask, on what terms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, ClassVar

import orjson
from pydantic import Field

from gateway.catalogue.frozen import Frozen
from gateway.catalogue.model import Text
from gateway.catalogue.terms import Terms


class Worked(Frozen):
    """One worked example: a question, and the part of the answer it is to show."""

    about: Text
    operation: str
    """The last part of the address."""
    asked: dict[str, Any]  # a JSON body
    told: dict[str, Any]  # must be in `result`; of lists the first elements


class PlainContract(Terms):
    """The contract of one service without cells. `params` are all names a question may give,
    `formats` the forms in which it is answered."""

    OP: ClassVar[str]
    """The operation, as the policy knows it."""
    SAID: ClassVar[str]
    """What the reference page says of where it is asked."""
    UNTOLD: ClassVar[frozenset[str]] = frozenset(
        {"id", "title", "summary", "notes", "tariff", "worked"}
    )
    """Fields that are no policy data."""

    params: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], ...]
    formats: tuple[str, ...]
    worked: tuple[Worked, ...] = ()

    def policy_view(self) -> dict[str, object]:
        """The service as policy data: as every service, with nothing that could be a cell."""
        none: tuple[str, ...] = ("periods", "geo", "dims", "forbidden", "measures")
        return {
            **self.model_dump(mode="json", exclude=set(self.UNTOLD)),
            **{name: [] for name in none},
            "ops": [self.OP],
            "axes": {},
            "columns": {},
            "bulk": False,
            "tariff": self.tariff.view(),
        }

    def described(self, prices: Iterable[str]) -> Iterator[str]:
        """Its section of the reference page; `prices` as sentences."""
        yield f"## {self.id} `{self.code}` {self.title.zh}"
        yield f"\n{self.title.en}. {self.summary.en}\n\n{self.summary.zh}\n"
        yield f"- Version {self.version}; no cells: {self.SAID}"
        yield f"- Consumers: {', '.join(self.consumers)}; scenarios: {', '.join(self.scenarios)}"
        yield f"- Disclosure profile {self.sdc}; output level {self.output_level}"
        yield from (f"- Tariff: {price}" for price in prices)
        yield from (f"- Note: {note.en} {note.zh}" for note in self.notes)
        yield from self.examples()
        yield ""

    def examples(self) -> Iterator[str]:
        """Worked examples, where there are some."""
        for number, one in enumerate(self.worked, 1):
            yield f"\n**Worked example {number}.** {one.about.en} {one.about.zh}\n"
            asked, told = (orjson.dumps(part).decode() for part in (one.asked, one.told))
            yield f"`POST /v1/services/{self.id}/{one.operation}`\n"
            yield f"```json\n{asked}\n```\n\nThe answer has in `result`:\n\n```json\n{told}\n```"
