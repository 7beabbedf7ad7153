"""Do the policy documents agree with each other? Every name one of them uses exists in another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.policy.documents import Documents

_CLASSES, _ITEMS = 12, 87  # SPEC §4.1


def disagreements(documents: Documents) -> Iterator[str]:
    """One sentence per reference that leads nowhere."""
    yield from _scenarios(documents)
    yield from _services(documents)
    yield from _classification(documents)
    yield from _sensitive(documents)
    yield from _regions(documents)
    yield from _caps(documents)


def _scenarios(documents: Documents) -> Iterator[str]:
    profiles, services = documents["sdc_profiles"], documents["services"]
    # A scenario may deny a service what this installation offers with others only.
    dims = {dim for service in services.values() for dim in service["dims"]}
    for name, scenario in documents["scenarios"].items():
        place = f"scenario {name}"
        yield from _unknown(place, "profile", [scenario["sdc"]["profile"]], profiles)
        for service, entry in scenario["services"].items():
            if service not in services:
                continue  # a service this installation does not offer
            listed = services[service]["scenarios"]
            if not {"*", name} & set(listed):
                yield f"{place} grants {service}, which does not list {name}"
            yield from _unknown(f"{place}, {service}", "dim", entry.get("dims_deny", []), dims)


def _services(documents: Documents) -> Iterator[str]:
    scenarios, items = documents["scenarios"], documents["classification"]["items"]
    for name, service in documents["services"].items():
        place = f"service {name}"
        yield from _unknown(place, "profile", [service["sdc"]], documents["sdc_profiles"])
        for scenario in service["scenarios"]:
            if scenario != "*" and name not in scenarios.get(scenario, {}).get("services", {}):
                yield f"{place} lists {scenario}, which does not grant it"
        columns = service["columns"]
        yield from _unknown(place, "item", [c["item"] for c in columns.values()], items)
        yield from _unknown(place, "column for", [*service["dims"], *service["measures"]], columns)


def _classification(documents: Documents) -> Iterator[str]:
    classification = documents["classification"]
    classes, items = classification["classes"], classification["items"]
    if (len(classes), len(items)) != (_CLASSES, _ITEMS):
        yield f"the classification has {len(classes)} classes and {len(items)} items, not 12 and 87"
    for name, item in items.items():
        yield from _unknown(f"item {name}", "class", [item["class"]], classes)
        if not name.startswith(item["class"]):
            yield f"item {name} stands in class {item['class']}"
    common = documents["masks"]["common"]
    yield from _unknown("masks", "item", [column["item"] for column in common.values()], items)
    yield from _unknown(
        "masks", "scenario", documents["masks"]["by_scenario"], documents["scenarios"]
    )


def _sensitive(documents: Documents) -> Iterator[str]:
    sensitive = documents["sensitive"]
    sets = {entry["id"] for entry in sensitive["dx"]}
    for dim, kind in sensitive["dims"].items():
        if kind == "prefix":
            yield from _unknown(f"sensitive dim {dim}", "family", [dim], sensitive["families"])
    for dim, families in sensitive["families"].items():
        yield from _unknown(f"sensitive dim {dim}", "family", families, sensitive["prefix"])
    for family, hints in sensitive["prefix"].items():
        yield from _unknown(f"prefixes {family}", "set", [hint["implies"] for hint in hints], sets)


def _regions(documents: Documents) -> Iterator[str]:
    regions = documents["regions"]
    for code, region in regions.items():
        yield from _unknown(
            f"region {code}", "parent", [region["parent"]] if "parent" in region else [], regions
        )
        yield from _unknown(f"region {code}", "scenario", region["pilot"], documents["scenarios"])


def _caps(documents: Documents) -> Iterator[str]:
    """No edge fills `usage.revenue_year_fen`: a cap would refuse whatever is not free."""
    for plan in sorted(documents["limits"]["revenue_caps_fen"]):
        yield f"limits: the revenue of price plan {plan} is capped, and nothing counts it yet"


def _unknown(place: str, kind: str, names: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    for name in sorted(set(names) - set(known)):
        yield f"{place}: there is no {kind} {name}"
