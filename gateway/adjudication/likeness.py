"""How alike two packages are: with many that differ in one condition a diagnosis can be probed."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.adjudication.model import RulePackage


def likeness(one: RulePackage, other: RulePackage) -> float:
    """Share of statements both make, from 0 to 1 (Jaccard); names, versions, order do not count."""
    left, right = {*_statements(one)}, {*_statements(other)}
    return len(left & right) / len(left | right)


def _statements(package: RulePackage) -> Iterator[str]:
    yield f"waiting {package.waiting_days}"
    layers = {one.name: one.model_dump_json(exclude={"name"}) for one in package.layers}
    for text in layers.values():
        yield f"layer {text}"
    for exclusion in package.exclusions:
        for code in exclusion.codes:
            yield f"exclusion {code} {exclusion.reason}"
    for row in package.rows:
        then = row.then
        paid = sorted(layers[name] for name in then.layers)
        said = f"{then.decision} {sorted(then.reasons)} {paid}"
        yield f"row {said}"
        if row.when is not None:
            for field, value in row.when.model_dump(exclude_none=True).items():
                for each in value if isinstance(value, tuple | list) else (value,):
                    yield f"row {said} {field} {each}"
