"""What the policy may know of a service: names, limits and classification; no definitions."""

from __future__ import annotations

from gateway.catalogue.model import Column, Service
from gateway.catalogue.own import holds_own_alone, own_dims, own_measures
from gateway.catalogue.tariff import WHOLE


def policy_view(service: Service) -> dict[str, object]:
    """The service as policy data."""
    dims = [dim for dim in service.dims if not dim.pivot]
    measures: list[Column] = [measure for measure in service.measures if not measure.internal]
    dims += own_dims(service)
    measures += own_measures(service)
    columns: list[Column] = [*dims, *measures]
    return {
        "code": service.code,
        "version": service.version,
        "consumers": list(service.consumers),
        "grain": service.grain,
        "output_level": service.output_level,
        "sdc": service.sdc,
        "scenarios": list(service.scenarios),
        "min_lag_days": service.min_lag_days,
        "tariff": service.tariff.view(),
        "free_for": list(service.free_for),
        "periods": [str(grain) for grain in service.periods],
        "geo": [level.model_dump() for level in service.geo],
        "dims": [dim.name for dim in dims],
        "axes": {dim.name: dim.axis for dim in dims},
        "forbidden": [list(pair) for pair in service.disclosure.forbid_together],
        "measures": [measure.name for measure in measures],
        "bulk": service.tariff.unit not in WHOLE,
        **({"own": _own(service)} if service.own else {}),
        "columns": {
            column.name: {"item": column.item, "level": column.level, "mask": column.mask}
            for column in columns
        },
    }


def _own(service: Service) -> str:
    """Whether own data are all there is of the service."""
    return "alone" if holds_own_alone(service) else "beside"
