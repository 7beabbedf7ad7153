"""The lineage of a service as a section of the reference page: source columns, table by table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.catalogue.load import Catalogue
from gateway.catalogue.model import Service
from gateway.releases.lineage.figures import Lineage, lineage_of
from gateway.releases.lineage.reads import Act, Reads
from gateway.releases.lineage.text import listed

_CHOICES = frozenset({Act.CONDITIONAL, Act.WINDOW, Act.SORT})
_RECORDS = frozenset({Act.FILTER, Act.JOIN, Act.GROUP_BY})


def source_lines(catalogue: Catalogue, service: Service) -> Iterator[str]:
    """The section of one service, as lines of Markdown: one for all columns from the same ones."""
    yield from lineage_lines(lineage_of(catalogue, service))


def lineage_lines(lineage: Lineage) -> Iterator[str]:
    """The same of a lineage; columns of a view of own rows are told as `view.column`."""
    fields = _fields(lineage)
    alike: dict[tuple[str, str], list[str]] = {}
    for name, reads in fields.items():
        made, chosen = listed(sorted(reads.direct)), _acting(reads, _CHOICES)
        alike.setdefault((made, chosen), []).append(f"`{name}`")
    yield "**Source columns** 来源字段 (`sluice release lineage` shows every step)"
    yield ""
    yield "| columns | made of | chosen by |"
    yield "|---|---|---|"
    for (made, chosen), names in alike.items():
        yield f"| {', '.join(names)} | {made or '—'} | {chosen or '—'} |"
    yield ""
    yield f"Which records count, and in which cell: {_records(fields.values())}."
    yield ""


def _acting(reads: Reads, acts: frozenset[Act]) -> str:
    found = {(one.table, one.column) for one in reads.paths if one.act in acts}
    return listed(sorted(found - reads.direct))


def _fields(lineage: Lineage) -> dict[str, Reads]:
    own = {f"{v.name}.{name}": reads for v in lineage.views for name, reads in v.fields.items()}
    return {**lineage.fields, **own}


def _records(fields: Iterable[Reads]) -> str:
    """The columns that decide so for any of the figures."""
    return listed(
        sorted(
            {
                (one.table, one.column)
                for reads in fields
                for one in reads.paths
                if one.act in _RECORDS
            }
        )
    )
