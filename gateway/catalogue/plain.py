"""What services without cells have in common: who may ask, on what terms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from gateway.catalogue.terms import Terms


class PlainContract(Terms):
    """The contract of one service without cells. `params` are all names a question may give,
    `formats` the forms in which it is answered."""

    OP: ClassVar[str]
    """The operation, as the policy knows it."""
    SAID: ClassVar[str]
    """What the reference page says of where it is asked."""
    UNTOLD: ClassVar[frozenset[str]] = frozenset({"id", "title", "summary", "notes", "tariff"})
    """Fields that are no policy data."""

    params: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], ...]
    formats: tuple[str, ...]

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
        yield from ()
