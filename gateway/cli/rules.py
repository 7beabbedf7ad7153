"""`sluice rules`: check an insurer's rule package and try it on claims, before its review."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from math import log2
from pathlib import Path
from typing import Annotated

import typer

from gateway.adjudication.capacity import bits, faults
from gateway.adjudication.claim import Claim, Outcome
from gateway.adjudication.deciding import adjudicate
from gateway.adjudication.likeness import likeness
from gateway.adjudication.model import RulePackage
from gateway.adjudication.reading import read_claims, read_package
from gateway.adjudication.terms import Terms, read_terms
from gateway.errors import OperatorError
from gateway.settings import Settings

app = typer.Typer(help="Insurers' rule packages, adjudicated inside (S20).", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Package = Annotated[Path, typer.Argument(help="A rule package, YAML or JSON.", exists=True)]


@app.command()
def check(
    package: Package,
    beside: Annotated[
        list[Path] | None, typer.Option(help="Packages of the same insurer, to compare with.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Say whether the bureau's terms allow a package, and how much its answers can tell."""
    terms, read = read_terms(Settings().policies), _read(package)
    told = [vars(fault) for fault in faults(read, terms)]
    told += list(_too_alike(read, beside or (), terms))
    carried = bits(read, terms.bounds.reasons_max)
    if as_json:
        typer.echo(json.dumps({"ok": not told, "bits": round(carried, 2), "faults": told}))
    else:
        for fault in told:
            typer.echo(f"{fault['where']}: {fault['sentence']} [{fault['code']}]")
        typer.echo(f"{read.product} {read.version}: {carried:.1f} of {terms.bounds.bits} bits")
    if told:
        raise typer.Exit(1)


@app.command("try")
def try_out(
    package: Package,
    claims: Annotated[Path, typer.Option(help="Invented claims, JSON Lines.", exists=True)],
    *,
    as_json: Json = False,
) -> None:
    """Adjudicate invented claims in order, as one person's year under each `claim_ref` prefix.

    Claims whose reference is alike before the first `/` share deductible and limits.
    """
    terms, read = read_terms(Settings().policies), _read(package)
    outcomes = list(_outcomes(read, read_claims(claims), terms))
    for reference, outcome in outcomes:
        typer.echo(json.dumps(answer(reference, outcome)) if as_json else _line(reference, outcome))
    if not as_json:
        counted = Counter(outcome.label for _, outcome in outcomes)
        typer.echo(f"{len(outcomes)} claims, {_entropy(counted):.2f} bits a claim seen")


@app.command()
def reasons(*, as_json: Json = False) -> None:
    """The closed list of reasons an answer may give."""
    listed = read_terms(Settings().policies).reasons
    if as_json:
        typer.echo(json.dumps({code: one.model_dump() for code, one in listed.items()}))
        return
    for code, one in listed.items():
        typer.echo(f"{code}  {one.given_by:6}  {one.zh}  {one.en}")


def answer(reference: str, outcome: Outcome) -> dict[str, object]:
    """The fields of S20 (SC04), amounts in yuan with two decimals."""
    return {
        "claim_ref": reference,
        "decision": outcome.decision,
        "payable_amt": f"{outcome.payable / 100:.2f}",
        "deductible_used": f"{outcome.deductible_used / 100:.2f}",
        "layer_used": outcome.layer_used,
        "reason_codes": list(outcome.reasons),
        "rule_package_version": outcome.version,
    }


def _read(file: Path) -> RulePackage:
    try:
        return read_package(file.read_bytes(), file.name)
    except OSError as error:
        raise OperatorError("rules_form", f"{file.name} cannot be read.") from error


def _too_alike(
    read: RulePackage, others: Iterable[Path], terms: Terms
) -> Iterable[dict[str, object]]:
    for file in others:
        alike = likeness(read, _read(file))
        if alike > terms.bounds.likeness_max:
            yield {
                "code": "rules_near_duplicate",
                "where": file.name,
                "sentence": f"{alike:.0%} of the statements are the same; products that differ so "
                "little are one package.",
            }


def _outcomes(
    package: RulePackage, claims: Iterable[tuple[str, Claim]], terms: Terms
) -> Iterable[tuple[str, Outcome]]:
    used: dict[str, Counter[str]] = defaultdict(Counter)
    for reference, claim in claims:
        own = used[reference.split("/")[0]]
        outcome = adjudicate(package, claim, own, terms.bounds.reasons_max)
        own.update(outcome.eligible)
        yield reference, outcome


def _line(reference: str, outcome: Outcome) -> str:
    told = answer(reference, outcome)
    return (
        f"{reference:20} {outcome.decision:8} {told['payable_amt']:>14} "
        f"{outcome.layer_used or '-':8} {' '.join(outcome.reasons)}"
    )


def _entropy(counted: Counter[tuple[object, ...]]) -> float:
    total = counted.total()
    return sum(n / total * log2(total / n) for n in counted.values())
