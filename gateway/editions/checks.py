"""Everything an edition must pass before anybody may be decided for by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from gateway.catalogue.load import load_catalogue
from gateway.editions.refusals import missing_refusals, unfounded_allowances
from gateway.editions.running import Prepared, prepare
from gateway.errors import OperatorError
from gateway.masking.grammar import parse_mask
from gateway.masking.operators import MaskError
from gateway.masking.rows import classified_items, load_row_masks
from gateway.masking.rows import faults as row_mask_faults
from gateway.policy.consistency import disagreements
from gateway.policy.documents import Documents, read_documents, read_rego
from gateway.policy.embedded import EmbeddedPolicy
from gateway.policy.engine import engine_words
from gateway.policy.modules import parse_modules, style_findings
from gateway.policy.schemas import findings, generated
from gateway.policy.suite import Report, data_for_tests, run_modules


def edition_findings(policies: Path) -> Iterator[str]:
    """What is wrong, cheapest checks first; what cannot be read or evaluated ends the search."""
    try:
        yield from _found(policies)
    except OperatorError as error:
        yield error.message
    except RuntimeError as error:
        yield f"the rules cannot be evaluated: {engine_words(error)}"


def _found(policies: Path) -> Iterator[str]:
    rego = read_rego(policies, tests=True)
    modules = parse_modules(rego)
    yield from style_findings(modules)
    yield from missing_refusals(read_rego(policies))
    documents: Documents = {
        **read_documents(policies),
        "services": load_catalogue(policies).as_policy_data(),
    }
    yield from _stale(policies / "schemas")
    malformed = list(findings(policies / "schemas", documents))
    yield from malformed
    if malformed:
        return
    yield from disagreements(documents)
    yield from _masks(documents)
    yield from row_mask_faults(load_row_masks(policies), classified_items(policies))
    yield from unfounded_allowances(check_fit(policies).edition)
    report = run_modules(modules, rego, data_for_tests(policies))
    yield from suite_findings(report)
    yield from _unreached(report)


def check_fit(policies: Path) -> Prepared:
    """The folder read; raises `OperatorError` unless this program can decide by it."""
    prepared = prepare(policies)
    EmbeddedPolicy.of(prepared.edition, {}).close()
    return prepared


def _stale(folder: Path) -> Iterator[str]:
    for name, content in generated().items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            yield f"schemas/{name} is stale: run `sluice policy schemas` and commit it"


def _masks(documents: Documents) -> Iterator[str]:
    """Masks nobody can apply: an answer under one would fail."""
    masks = documents["masks"]
    named: dict[str, Mapping[str, str]] = {
        "masks.by_level": masks["by_level"],
        **{f"masks.by_scenario.{name}": by for name, by in masks["by_scenario"].items()},
        "masks.common": {name: each["mask"] for name, each in masks["common"].items()},
        **{
            f"service {name}": {field: each["mask"] for field, each in service["columns"].items()}
            for name, service in documents["services"].items()
        },
    }
    for place, by in named.items():
        for field, text in by.items():
            try:
                parse_mask(text)
            except MaskError as error:
                yield f"{place}.{field}: {error}"


def suite_findings(report: Report) -> Iterator[str]:
    """What its own tests say against an edition, and where there are none."""
    for each in report.failed:
        yield f"{each.path}:{each.line}: {each.name} failed: {each.reason}"
    if not report.outcomes:
        yield "there is no test"
    for package in report.untested:
        yield f"package {package} has no test that runs"


def _unreached(report: Report) -> Iterator[str]:
    """Lines no test reaches: there an unknown function would go unnoticed until it refuses all."""
    for coverage in report.coverage:
        for line in coverage.unreached:
            yield f"{coverage.path}:{line}: no test reaches this line"
