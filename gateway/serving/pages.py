"""Pages kept at hand as they will leave: fetched, marked, masked, rendered and counted.

What a page holds depends on the question, the tenant, the release and the obligations of the
decision, and on nothing else; releases never change. The policy is asked before a page is looked
for, at every request, and a page is found only under obligations equal to those it was made under:
a decision that obliges to anything else makes it anew. Quota, charge, watermark and record are each
answer's own.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from gateway.catalogue.model import Service
from gateway.journal.charges import Cells
from gateway.policy.port import Obligations
from gateway.releases.manifest import Manifest
from gateway.serving.charge import Counted, counted
from gateway.serving.fetching import Fetched
from gateway.serving.model import Decided
from gateway.serving.render import Finish

MOST_CELLS: Final = 400_000
"""Of all pages together; JSON takes about 70 octets a cell."""

_Key: TypeAlias = tuple[str, str, int, int, str]


@dataclass(frozen=True, slots=True)
class Ready:
    """A page that lacks only what is each answer's own."""

    counted: Counted
    limit: int
    total: int
    chargeable: Cells
    finish: Finish


def ready(fetched: Fetched, finish: Finish) -> Ready:
    """A page that was fetched and rendered just now."""
    return Ready(counted(fetched.table), fetched.limit, fetched.total, fetched.chargeable, finish)


@dataclass(frozen=True, slots=True)
class _Kept:
    page: Ready
    service: Service
    manifest: Manifest
    obligations: Obligations
    cells: int

    def serves(self, decided: Decided, obligations: Obligations) -> bool:
        """Whether it would be made the same again."""
        pinned = decided.pinned
        same = self.service is pinned.question.service and self.manifest is pinned.manifest
        return same and (self.obligations is obligations or self.obligations == obligations)


class Pages:
    """The pages asked for last. To be used within one event loop."""

    def __init__(self, most_cells: int = MOST_CELLS) -> None:
        self._most, self._cells = most_cells, 0
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()

    def find(self, decided: Decided, obligations: Obligations, media: str) -> Ready | None:
        """The page of an allowed question, if it is at hand."""
        key = _key(decided, media)
        kept = self._kept.get(key)
        if kept is None or not kept.serves(decided, obligations):
            return None
        if kept.obligations is not obligations:  # the next time they need not be compared
            self._kept[key] = replace(kept, obligations=obligations)
        self._kept.move_to_end(key)
        return kept.page

    def keep(self, decided: Decided, obligations: Obligations, media: str, page: Ready) -> None:
        """Keep a page in place of those that nobody asked for longest."""
        pinned, key = decided.pinned, _key(decided, media)
        cells = page.counted.rows * max(1, len(pinned.measures))
        if cells > self._most:
            return
        service = pinned.question.service
        self._forget(key)
        self._kept[key] = _Kept(page, service, pinned.manifest, obligations, cells)
        self._cells += cells
        while self._cells > self._most:
            self._forget(next(iter(self._kept)))

    def _forget(self, key: _Key) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._cells -= kept.cells


def _key(decided: Decided, media: str) -> _Key:
    """The question by its digest, which names grant, cells and measures; and the place in it."""
    pinned = decided.pinned
    tenant, size = decided.case.caller.tenant_id, pinned.question.page_size
    return tenant, pinned.digest, pinned.offset, size, media
