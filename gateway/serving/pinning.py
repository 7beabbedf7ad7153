"""Decide what the caller left open: the grant, the measures, the release and the place in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date

from gateway.catalogue.model import Service
from gateway.catalogue.own import INSTITUTION, view_of
from gateway.errors import BadRequest, NotFound, Unavailable
from gateway.identity.model import EVERYTHING, Grant
from gateway.releases.manifest import Manifest
from gateway.releases.shapes import columns_of, offered
from gateway.serving.cursor import CursorSeal
from gateway.serving.model import Pinned
from gateway.serving.ports import Releases
from gateway.serving.questions import Question
from gateway.serving.reasons import Conflict

NO_GRANT = "none"
_EDITIONS = 4


class Offers:
    """The measures each kind of cell can have, worked out once per edition of the catalogue."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {}
        self._others: dict[str, Offers] = {}

    def of(self, edition: str) -> Offers:
        """What this edition's catalogue offers; the oldest of many editions is forgotten."""
        found = self._others.get(edition)
        if found is None:
            if len(self._others) >= _EDITIONS:
                self._others.pop(next(iter(self._others)))
            found = self._others[edition] = Offers()
        return found

    def __call__(self, service: Service, columns: tuple[str, ...]) -> tuple[str, ...]:
        """Names of the measures of a cell keyed by these lattice columns, in contract order."""
        key = (service.id, columns)
        if key not in self._known:
            self._known[key] = offered(service, columns)
        return self._known[key]


def cell_columns(
    service: Service, dims: Collection[str], levels: Mapping[str, int]
) -> tuple[str, ...] | None:
    """The lattice columns of a cell, the finest of each axis; None where a dim is unknown."""
    known = {dim.name: dim for dim in service.dims if not dim.pivot}
    if not known.keys() >= set(dims):
        return None
    finest: dict[str, str] = {}
    for dim in service.dims:  # coarse before fine, as the contract lists them
        if dim.name in dims:
            steps = columns_of(dim)
            level = levels.get(dim.name, len(steps))
            if level > len(steps):
                raise BadRequest("invalid_parameter", f"`levels`: {dim.name} has fewer levels.")
            finest[dim.axis] = steps[level - 1]
    return tuple(finest.values())


def choose_grant(grants: Collection[Grant], question: Question, today: date) -> str:
    """The grant named, or the only one that covers the service; the policy judges it later."""
    if question.grant_id is not None:
        return question.grant_id
    covering = [grant for grant in grants if question.service.id in grant.services]
    active = [grant.id for grant in covering if grant.is_active(today)]
    if len(active) > 1:
        raise BadRequest("grant_ambiguous", "")
    # Without an active one the policy is asked about an inactive one, so that it can say why not.
    return next(iter([*active, *(grant.id for grant in covering)]), NO_GRANT)


def _default_measures(
    grants: Collection[Grant], grant_id: str, available: tuple[str, ...]
) -> tuple[str, ...]:
    """All the cell has and the grant allows."""
    allowed = next((grant.measures for grant in grants if grant.id == grant_id), (EVERYTHING,))
    if EVERYTHING in allowed:
        return available
    return tuple(name for name in available if name in allowed)


def pin(
    question: Question,
    *,
    tenant: str,
    grants: Collection[Grant],
    releases: Releases,
    offers: Offers,
    seal: CursorSeal,
    today: date,
) -> Pinned:
    """The question, complete. The measures a cell cannot have are judged after the decision."""
    own = INSTITUTION in question.dims
    available = _own_measures(question) if own else _cell_measures(question, offers)
    grant_id = choose_grant(grants, question, today)
    measures = question.measures or _default_measures(grants, grant_id, available)
    digest = question.digest(grant_id, measures)
    release, offset = question.release, 0
    if question.cursor is not None:
        place = seal.open(question.cursor, tenant, digest)
        if release not in (None, place.release):
            raise BadRequest("invalid_cursor", "The cursor belongs to another release.")
        release, offset = place.release, place.offset
    manifest = find_manifest(releases, question.service, release)
    return Pinned(question, grant_id, measures, available, manifest, offset, digest, own)


def _cell_measures(question: Question, offers: Offers) -> tuple[str, ...]:
    """The measures that a cell of these dims can have."""
    columns = cell_columns(question.service, question.dims, question.levels)
    return offers(question.service, columns) if columns is not None else ()


def _own_measures(question: Question) -> tuple[str, ...]:
    """The measures of the view of own data that these dims ask for."""
    view = view_of(question.service, question.dims)
    return () if view is None else tuple(measure.name for measure in view.measures)


def find_manifest(releases: Releases, service: Service, wanted: str | None) -> Manifest:
    """The release wanted, or the latest one."""
    if wanted is None:
        latest = releases.latest(service.id)
        if latest is None and not releases.in_force(service.id):
            raise NotFound("service_not_open", "")
        if latest is None:
            raise Unavailable("release_unavailable", "")
        return latest
    found = releases.find(wanted)
    if found is None or found.service != service.id:
        raise Conflict("release_changed", "")
    return found


def check_released(pinned: Pinned) -> None:
    """Refuse, once the policy has allowed the question, what the release cannot answer."""
    question, manifest = pinned.question, pinned.manifest
    if not pinned.measures or not set(pinned.measures) <= set(pinned.available):
        raise BadRequest("measure_not_in_cell", "")
    if not set(question.periods) <= set(manifest.periods.get(question.grain, ())):
        raise BadRequest("period_not_released", "")
    if not set(question.geo) <= set(manifest.geo):
        raise BadRequest("geo_not_released", "")
    if pinned.own:  # its values are the institution's own words, there is no list of them
        return
    for dim, value in question.where.items():
        if value not in manifest.domains.get(dim, ()):
            raise BadRequest("value_not_listed", f"`where`: not a listed value of {dim}.")
