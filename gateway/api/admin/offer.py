"""Operations on what is on offer: the catalogue, releases, packs, and the privacy budgets.

Releases are built on the machine of the raw zone (`sluice release build`), which no serving process
reaches; here they are looked at, compared, and taken out of service.
"""

from __future__ import annotations

from typing import Any

from gateway.api.admin.endpoint import Answer, Call, Endpoint
from gateway.api.services import contract_of, offered
from gateway.errors import OperatorError
from gateway.identity.model import Document
from gateway.identity.record import record_change
from gateway.privacy.ledger import Ledger
from gateway.releases.manifest import Manifest
from gateway.releases.publish import publish_held
from gateway.releases.shelf import Entry, entries, withdraw
from gateway.releases.store import withdrawn


def _catalogue(call: Call) -> Answer:
    offer = call.office.offer
    offer.releases.refresh()
    rows: list[Document] = []
    for line in offered(offer.catalogue()):
        found = offer.releases.latest(str(line["id"]))
        told = {"release": found.release_id if found else None}
        rows.append({**line, **told, "cells": sum(found.cells.values()) if found else None})
    return rows


def _service(call: Call) -> Answer:
    offer, service = call.office.offer, call.at["service"]
    offer.releases.refresh()
    told = contract_of(offer.catalogue(), service, offer.releases.latest)
    return {**told, "lineage": offer.releases.lineage(str(told["id"]))}


def _releases(call: Call) -> Answer:
    return [_line(each) for each in reversed(entries(call.office.offer.root))]


def _line(entry: Entry) -> Document:
    manifest = entry.manifest
    return {
        "id": manifest.release_id,
        "service": manifest.service,
        "version": manifest.version,
        "state": entry.state.replace(" ", "_"),
        "created": manifest.created.isoformat(),
        "last_period": max((p for labels in manifest.periods.values() for p in labels), default=""),
        "cells": sum(manifest.cells.values()),
    }


def _release(call: Call) -> Answer:
    """A release with its quality, inputs and files, and what is other than in the one before."""
    root, asked = call.office.offer.root, call.at["release"]
    listed = entries(root)
    found = next((each for each in listed if each.manifest.release_id == asked), None)
    if found is None:
        raise OperatorError("release_unknown", f"There is no release {asked}.")
    before = [
        each.manifest
        for each in listed
        if each.manifest.service == found.manifest.service
        and each.manifest.created < found.manifest.created
    ]
    told = found.manifest.model_dump(mode="json")
    kept = ("periods", "profiles", "quality", "waiver", "unmapped", "inputs", "files", "software")
    return {
        **_line(found),
        "withdrawn": withdrawn(root).get(asked),
        "difference": _difference(before[-1], found.manifest) if before else None,
        **{name: told[name] for name in (*kept, "code_versions", "rounding_key")},
    }


def _difference(before: Manifest, after: Manifest) -> Document:
    """What a reader of the contents page sees change from one release to the next."""
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    parts = ("periods", "geo", "domains", "measures", "profiles", "quality", "code_versions")
    changed: dict[str, Any] = {  # Any: parts of a manifest as JSON
        name: {"before": old[name], "after": new[name]} for name in parts if old[name] != new[name]
    }
    cells = {
        key: {"before": before.cells.get(key, 0), "after": after.cells.get(key, 0)}
        for key in sorted({*before.cells, *after.cells})
    }
    return {"compared_with": before.release_id, "cells": cells, "changed": changed}


def _publish(call: Call) -> Answer:
    """All of the build that lies ready, at once: linked services were examined together."""
    told: Document = dict(publish_held(call.office.offer.root))
    record_change(call.session, call.act, "publish", ("releases", "held"), before=None, after=told)
    return told


def _withdraw(call: Call) -> Answer:
    release = call.at["release"]
    withdraw(call.office.offer.root, release, call.act.reason, call.act.at)
    told: Document = {"id": release, "state": "withdrawn", "reason": call.act.reason}
    record_change(call.session, call.act, "withdraw", ("release", release), before=None, after=told)
    return told


def _packs(call: Call) -> Answer:
    return [{"name": name} for name in sorted(call.office.airlock.inputs.packs())]


def _pack(call: Call) -> Answer:
    name = call.at["pack"]
    return {"name": name, **call.office.airlock.inputs.pack(name).model_dump(mode="json")}


def _privacy(call: Call) -> Answer:
    """Each geography's loss of this and earlier years, and what is left of the budget."""
    ledger, most = Ledger(call.office.engine), call.office.offer.budget()
    return {
        "balances": [
            {
                "key": f"{one.year}~{one.geo}",
                "year": one.year,
                "geo": one.geo,
                "draws": one.draws,
                "spent": float(one.spent),
                "left": None if most is None else float(most - min(most, one.spent)),
            }
            for one in ledger.balances()
        ],
        "faults": ledger.faults(),
    }


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "catalogue.list",
        "GET",
        "/catalogue",
        _catalogue,
        summary="数据服务目录及各服务现行发布 / Data services with the release in force",
    ),
    Endpoint(
        "catalogue.show",
        "GET",
        "/catalogue/{service}",
        _service,
        summary="服务契约与数据血缘 / A service's contract and lineage",
    ),
    Endpoint("release.list", "GET", "/releases", _releases, summary="发布版本列表 / Releases"),
    Endpoint(
        "release.show",
        "GET",
        "/releases/{release}",
        _release,
        summary="发布版本详情及与上一版的差异 / A release, and how it differs from the one before",
    ),
    Endpoint(
        "release.publish",
        "POST",
        "/releases/publish",
        _publish,
        summary="发布待发布的构建 / Put the build that lies ready in force",
    ),
    Endpoint(
        "release.withdraw",
        "POST",
        "/releases/{release}/withdraw",
        _withdraw,
        says_why=True,
        summary="撤回发布版本 / Take a release out of service",
    ),
    Endpoint("pack.list", "GET", "/packs", _packs, summary="合成数据包 / Synthetic packs"),
    Endpoint(
        "pack.show",
        "GET",
        "/packs/{pack}",
        _pack,
        summary="数据包说明卡 / The card of a synthetic pack",
    ),
    Endpoint(
        "privacy.list",
        "GET",
        "/privacy",
        _privacy,
        summary="差分隐私预算台账 / What was spent of the privacy budgets",
    ),
)
