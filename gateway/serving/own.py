"""One institution's own rows: read by the institution that the decision names, never the question.

Where the decision names nobody, nothing is read. A question may repeat the code it is bound to; the
policy has judged that, and the rows are chosen by the decision's word all the same.
"""

from __future__ import annotations

from gateway.catalogue.own import INSTITUTION, view_name, view_of
from gateway.errors import Unavailable
from gateway.policy.port import Obligations
from gateway.policy.profiles import profile_key
from gateway.releases.manifest import OwnTable, Shown
from gateway.releases.own.table import OwnSelection
from gateway.releases.store import Page
from gateway.serving.model import Pinned
from gateway.serving.ports import Releases

_FLAGS = {"o": "ok", "r": "r", "s": "s"}


def own_table(pinned: Pinned) -> OwnTable | None:
    """The own rows of the release that a question's dims ask for, if it has them."""
    view = view_of(pinned.question.service, pinned.question.dims)
    tables = {table.name: table for table in pinned.manifest.own}
    return None if view is None else tables.get(view_name(view))


def own_measures(pinned: Pinned) -> tuple[Shown, ...]:
    """The figures of these own rows."""
    table = own_table(pinned)
    return () if table is None else table.measures


def most_own_rows(pinned: Pinned) -> int:
    """The most own rows that a month can have, whoever asks."""
    table = own_table(pinned)
    return 0 if table is None else table.most


def own_page(releases: Releases, pinned: Pinned, obligations: Obligations, limit: int) -> Page:
    """Rows of the institution that the decision names, from the question's place on."""
    question, manifest, table = pinned.question, pinned.manifest, own_table(pinned)
    key, institution = profile_key(obligations.profile), obligations.own_institution
    if table is None or key not in manifest.profiles or not institution:
        raise Unavailable("release_unavailable", "The release has no own rows for this question.")
    where = {dim: value for dim, value in question.where.items() if dim != INSTITUTION}
    found = releases.own(
        OwnSelection(
            service=question.service.id,
            release_id=manifest.release_id,
            profile_key=key,
            table=table,
            institution=institution,
            periods=question.periods,
            geo=question.geo,
            measures=pinned.measures,
            where=where,
        ),
        pinned.offset,
        limit,
    )
    rows = len(found.keys["period"])
    keys = {name: [str(value) for value in values] for name, values in found.keys.items()}
    dims = {dim: keys[dim] for dim in question.dims if dim in table.dims}
    return Page(
        total=found.total,
        keys={
            "period": keys["period"],
            "geo": keys["geo"],
            INSTITUTION: [institution] * rows,
            **dims,
        },
        values=found.values,
        flags={name: [_FLAGS[mark] for mark in marks] for name, marks in found.marks.items()},
    )
