"""One fact from several queries: their rows put together by the names of the columns."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.catalogue.faults import CatalogueError
from gateway.catalogue.model import Service
from gateway.catalogue.subject import about_persons

_FIXED = ("period_m", "geo_county", "geo_city")
_OF_PERSONS = ("psn_no", "fixmedins_code", "counting", "magnitude")
_MAKER = re.compile(r"\bmaker\b")


def together(service: Service, fact: str, texts: Sequence[str]) -> str:
    """The SQL of all queries; a column that one of them lacks is an error when it is run.

    Each names its columns, so that their order in a file says nothing, and no column is filled up
    with nulls where a file forgot it.
    """
    named = [bool(_MAKER.search(text)) for text in texts]
    if any(named) and not all(named):
        raise CatalogueError(
            "catalogue_fact", f"{service.id}: facts.{fact}: some queries have a maker, some not"
        )
    columns = ", ".join((*_columns(service, fact), *(["maker"] if any(named) else [])))
    bare = [text.strip().rstrip(";") for text in texts]
    return "\nUNION ALL\n".join(f"SELECT {columns} FROM (\n{text}\n)" for text in bare)


def _columns(service: Service, fact: str) -> list[str]:
    """Those every fact has, the dims, and whatever measures read."""
    dims = {dim.name: dim.levels or (dim.name,) for dim in service.dims}
    own = [m.define for m in service.measures if m.define.source == fact]
    names = [
        *_FIXED,
        *(_OF_PERSONS if about_persons(service, fact) else ()),
        *(column for dim in service.facts[fact].dims for column in dims[dim]),
        *(column for define in own for column in (*define.sums, *define.records)),
    ]
    return list(dict.fromkeys(names))
