"""Own rows as part of a release, and releases that hold nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gateway.catalogue.load import Catalogue
from gateway.catalogue.model import Grain, Service
from gateway.catalogue.own import view_name
from gateway.releases.contents import Facts, common
from gateway.releases.engine.staging import Staged
from gateway.releases.manifest import OwnTable
from gateway.releases.own.making import (
    DELIVERED,
    Making,
    fact_view,
    told_of,
    write_delivered,
    write_own,
)
from gateway.releases.quality import ByProvider
from gateway.releases.source import Source


@dataclass(frozen=True)
class OwnPlan:
    """What own rows tell of, where there is nothing else: months, and cities of institutions."""

    service: Service
    months: tuple[str, ...]
    places: tuple[str, ...]


@dataclass(frozen=True)
class Bench:
    """Where views of own data are run: a version of the warehouse, and a folder for drafts."""

    catalogue: Catalogue
    warehouse: Path
    scratch: Path

    def plan(self, service: Service, since: str) -> OwnPlan:
        """The months and cities that there are own rows of."""
        delivered = self.scratch / f"{DELIVERED}.parquet"
        write_delivered(delivered, {})
        views = self.catalogue.rollups_sql(service)
        source = Source(self.warehouse, views, extra={DELIVERED: delivered})
        try:
            months, places = told_of(source, [*self._texts(service).values()])
        finally:
            source.close()
            shutil.rmtree(self.scratch)
        return OwnPlan(service, tuple(m for m in months if m >= since), places)

    def write(
        self,
        plan: OwnPlan,
        known: Facts,
        folder: Path,
        staged: Mapping[str, Staged],
    ) -> tuple[OwnTable, ...]:
        """Write the own rows of a release; what its manifest says of them."""
        if plan.service.own is None:
            return ()
        texts = self._texts(plan.service)
        kept = self.catalogue.own_views(plan.service, texts.values())
        making = Making(plan.service, texts, kept, plan.months, plan.places, known.profiles)
        source = self._open(plan.service, known.providers, staged)
        try:
            return write_own(making, source, folder, self.scratch)
        finally:
            source.close()
            shutil.rmtree(self.scratch)

    def _texts(self, service: Service) -> dict[str, str]:
        views = () if service.own is None else service.own.views
        return {view_name(view): self.catalogue.own_sql(service, view) for view in views}

    def _open(
        self, service: Service, providers: Mapping[str, ByProvider], staged: Mapping[str, Staged]
    ) -> Source:
        """The warehouse with the service's facts as staged, and what each institution delivered."""
        delivered = self.scratch / f"{DELIVERED}.parquet"
        write_delivered(delivered, providers)
        extra = {DELIVERED: delivered}
        views = [self.catalogue.rollups_sql(service)]
        for name, one in staged.items():
            if one.seasons:
                extra[f"staged_{name}"] = one.folder / "season=*" / "*.parquet"
                views.append(fact_view(name, one.names, one.scales))
        return Source(self.warehouse, ";\n".join(views), extra=extra)


def own_contents(plan: OwnPlan, folder: Path, known: Facts) -> dict[str, Any]:  # of Manifest
    """The manifest's fields of a release that holds own rows alone."""
    periods = {str(grain): _labels(grain, plan.months) for grain in plan.service.periods}
    return {
        **common(plan.service, folder, replace(known, cells={}), plan.months),
        "periods": periods,
        "geo": plan.places,
        "domains": {},
        "levels": {},
        "shapes": (),
        "measures": (),
        "person_measure": None,
        "structural_zeros": (),
        "unmapped": {},
    }


def _labels(grain: Grain, months: Sequence[str]) -> tuple[str, ...]:
    return tuple(months) if grain is Grain.MONTH else ()
